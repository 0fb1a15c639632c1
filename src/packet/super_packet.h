// A super-packet stands for many packets of one flow: their headers once, then their payloads in a
// row. Linux hands such packets to a TUN device that says it can take them, and takes them from it,
// which costs a fraction of a call per packet (docs/performance.md).
//
// Nothing but the edge of the TUN device knows them: a Cutter makes ordinary packets of what comes
// from the kernel, a Joiner finds what may leave as one.
#pragma once

#include <cstdint>

namespace selvage::packet {

enum class SuperKind : std::uint8_t { none, tcp4, tcp6, udp };

// What stands beside a packet at the device, in the terms of Virtual I/O Device (VIRTIO) 1.1,
// section 5.1.6.
struct Offload {
    SuperKind kind = SuperKind::none;
    // The checksum field holds the sum of the pseudo header only; the rest, from `checksum_start`
    // on, is to be added.
    bool needs_checksum = false;
    std::uint16_t segment_bytes = 0;    // payload of each packet but the last
    std::uint16_t header_bytes = 0;     // IP and transport header; a hint only
    std::uint16_t checksum_start = 0;   // from the start of the IP header
    std::uint16_t checksum_offset = 0;  // from checksum_start
};

}  // namespace selvage::packet
