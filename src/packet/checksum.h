// The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/ip.h"

namespace selvage::packet {

// One's complement sum of `bytes` as big-endian words, folded to 16 bits, added to `start`.
// An odd last byte counts as if a zero followed it, so only the last piece may be odd.
std::uint16_t checksum_add(ByteView bytes, std::uint16_t start = 0);

// The value for a header's checksum field: the complement of the sum.
inline std::uint16_t checksum_finish(std::uint16_t sum) {
    return static_cast<std::uint16_t>(~sum);
}

// Sum of the pseudo header of TCP, UDP and ICMPv6 (RFC 9293 section 3.1, RFC 8200 section 8.1).
std::uint16_t pseudo_header_sum(
    const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
    std::uint32_t transport_bytes
);

}  // namespace selvage::packet
