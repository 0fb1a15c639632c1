// What can be set about tunnels.
#pragma once

#include <cstddef>

#include "base/time.h"

namespace selvage::tunnel {

struct TunnelOptions {
    // Packets; full closes the connection, because control may not be lost.
    std::size_t control_queue_packets = 256;
    // Bytes: about one round trip of 50 ms at 80 Mbit/s. Full drops the oldest of the longest flow.
    std::size_t data_queue_bytes = 512 * 1024;
    // A stream transport whose write makes no progress for this long is dead.
    Duration write_stall_limit = std::chrono::seconds(7);
    // udp: how often and how long a connector asks for a session.
    Duration udp_syn_interval = std::chrono::seconds(1);
    Duration udp_connect_limit = std::chrono::seconds(3);
    // udp: sessions of one socket, and those of one address among them; beyond it the first packet
    // of a new session is dropped.
    std::size_t udp_sessions_limit = 4096;
    std::size_t udp_sessions_per_address = 1024;
    // udp: sessions that were asked for but sent nothing yet. The oldest gives way to a new one, so
    // that a flood of SYNs costs an honest connector at most a repetition.
    std::size_t udp_half_open_limit = 1024;
    Duration udp_half_open_time = std::chrono::seconds(10);
    // Sessions that wait for accept(); beyond it the first packet of a new session is dropped.
    std::size_t accept_queue = 128;
    // Packets that arrived before start(); beyond it they are dropped.
    std::size_t unstarted_packets = 128;
};

}  // namespace selvage::tunnel
