// parse_ip: the one place that walks IP headers.
#include "packet/ip_headers.h"

namespace selvage::packet {
namespace {

// IPv6 extension headers that may stand before the transport header (RFC 8200 section 4).
constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragment = 44;
constexpr std::uint8_t kDestinationOptions = 60;
// More than anyone sends; a longer chain only costs us time.
constexpr int kExtensionHeadersMax = 8;

void read_ports(ByteView transport, IpMeta& meta) {
    const bool tcp = meta.protocol == static_cast<std::uint8_t>(IpProtocol::tcp);
    const bool udp = meta.protocol == static_cast<std::uint8_t>(IpProtocol::udp);
    if (!tcp && !udp) return;
    Reader in(transport);
    if (tcp) {
        TcpHeader header;
        if (!in.read(header)) return;
        meta.source_port = header.source_port;
        meta.destination_port = header.destination_port;
        meta.tcp_flags = header.flags;
    } else {
        UdpHeader header;
        if (!in.read(header)) return;
        meta.source_port = header.source_port;
        meta.destination_port = header.destination_port;
    }
    meta.has_ports = true;
}

Result<IpMeta> parse_ipv4(ByteView bytes) {
    Reader in(bytes);
    Ipv4Header header;
    if (!in.read(header)) return Errc::truncated;
    const std::size_t header_bytes = header.header_bytes();
    const std::size_t total = header.total_length;
    if (header_bytes < sizeof(header) || total < header_bytes) return Errc::bad_length;
    if (bytes.size() < total) return Errc::truncated;

    IpMeta meta;
    meta.source = IpAddress::v4(header.source);
    meta.destination = IpAddress::v4(header.destination);
    meta.protocol = header.protocol;
    meta.ecn = header.tos & ecn::kMask;
    meta.transport_offset = static_cast<std::uint16_t>(header_bytes);
    meta.total_length = header.total_length;
    meta.is_fragment = (header.fragment & (kIpv4MoreFragments | kIpv4OffsetMask)) != 0;
    meta.is_later_fragment = (header.fragment & kIpv4OffsetMask) != 0;
    if (meta.is_fragment) meta.fragment_id = header.id;
    if (!meta.is_later_fragment) read_ports(bytes.first(total).subspan(header_bytes), meta);
    return meta;
}

Result<IpMeta> parse_ipv6(ByteView bytes) {
    Reader in(bytes);
    Ipv6Header header;
    if (!in.read(header)) return Errc::truncated;
    const std::size_t total = sizeof(header) + header.payload_length;
    if (bytes.size() < total) return Errc::truncated;
    if (total > 0xffff) return Errc::bad_length;

    IpMeta meta;
    meta.source = IpAddress::v6(header.source);
    meta.destination = IpAddress::v6(header.destination);
    meta.total_length = static_cast<std::uint16_t>(total);
    meta.ecn = static_cast<std::uint8_t>(header.version_class_flow >> 20 & ecn::kMask);
    std::uint8_t next = header.next_header;
    std::size_t at = sizeof(header);
    for (int i = 0; i < kExtensionHeadersMax; ++i) {
        const bool fragment = next == kFragment;
        if (!fragment && next != kHopByHop && next != kRouting && next != kDestinationOptions)
            break;
        if (total - at < 8) return Errc::truncated;
        std::size_t length = 8;
        if (fragment) {
            meta.is_fragment = true;
            meta.is_later_fragment = ((bytes[at + 2] << 8 | bytes[at + 3]) & 0xfff8) != 0;
            be32 id;
            std::memcpy(&id, &bytes[at + 4], sizeof(id));
            meta.fragment_id = id;
        } else {
            length = (std::size_t{bytes[at + 1]} + 1) * 8;
        }
        if (total - at < length) return Errc::truncated;
        next = bytes[at];
        at += length;
        if (meta.is_later_fragment) break;
    }
    meta.protocol = next;
    meta.transport_offset = static_cast<std::uint16_t>(at);
    if (!meta.is_later_fragment) read_ports(bytes.first(total).subspan(at), meta);
    return meta;
}

}  // namespace

Result<IpMeta> parse_ip(ByteView bytes) {
    if (bytes.empty()) return Errc::truncated;
    switch (bytes[0] >> 4) {
        case 4:
            return parse_ipv4(bytes);
        case 6:
            return parse_ipv6(bytes);
        default:
            return Errc::unsupported;
    }
}

}  // namespace selvage::packet
