// The 8 bytes in front of everything that EasyTier sends over UDP, and the datagrams that open a
// session. Source: protocol document 1-link.md, section 1.2.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/error.h"

namespace selvage::tunnel {

enum class UdpType : std::uint8_t {
    invalid = 0,
    syn = 1,   // body: the magic, 8 bytes
    sack = 2,  // body: the same magic
    data = 3,  // body: one peer packet
    fin = 4,   // never sent, never handled
    hole_punch = 5,
    v4_hole_punch = 6,
    v6_hole_punch = 7,
};

struct UdpHeader {
    le32 conn_id;
    std::uint8_t type = 0;
    std::uint8_t padding = 0;  // ignored on receipt
    le16 length;               // bytes behind this header
};
static_assert(sizeof(UdpHeader) == 8 && WireStruct<UdpHeader>);

struct UdpFrame {
    std::uint32_t conn_id = 0;
    UdpType type = UdpType::invalid;
    ByteView body;  // a part of the datagram
};

// Errc::truncated without a whole header, bad_length when the length is not exactly the datagram's,
// or when a SYN or SACK does not carry a magic.
Result<UdpFrame> parse_udp_frame(ByteView datagram);

// Precondition: frame.type is syn or sack.
std::uint64_t magic_of(const UdpFrame& frame);

UdpHeader build_udp_header(std::uint32_t conn_id, UdpType type, std::size_t body_bytes);
// A whole SYN or SACK.
Bytes build_udp_opening(std::uint32_t conn_id, UdpType type, std::uint64_t magic);

}  // namespace selvage::tunnel
