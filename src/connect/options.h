// Whom to dial and where to listen.
#pragma once

#include <functional>
#include <vector>

#include "base/ip.h"
#include "base/time.h"
#include "tunnel/url.h"

namespace selvage::connect {

struct ConnectOptions {
    std::vector<tunnel::Url> peers;
    std::vector<tunnel::Url> listeners;
    // Listen on [::] as well wherever a listener's host is 0.0.0.0, and dial IPv6 addresses.
    bool enable_ipv6 = true;
    // Addresses inside the mesh are not dialled: the tunnel would lead through itself.
    std::function<bool(const IpAddress&)> in_mesh = [](const IpAddress&) { return false; };

    // One attempt per address family: name resolution, connection and handshake together.
    Duration attempt_limit = std::chrono::seconds(2);
    // Pause after a failed attempt; grows by half up to the maximum while nothing changes.
    Duration retry_min = std::chrono::seconds(1);
    Duration retry_max = std::chrono::seconds(5);
    // How often to see whether the neighbour at the other end fell silent.
    Duration silence_poll = std::chrono::seconds(1);
};

}  // namespace selvage::connect
