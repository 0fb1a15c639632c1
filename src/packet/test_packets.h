// IP packets for the tests of cutting and joining: built field by field, with right checksums.
#pragma once

#include "packet/checksum.h"
#include "packet/ip_headers.h"
#include "packet/super_packet.h"

namespace selvage::packet {

struct TestPacket {
    bool v6 = false;
    bool udp = false;
    std::uint32_t source = 0x0a900101;  // the last four bytes of an IPv6 address
    std::uint32_t destination = 0x0a900102;
    std::uint16_t source_port = 40000;
    std::uint16_t destination_port = 5201;
    std::uint8_t traffic_class = 0;
    std::uint8_t ttl = 64;
    std::uint16_t id = 100;
    std::uint16_t fragment = 0;  // flags and offset
    Bytes ip_options = {};       // a multiple of 4; IPv4 only
    std::uint32_t sequence = 1000;
    std::uint32_t acknowledgement = 77;
    std::uint8_t flags = tcp_flag::kAck;
    std::uint16_t window = 500;
    std::uint16_t urgent = 0;
    Bytes tcp_options = {};  // a multiple of 4
    Bytes payload = {};
    bool checksum = true;  // false: the field is 0

    std::size_t ip_bytes() const { return v6 ? sizeof(Ipv6Header) : 20 + ip_options.size(); }
    std::size_t transport_bytes() const {
        return udp ? sizeof(UdpHeader) : sizeof(TcpHeader) + tcp_options.size();
    }
    // The packet as it would cross a wire.
    Bytes build() const {
        Bytes transport = build_transport();
        Bytes out = build_ip(transport.size());
        out.insert(out.end(), transport.begin(), transport.end());
        return out;
    }
    // The same packet as a kernel gives it to a device that makes checksums.
    Bytes build_open(Offload& offload) const {
        Bytes out = build();
        const std::size_t at = ip_bytes();
        const std::size_t field =
            udp ? offsetof(UdpHeader, checksum) : offsetof(TcpHeader, checksum);
        const be16 open = pseudo(out.size() - at);
        std::memcpy(&out[at + field], &open, sizeof(open));
        offload.needs_checksum = true;
        offload.checksum_start = static_cast<std::uint16_t>(at);
        offload.checksum_offset = static_cast<std::uint16_t>(field);
        offload.header_bytes = static_cast<std::uint16_t>(at + transport_bytes());
        return out;
    }

private:
    std::array<std::uint8_t, 16> address6(std::uint32_t tail) const {
        std::array<std::uint8_t, 16> out{0xfd};
        const be32 bytes = tail;
        std::memcpy(&out[12], &bytes, 4);
        return out;
    }
    IpAddress address(std::uint32_t value) const {
        return v6 ? IpAddress::v6(address6(value)) : IpAddress::v4(value);
    }
    std::uint16_t pseudo(std::size_t bytes) const {
        const auto protocol = static_cast<std::uint8_t>(udp ? IpProtocol::udp : IpProtocol::tcp);
        return pseudo_header_sum(
            address(source), address(destination), protocol, static_cast<std::uint32_t>(bytes)
        );
    }
    Bytes build_ip(std::size_t behind) const {
        Bytes out(ip_bytes());
        const auto protocol = static_cast<std::uint8_t>(udp ? IpProtocol::udp : IpProtocol::tcp);
        if (v6) {
            auto* ip = new (out.data()) Ipv6Header;
            ip->version_class_flow = 0x60012345 | (std::uint32_t{traffic_class} << 20);
            ip->payload_length = static_cast<std::uint16_t>(behind);
            ip->next_header = protocol;
            ip->hop_limit = ttl;
            ip->source = address6(source);
            ip->destination = address6(destination);
            return out;
        }
        auto* ip = new (out.data()) Ipv4Header;
        ip->version_ihl = static_cast<std::uint8_t>(0x40 | (out.size() / 4));
        ip->tos = traffic_class;
        ip->total_length = static_cast<std::uint16_t>(out.size() + behind);
        ip->id = id;
        ip->fragment = fragment;
        ip->ttl = ttl;
        ip->protocol = protocol;
        ip->source = source;
        ip->destination = destination;
        std::ranges::copy(ip_options, out.begin() + 20);
        ip->checksum = checksum_finish(checksum_add(out));
        return out;
    }
    Bytes build_transport() const {
        Bytes out(transport_bytes());
        if (udp) {
            auto* header = new (out.data()) UdpHeader;
            header->source_port = source_port;
            header->destination_port = destination_port;
            header->length = static_cast<std::uint16_t>(out.size() + payload.size());
        } else {
            auto* header = new (out.data()) TcpHeader;
            header->source_port = source_port;
            header->destination_port = destination_port;
            header->sequence = sequence;
            header->acknowledgement = acknowledgement;
            header->data_offset = static_cast<std::uint8_t>(out.size() / 4 << 4);
            header->flags = flags;
            header->window = window;
            header->urgent = urgent;
            std::ranges::copy(tcp_options, out.begin() + sizeof(TcpHeader));
        }
        out.insert(out.end(), payload.begin(), payload.end());
        const be16 sum = checksum_finish(checksum_add(out, pseudo(out.size())));
        const std::size_t field =
            udp ? offsetof(UdpHeader, checksum) : offsetof(TcpHeader, checksum);
        if (checksum) std::memcpy(&out[field], &sum, sizeof(sum));
        return out;
    }
};

// `size` bytes that tell where they come from.
inline Bytes test_payload(std::size_t size, std::size_t from = 0) {
    Bytes out(size);
    for (std::size_t i = 0; i < size; ++i)
        out[i] = static_cast<std::uint8_t>((from + i) * 7 + (from + i) / 256);
    return out;
}

}  // namespace selvage::packet
