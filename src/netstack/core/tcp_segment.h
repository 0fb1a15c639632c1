// A TCP segment taken apart: header fields, the options that we know, the payload in place.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "netstack/core/seq_num.h"
#include "netstack/core/socket_ids.h"
#include "packet/ip_headers.h"

namespace selvage::netstack {

struct TcpTimestamps {
    std::uint32_t value = 0;
    std::uint32_t echo = 0;
};

// RFC 9293 (MSS), RFC 7323 (window scale, timestamps), RFC 2018 (SACK).
struct TcpOptions {
    static constexpr std::size_t kSackBlocksMax = 4;  // more do not fit into 40 bytes
    static constexpr std::size_t kBytesMax = 40;

    std::optional<std::uint16_t> mss;
    std::optional<std::uint8_t> window_scale;
    bool sack_permitted = false;
    std::optional<TcpTimestamps> timestamps;
    std::array<SeqRange, kSackBlocksMax> sack{};
    std::size_t sack_count = 0;
};

struct TcpSegment {
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    SeqNum seq;
    SeqNum ack;
    std::uint8_t flags = 0;
    std::uint16_t window = 0;
    TcpOptions options;
    ByteView payload;     // borrowed from the packet
    bool marked = false;  // by a router on the way (RFC 3168)

    // Of a SYN: its sender would use ECN (RFC 3168, section 6.1.1).
    bool asks_for_ecn() const {
        using namespace packet::tcp_flag;
        return has(kEce) && has(kCwr) && !marked;
    }
    // Of the answer to one.
    bool agrees_to_ecn() const {
        using namespace packet::tcp_flag;
        return has(kEce) && !has(kCwr);
    }
    bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
    // What it occupies in sequence space.
    std::uint32_t length() const {
        return static_cast<std::uint32_t>(payload.size()) +
               (has(packet::tcp_flag::kSyn) ? 1U : 0U) + (has(packet::tcp_flag::kFin) ? 1U : 0U);
    }
    SeqNum end() const { return seq + length(); }
};

// Reads a segment from transport bytes whose checksum is known to be right. Unknown and malformed
// options are skipped; a header length that contradicts the packet is an error.
Result<TcpSegment> parse_tcp_segment(ByteView transport);

// Writes the options, padded to a multiple of four, and says how many bytes that were. SACK
// blocks that do not fit beside the others are left out.
std::size_t build_tcp_options(
    const TcpOptions& options, std::array<std::uint8_t, TcpOptions::kBytesMax>& out
);

// What goes into the header of a segment that we send.
struct TcpFields {
    SeqNum seq;
    SeqNum ack;
    std::uint8_t flags = 0;
    std::uint16_t window = 0;
    TcpOptions options;
};

// Puts the TCP header, options and checksum in front of the payload in `packet`.
void push_tcp_header(packet::PacketBuf& packet, const FlowKey& flow, const TcpFields& fields);

}  // namespace selvage::netstack
