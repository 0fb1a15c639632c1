// IPv4, IPv6, TCP, UDP and ICMP headers as they lie on the wire, and one parser that fills IpMeta.
// Sources: RFC 791, RFC 8200, RFC 9293, RFC 768, RFC 792, RFC 4443.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "packet/packet_buf.h"

namespace selvage::packet {

// What routers and ends say with the last two bits of the traffic class (RFC 3168, section 5).
namespace ecn {
constexpr std::uint8_t kMask = 3;
constexpr std::uint8_t kNotCapable = 0;
constexpr std::uint8_t kCapable = 2;  // ECT(0)
constexpr std::uint8_t kCongestionExperienced = 3;
}  // namespace ecn

struct Ipv4Header {
    std::uint8_t version_ihl = 0x45;
    std::uint8_t tos = 0;
    be16 total_length;
    be16 id;
    be16 fragment;  // 3 flag bits, 13 bits of offset in units of 8 bytes
    std::uint8_t ttl = 64;
    std::uint8_t protocol = 0;
    be16 checksum;
    be32 source;
    be32 destination;

    std::size_t header_bytes() const { return (version_ihl & std::size_t{0x0f}) * 4; }
};
static_assert(sizeof(Ipv4Header) == 20 && WireStruct<Ipv4Header>);

constexpr std::uint16_t kIpv4DontFragment = 0x4000;
constexpr std::uint16_t kIpv4MoreFragments = 0x2000;
constexpr std::uint16_t kIpv4OffsetMask = 0x1fff;

struct Ipv6Header {
    be32 version_class_flow = 0x60000000;
    be16 payload_length;
    std::uint8_t next_header = 0;
    std::uint8_t hop_limit = 64;
    std::array<std::uint8_t, 16> source{};
    std::array<std::uint8_t, 16> destination{};
};
static_assert(sizeof(Ipv6Header) == 40 && WireStruct<Ipv6Header>);

struct TcpHeader {
    be16 source_port;
    be16 destination_port;
    be32 sequence;
    be32 acknowledgement;
    std::uint8_t data_offset = 0x50;  // upper nibble, in words of 4 bytes
    std::uint8_t flags = 0;
    be16 window;
    be16 checksum;
    be16 urgent;

    std::size_t header_bytes() const { return std::size_t{data_offset} / 16 * 4; }
};
static_assert(sizeof(TcpHeader) == 20 && WireStruct<TcpHeader>);

namespace tcp_flag {
constexpr std::uint8_t kFin = 0x01;
constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kRst = 0x04;
constexpr std::uint8_t kPsh = 0x08;
constexpr std::uint8_t kAck = 0x10;
constexpr std::uint8_t kUrg = 0x20;
constexpr std::uint8_t kEce = 0x40;
constexpr std::uint8_t kCwr = 0x80;
}  // namespace tcp_flag

struct UdpHeader {
    be16 source_port;
    be16 destination_port;
    be16 length;
    be16 checksum;
};
static_assert(sizeof(UdpHeader) == 8 && WireStruct<UdpHeader>);

struct IcmpHeader {
    std::uint8_t type = 0;
    std::uint8_t code = 0;
    be16 checksum;
    be32 rest;  // id and sequence, unused, or next-hop MTU
};
static_assert(sizeof(IcmpHeader) == 8 && WireStruct<IcmpHeader>);

// Reads the headers of the IP packet in `bytes`. Errors: truncated, bad_length (a length field
// that contradicts what is there), unsupported (neither IPv4 nor IPv6). Trailing bytes beyond the
// IP length are tolerated; total_length says where the packet ends. A packet whose transport
// header is cut short parses with has_ports false.
Result<IpMeta> parse_ip(ByteView bytes);

}  // namespace selvage::packet
