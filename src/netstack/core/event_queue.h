// Sockets that something happened to, each at most once, in the order of their first event.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "netstack/core/socket_ids.h"

namespace selvage::netstack {

// Bounded by the number of sockets: a socket that is in the queue is not put in again.
class EventQueue {
public:
    using Socket = std::variant<TcpId, ListenerId, UdpId>;

    void push(Socket socket) { queue_.push_back(socket); }
    std::optional<Socket> pop() {
        if (next_ == queue_.size()) {
            queue_.clear();
            next_ = 0;
            return std::nullopt;
        }
        return queue_[next_++];
    }
    bool empty() const { return next_ == queue_.size(); }

private:
    std::vector<Socket> queue_;
    std::size_t next_ = 0;
};

}  // namespace selvage::netstack
