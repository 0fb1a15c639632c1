// The two queues behind Tunnel::send().
#include "tunnel/send_queue.h"

#include <algorithm>

namespace selvage::tunnel {
namespace {

// Data packets that a tunnel may always hold, however short of blocks the node is.
constexpr std::size_t kDataFloor = 16;

}  // namespace

bool SendQueue::push(packet::PacketBuf&& packet, TunnelStats& stats) {
    if (packet::is_control(packet.header<packet::PeerHeader>()->packet_type())) {
        if (control_.size() >= control_limit_) return false;
        control_.push_back(std::move(packet));
        return true;
    }
    data_bytes_ += packet.size();
    data_.push_back(std::move(packet));
    const std::size_t packets_limit = std::max(kDataFloor, pool_->available() / 2);
    while (data_.size() > 1 && (data_bytes_ > data_bytes_limit_ || data_.size() > packets_limit)) {
        (void)pop_data();
        ++stats.tx_dropped;
    }
    return true;
}

packet::PacketBuf SendQueue::pop_data() {
    packet::PacketBuf out = std::move(data_.front());
    data_.pop_front();
    data_bytes_ -= out.size();
    return out;
}

packet::PacketBuf SendQueue::pop() {
    if (control_.empty()) return pop_data();
    packet::PacketBuf out = std::move(control_.front());
    control_.pop_front();
    return out;
}

void SendQueue::clear() {
    control_.clear();
    data_.clear();
    data_bytes_ = 0;
}

}  // namespace selvage::tunnel
