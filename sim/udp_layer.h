// The UDP of one simulated host. Sockets may outlive the host; sending then drops.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "host/sockets.h"
#include "rt/virtual_runtime.h"
#include "sim/frame.h"

namespace selvage::sim {

struct UdpState;

class UdpLayer {
public:
    struct Hooks {
        std::function<void(Frame&&)> transmit;
        // The address that a datagram to `remote` leaves from; empty: no way there.
        std::function<std::optional<IpAddress>(const IpAddress& remote)> source;
    };
    UdpLayer(rt::VirtualRuntime& loop, packet::PacketPool& pool, Hooks hooks)
        : loop_(loop), pool_(pool), hooks_(std::move(hooks)) {}
    UdpLayer(const UdpLayer&) = delete;
    UdpLayer& operator=(const UdpLayer&) = delete;
    ~UdpLayer() { vanish(); }

    bool port_taken(const Endpoint& local) const;
    // Precondition: !port_taken(local).
    host::UdpSocketPtr open(Endpoint local, host::UdpOptions options);
    void on_frame(Frame&& frame);
    void vanish();
    std::size_t socket_count() const;
    // Delivers what waits one turn later, so that what arrives together is delivered together.
    void schedule(std::shared_ptr<UdpState> socket);
    // Datagrams that found a socket's buffer full, or no block in the pool.
    std::uint64_t dropped() const { return dropped_; }

private:
    friend struct UdpState;
    void flush(UdpState& socket);

    rt::VirtualRuntime& loop_;
    packet::PacketPool& pool_;
    Hooks hooks_;
    std::map<Endpoint, std::shared_ptr<UdpState>> sockets_;
    std::uint64_t dropped_ = 0;
};

}  // namespace selvage::sim
