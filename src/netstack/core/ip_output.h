// Gives transport packets their IP header and collects them until the next poll.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ip.h"
#include "netstack/core/packet_out.h"
#include "netstack/core/stack_counters.h"
#include "packet/ip_headers.h"

namespace selvage::netstack {

class IpOutput {
public:
    // Sent per poll; more waits for the next, so that the layers below can work in between. Also
    // the bound for answers between two polls: beyond it they are dropped.
    static constexpr std::size_t kQueueMax = 256;
    // Blocks of the pool that we leave to others: a stack with much to send must not stop what
    // comes in, least of all the acknowledgements it waits for.
    static constexpr std::size_t kPoolReserve = 64;

    IpOutput(packet::PacketPool& pool, StackCounters& counters)
        : pool_(pool), counters_(counters) {}

    void set_addresses(std::vector<Prefix> addresses) { addresses_ = std::move(addresses); }
    const std::vector<Prefix>& addresses() const { return addresses_; }
    bool is_ours(const IpAddress& address) const;
    // A broadcast address of one of our networks.
    bool is_broadcast(const IpAddress& address) const;
    // The address that we speak from to `remote`: in its network if possible, else of its family.
    std::optional<IpAddress> source_for(const IpAddress& remote) const;

    // Who takes the packets, during a poll.
    void set_next(const PacketOut* next) { next_ = next; }
    bool congested(const IpAddress& destination) const {
        return next_ != nullptr && next_->congested(destination);
    }
    bool full() const { return queue_.size() >= kQueueMax; }
    bool empty() const { return queue_.empty() && loopback_.empty(); }
    // An empty packet to fill from the transport header on; empty and counted when there is none.
    packet::PacketBuf take();
    // Pushes the IP header in front and queues the packet. To one of our own addresses it comes
    // back by take_loopback().
    void send(
        packet::PacketBuf&& packet, const IpAddress& source, const IpAddress& destination,
        packet::IpProtocol protocol, std::uint8_t ecn = packet::ecn::kNotCapable
    );
    void flush(TimePoint now, PacketOut& out);
    std::vector<packet::PacketBuf> take_loopback() { return std::exchange(loopback_, {}); }

private:
    packet::PacketPool& pool_;
    StackCounters& counters_;
    const PacketOut* next_ = nullptr;
    std::vector<Prefix> addresses_;
    std::vector<packet::PacketBuf> queue_;
    std::vector<packet::PacketBuf> leaving_;  // only while flush() runs; kept for its memory
    std::vector<packet::PacketBuf> loopback_;
};

}  // namespace selvage::netstack
