// What relays look at.
#include "dataplane/relay_checks.h"

#include "packet/foreign_packet.h"
#include "packet/ip_headers.h"
#include "packet/peer_header.h"

namespace selvage::dataplane {

using packet::PacketType;
using packet::PeerHeader;

namespace {

// Stock nodes read this much of a KcpSource before they look at its length.
constexpr std::size_t kKcpWrapperBytes = 14;

bool is_data(PacketType type) {
    switch (type) {
        case PacketType::data:
        case PacketType::kcp_source:
        case PacketType::kcp_destination:
        case PacketType::quic_source:
        case PacketType::quic_destination:
        case PacketType::data_kcp_modified:
        case PacketType::data_quic_modified:
            return true;
        default:
            return false;
    }
}

}  // namespace

bool is_relay_data(const packet::PacketBuf& packet) {
    const auto* header = packet.header<PeerHeader>();
    if (header->packet_type() != PacketType::foreign_network) return is_data(header->packet_type());
    const auto wrapped = packet::parse_foreign_packet(packet.bytes().subspan(sizeof(PeerHeader)));
    PeerHeader inner;
    if (!wrapped || !Reader(wrapped->inner).read(inner)) return true;
    return is_data(inner.packet_type());
}

bool belongs_to_a_connection(PacketType type) {
    return type == PacketType::handshake || type == PacketType::ping || type == PacketType::pong;
}

bool would_harm_stock_node(const packet::PacketBuf& packet) {
    const auto* header = packet.header<PeerHeader>();
    const ByteView payload = packet.bytes().subspan(sizeof(PeerHeader));
    constexpr std::uint8_t kOpaque = packet::flag::kEncrypted | packet::flag::kCompressed;
    if ((header->flags & kOpaque) != 0) return false;
    switch (header->packet_type()) {
        case PacketType::kcp_source:
            return payload.size() < kKcpWrapperBytes;
        case PacketType::data: {
            if (payload.size() < sizeof(packet::Ipv4Header)) return false;
            const int version = payload[0] >> 4;
            return version != 4 && version != 6;
        }
        default:
            return false;
    }
}

namespace {

bool is_icmp_error(const packet::IpMeta& ip, std::uint8_t type) {
    if (ip.protocol == static_cast<std::uint8_t>(packet::IpProtocol::icmpv6)) return type < 128;
    // Unreachable, source quench, redirect, time exceeded, parameter problem (RFC 792).
    return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

// The header of a quoted packet, which may be cut short behind it, so that the whole-packet parser
// does not apply. What we send has no extension headers.
std::optional<FlowKey> quoted_ipv4(Reader& in) {
    packet::Ipv4Header quoted;
    if (!in.read(quoted) || (quoted.version_ihl >> 4) != 4) return std::nullopt;
    // Behind the header of a later fragment lies data, whatever ports it may look like.
    if ((quoted.fragment & packet::kIpv4OffsetMask) != 0) return std::nullopt;
    const std::size_t header_bytes = quoted.header_bytes();
    if (header_bytes < sizeof(quoted) || !in.skip(header_bytes - sizeof(quoted))) {
        return std::nullopt;
    }
    return FlowKey{
        quoted.protocol, {IpAddress::v4(quoted.source), 0}, {IpAddress::v4(quoted.destination), 0}
    };
}

std::optional<FlowKey> quoted_ipv6(Reader& in) {
    packet::Ipv6Header quoted;
    if (!in.read(quoted) || (quoted.version_class_flow >> 28) != 6) return std::nullopt;
    return FlowKey{
        quoted.next_header,
        {IpAddress::v6(quoted.source), 0},
        {IpAddress::v6(quoted.destination), 0}
    };
}

}  // namespace

std::optional<FlowKey> quoted_flow(const packet::IpMeta& ip, ByteView bytes) {
    if (ip.is_fragment) return std::nullopt;
    Reader in(bytes.subspan(ip.transport_offset));
    packet::IcmpHeader icmp;
    if (!in.read(icmp) || !is_icmp_error(ip, icmp.type)) return std::nullopt;
    auto quoted = ip.source.is_v4() ? quoted_ipv4(in) : quoted_ipv6(in);
    if (!quoted) return std::nullopt;
    struct Ports {
        be16 source, destination;
    } ports;
    if (!in.read(ports)) return std::nullopt;
    const auto protocol = static_cast<packet::IpProtocol>(quoted->protocol);
    if (protocol != packet::IpProtocol::tcp && protocol != packet::IpProtocol::udp) {
        return std::nullopt;
    }
    quoted->local.port = ports.source;
    quoted->remote.port = ports.destination;
    return quoted;
}

}  // namespace selvage::dataplane
