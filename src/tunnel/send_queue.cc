// The two queues behind Tunnel::send().
#include "tunnel/send_queue.h"

#include <algorithm>

namespace selvage::tunnel {
namespace {

// Data packets that a tunnel may always hold, however short of blocks the node is.
constexpr std::size_t kDataFloor = 16;

}  // namespace

bool SendQueue::push(packet::PacketBuf&& packet, TimePoint now, TunnelStats& stats) {
    if (packet::is_control(packet.header<packet::PeerHeader>()->packet_type())) {
        if (control_.size() >= control_limit_) return false;
        control_.push_back(std::move(packet));
        return true;
    }
    data_.push(std::move(packet), now);
    const std::size_t packets_limit = std::max(kDataFloor, pool_->available() / 2);
    while (data_.size() > 1 && (data_.bytes() > data_bytes_limit_ || data_.size() > packets_limit)
    ) {
        data_.drop_from_longest();
        ++stats.tx_dropped;
    }
    return true;
}

packet::PacketBuf SendQueue::pop(TimePoint now, TunnelStats& stats) {
    if (control_.empty()) return data_.pop(now, stats.tx_dropped);
    packet::PacketBuf out = std::move(control_.front());
    control_.pop_front();
    return out;
}

void SendQueue::clear() {
    control_.clear();
    data_.clear();
}

}  // namespace selvage::tunnel
