// Packets that wait for their transport: control first, data in fair turns, both bounded.
//
// Data is bounded three ways, and the oldest of the flow with the most gives way each time: by
// bytes, by half of what is left in the pool, so that tunnels which do not drain cannot starve the
// others of blocks, and never below a small floor. What waits for too long gives way earlier
// (fair_queue.h).
#pragma once

#include <deque>

#include "packet/packet_buf.h"
#include "packet/peer_header.h"
#include "tunnel/fair_queue.h"
#include "tunnel/options.h"
#include "tunnel/tunnel.h"

namespace selvage::tunnel {

class SendQueue {
public:
    SendQueue(packet::PacketPool& pool, const TunnelOptions& options, SipKey hash_key)
        : pool_(&pool),
          control_limit_(options.control_queue_packets),
          data_bytes_limit_(options.data_queue_bytes),
          data_(hash_key) {}

    // False when a control packet found no room: the tunnel must close.
    // Precondition: the packet has a whole peer header.
    [[nodiscard]] bool push(packet::PacketBuf&& packet, TimePoint now, TunnelStats& stats);
    // Precondition: not empty.
    packet::PacketBuf pop(TimePoint now, TunnelStats& stats);

    bool empty() const { return control_.empty() && data_.empty(); }
    std::size_t size() const { return control_.size() + data_.size(); }
    std::size_t data_bytes() const { return data_.bytes(); }
    void clear();

private:
    packet::PacketPool* pool_;
    std::size_t control_limit_;
    std::size_t data_bytes_limit_;
    std::deque<packet::PacketBuf> control_;
    FairQueue data_;
};

}  // namespace selvage::tunnel
