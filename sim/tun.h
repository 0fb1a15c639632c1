// The kernel's side of a simulated host's TUN device: addresses and routes as Selvage sets them,
// packets in and out, and an answer to pings of its own addresses.
//
// Programs of the host that use TCP or UDP through the device hang a `TunUser` on it (KernelStack
// is one); without one, whatever arrives is kept for the test to look at.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "host/tun.h"
#include "rt/virtual_runtime.h"
#include "sim/trace.h"

namespace selvage::sim {

class TunDevice;

// Takes the IP packets that Selvage writes to the host.
class TunUser {
public:
    virtual ~TunUser() = default;
    virtual void on_packet(ByteView packet) = 0;
    virtual void on_address_change() = 0;
};

// What stays on the host when Selvage's end of the device comes and goes.
class TunLayer final : public host::TunFactory {
public:
    // The oldest packet gives way.
    static constexpr std::size_t kReceivedPackets = 1024;

    TunLayer(rt::VirtualRuntime& loop, Trace& trace, packet::PacketPool& pool, std::string host)
        : loop_(loop), trace_(trace), pool_(pool), host_(std::move(host)) {}

    Result<host::TunPtr> open(const host::TunOptions& options) override;

    // False: opening a device is refused, as for an ordinary user.
    void set_allowed(bool allowed) { allowed_ = allowed; }
    void set_user(TunUser* user) { user_ = user; }
    // A program of the host sends an IP packet; false when no route leads into the device.
    bool send(ByteView packet);
    // What Selvage wrote and no user took.
    std::deque<Bytes>& received() { return received_; }

    bool device_up() const { return device_ != nullptr; }
    const std::set<Prefix>& addresses() const { return addresses_; }
    const std::set<std::pair<Prefix, unsigned>>& routes() const { return routes_; }
    unsigned mtu() const { return mtu_; }
    // Deletes the device under Selvage's feet, or with the host's power.
    void destroy_device();

private:
    friend class TunDevice;
    void from_selvage(ByteView packet);
    bool answer_echo(ByteView packet);
    bool leads_here(const IpAddress& destination) const;
    void forget_device();

    rt::VirtualRuntime& loop_;
    Trace& trace_;
    packet::PacketPool& pool_;
    std::string host_;
    bool allowed_ = true;
    TunUser* user_ = nullptr;
    std::shared_ptr<TunLayer*> alive_ = std::make_shared<TunLayer*>(this);
    TunDevice* device_ = nullptr;
    host::TunSink* sink_ = nullptr;
    unsigned mtu_ = 0;
    std::set<Prefix> addresses_;
    std::set<std::pair<Prefix, unsigned>> routes_;
    std::deque<Bytes> received_;  // at most kReceivedPackets
};

}  // namespace selvage::sim
