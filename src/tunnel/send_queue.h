// Packets that wait for their transport: control first, both kinds bounded.
//
// Data is bounded three ways, and the oldest gives way each time: by bytes (latency), by half of
// what is left in the pool, so that tunnels which do not drain cannot starve the others of blocks,
// and never below a small floor.
#pragma once

#include <deque>

#include "packet/packet_buf.h"
#include "packet/peer_header.h"
#include "tunnel/options.h"
#include "tunnel/tunnel.h"

namespace selvage::tunnel {

class SendQueue {
public:
    SendQueue(packet::PacketPool& pool, const TunnelOptions& options)
        : pool_(&pool),
          control_limit_(options.control_queue_packets),
          data_bytes_limit_(options.data_queue_bytes) {}

    // False when a control packet found no room: the tunnel must close.
    // Precondition: the packet has a whole peer header.
    [[nodiscard]] bool push(packet::PacketBuf&& packet, TunnelStats& stats);
    // Precondition: not empty.
    const packet::PacketBuf& front() const {
        return control_.empty() ? data_.front() : control_.front();
    }
    packet::PacketBuf pop();

    bool empty() const { return control_.empty() && data_.empty(); }
    std::size_t size() const { return control_.size() + data_.size(); }
    std::size_t data_bytes() const { return data_bytes_; }
    void clear();

private:
    packet::PacketBuf pop_data();

    packet::PacketPool* pool_;
    std::size_t control_limit_;
    std::size_t data_bytes_limit_;
    std::size_t data_bytes_ = 0;
    std::deque<packet::PacketBuf> control_;
    std::deque<packet::PacketBuf> data_;
};

}  // namespace selvage::tunnel
