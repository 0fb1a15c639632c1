// A layer-3 TUN device of the operating system, and the routes into it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ip.h"
#include "packet/packet_buf.h"

namespace selvage::host {

struct TunOptions {
    std::string name;  // empty: the system picks one
    unsigned mtu = 1360;
};

class TunSink {
public:
    virtual ~TunSink() = default;
    // IP packets that the host sent into the device, at most PacketBatch::kCapacity a turn.
    virtual void from_tun(packet::PacketBatch&& batch) = 0;
    // The device is gone (deleted by somebody else, interface error). Called once.
    virtual void on_tun_closed(const Error& reason) = 0;
};

class Tun {
public:
    virtual ~Tun() = default;  // removes the device, and with it addresses and routes
    virtual const std::string& name() const = 0;
    virtual void start(TunSink& sink) = 0;
    // Writes IP packets to the host; what the kernel refuses is dropped and counted. Those of
    // different flows may change places.
    virtual void send(packet::PacketBatch&& batch) = 0;

    // The kernel adds the route of the prefix's own network.
    virtual Result<> add_address(const Prefix& address) = 0;
    virtual Result<> remove_address(const Prefix& address) = 0;
    virtual Result<> add_route(const Prefix& destination, unsigned metric) = 0;
    virtual Result<> remove_route(const Prefix& destination, unsigned metric) = 0;

    struct Stats {
        std::uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0, tx_dropped = 0;
        std::uint64_t rx_trains = 0;          // super-packets that were cut into rx_packets
        std::uint64_t rx_dropped = 0;         // contradictory, or too large for a block
        std::uint64_t tx_trains = 0;          // super-packets that tx_packets were joined to
        std::uint64_t tx_refused_trains = 0;  // of these: sent again one by one
    };
    virtual const Stats& stats() const = 0;
};
using TunPtr = std::unique_ptr<Tun>;

class TunFactory {
public:
    virtual ~TunFactory() = default;
    // Creates the device and sets it up. Errors say what is missing (root or CAP_NET_ADMIN,
    // /dev/net/tun) and name --no-tun as the way without.
    virtual Result<TunPtr> open(const TunOptions& options) = 0;
};

}  // namespace selvage::host
