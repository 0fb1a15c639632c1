// What travels between simulated hosts: one UDP datagram or one piece of a simulated TCP
// connection, with the size that it would have as an IP packet.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"

namespace selvage::sim {

enum class FrameKind : std::uint8_t {
    datagram,
    syn,
    syn_ack,
    segment,  // data, FIN or an empty acknowledgement
    reset,
};

struct Frame {
    FrameKind kind = FrameKind::datagram;
    Endpoint from;
    Endpoint to;
    Bytes payload;

    // The simulated TCP's own fields. Positions count bytes from the start of the stream; a FIN
    // takes one. 64 bits, so they never wrap.
    bool fin = false;
    std::uint64_t position = 0;
    std::uint64_t acknowledged = 0;
    std::uint64_t window = 0;
    std::uint64_t order = 0;  // of sending, so that a late frame cannot close a window again
    std::vector<std::pair<std::uint64_t, std::uint64_t>> received_beyond;  // [from, to), at most 4

    std::size_t header_bytes() const {
        const std::size_t ip = from.address.is_v4() ? 20 : 40;
        return ip + (kind == FrameKind::datagram ? 8 : 20);
    }
    std::size_t size() const { return header_bytes() + payload.size(); }
};

// "udp 198.18.0.1:1 > 198.18.0.2:2 100 B", for the trace.
std::string describe(const Frame& frame);

}  // namespace selvage::sim
