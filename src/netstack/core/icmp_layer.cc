// ICMP messages of both families; the checksum of ICMPv6 covers a pseudo header, that of ICMP not.
#include "netstack/core/icmp_layer.h"

#include <algorithm>

#include "packet/checksum.h"

namespace selvage::netstack {

using packet::IcmpHeader;
using packet::IpProtocol;

namespace {

constexpr std::uint8_t kEchoReply4 = 0;
constexpr std::uint8_t kUnreachable4 = 3;
constexpr std::uint8_t kEchoRequest4 = 8;
constexpr std::uint8_t kProtocolUnreachable4 = 2;
constexpr std::uint8_t kPortUnreachable4 = 3;
constexpr std::uint8_t kFragmentationNeeded4 = 4;
constexpr std::uint8_t kTimeExceeded4 = 11;
constexpr std::uint8_t kReassemblyTime = 1;  // code, of both families
constexpr std::uint8_t kUnreachable6 = 1;
constexpr std::uint8_t kTooBig6 = 2;
constexpr std::uint8_t kTimeExceeded6 = 3;
constexpr std::uint8_t kParameterProblem6 = 4;
constexpr std::uint8_t kUnknownNextHeader6 = 1;
constexpr std::uint8_t kPortUnreachable6 = 4;
constexpr std::uint8_t kEchoRequest6 = 128;
constexpr std::uint8_t kEchoReply6 = 129;

// An error quotes at most this much, so that it fits into the smallest packet that everybody takes
// (RFC 1812, section 4.3.2.3; RFC 4443, section 2.4 c).
constexpr std::size_t kQuotedMax4 = 576 - 20 - 8;
constexpr std::size_t kQuotedMax6 = 1280 - 40 - 8;

std::uint16_t start_of_sum(
    const IpAddress& source, const IpAddress& destination, std::size_t bytes
) {
    if (source.is_v4()) return 0;
    return packet::pseudo_header_sum(
        source, destination, static_cast<std::uint8_t>(IpProtocol::icmpv6),
        static_cast<std::uint32_t>(bytes)
    );
}

void send_icmp(
    IpOutput& output, packet::PacketBuf&& packet, const IpAddress& source,
    const IpAddress& destination
) {
    auto* header = packet.header<IcmpHeader>();
    header->checksum = 0;
    const std::uint16_t start = start_of_sum(source, destination, packet.size());
    header->checksum = packet::checksum_finish(packet::checksum_add(packet.bytes(), start));
    const IpProtocol protocol = source.is_v4() ? IpProtocol::icmp : IpProtocol::icmpv6;
    output.send(std::move(packet), source, destination, protocol);
}

struct TypeAndCode {
    std::uint8_t type = 0;
    std::uint8_t code = 0;
};

TypeAndCode type_and_code(Undeliverable why, bool v4) {
    switch (why) {
        case Undeliverable::port:
            return v4 ? TypeAndCode{kUnreachable4, kPortUnreachable4}
                      : TypeAndCode{kUnreachable6, kPortUnreachable6};
        case Undeliverable::protocol:
            return v4 ? TypeAndCode{kUnreachable4, kProtocolUnreachable4}
                      : TypeAndCode{kParameterProblem6, kUnknownNextHeader6};
        case Undeliverable::incomplete:
            return {v4 ? kTimeExceeded4 : kTimeExceeded6, kReassemblyTime};
    }
    return {};
}

// Where the number of the protocol stands that nobody here knows.
std::uint32_t next_header_position(ByteView packet, const packet::IpMeta& ip) {
    std::size_t position = offsetof(packet::Ipv6Header, next_header);
    std::size_t at = sizeof(packet::Ipv6Header);
    while (at < ip.transport_offset && at + 1 < packet.size()) {
        position = at;
        at += (std::size_t{packet[at + 1]} + 1) * 8;
    }
    return static_cast<std::uint32_t>(position);
}

// What an ICMP message of ours to read says about the packet that it quotes; empty when it is of a
// kind that we do not use.
struct Verdict {
    CloseReason reason = CloseReason::unreachable;
    std::optional<std::uint32_t> mtu;
};

std::optional<Verdict> read_verdict(const IcmpHeader& header, bool v4) {
    Verdict verdict;
    if (v4) {
        if (header.type == kTimeExceeded4) return verdict;
        if (header.type != kUnreachable4) return std::nullopt;
        // Only the lower half is the MTU (RFC 1191, section 4).
        if (header.code == kFragmentationNeeded4) verdict.mtu = header.rest & 0xffffU;
        const bool refused =
            header.code == kPortUnreachable4 || header.code == kProtocolUnreachable4;
        if (refused) verdict.reason = CloseReason::refused;
        return verdict;
    }
    switch (header.type) {
        case kTooBig6:
            verdict.mtu = header.rest.value();
            return verdict;
        case kTimeExceeded6:
            return verdict;
        case kUnreachable6:
            if (header.code == kPortUnreachable6) verdict.reason = CloseReason::refused;
            return verdict;
        case kParameterProblem6:
            if (header.code != kUnknownNextHeader6) return std::nullopt;
            verdict.reason = CloseReason::refused;
            return verdict;
        default:
            return std::nullopt;
    }
}

// What is quoted is cut short, so the lengths in it cannot be checked.
std::optional<IcmpError> read_quoted(ByteView bytes, bool v4) {
    Reader in(bytes);
    IcmpError error;
    if (v4) {
        packet::Ipv4Header ip;
        if (!in.read(ip) || ip.version_ihl >> 4 != 4 || ip.header_bytes() < sizeof(ip)) return {};
        if ((ip.fragment & packet::kIpv4OffsetMask) != 0) return {};
        if (!in.skip(ip.header_bytes() - sizeof(ip))) return {};
        error.protocol = ip.protocol;
        error.flow.local = IpAddress::v4(ip.source);
        error.flow.remote = IpAddress::v4(ip.destination);
    } else {
        packet::Ipv6Header ip;
        if (!in.read(ip) || ip.version_class_flow >> 28 != 6) return {};
        error.protocol = ip.next_header;
        error.flow.local = IpAddress::v6(ip.source);
        error.flow.remote = IpAddress::v6(ip.destination);
    }
    error.transport = in.rest();
    struct Ports {
        be16 source;
        be16 destination;
    } ports;
    if (!in.read(ports)) return {};
    error.flow.local_port = ports.source;
    error.flow.remote_port = ports.destination;
    return error;
}

}  // namespace

IcmpLayer::IcmpLayer(const StackOptions& options, StackCounters& counters, IpOutput& output)
    : counters_(counters),
      output_(output),
      echo_replies_(options.echo_replies_per_second, options.echo_replies_per_second),
      unreachables_(options.unreachables_per_second, options.unreachables_per_second) {}

std::optional<IcmpError> IcmpLayer::input(
    ByteView packet, const packet::IpMeta& ip, TimePoint now
) {
    const bool v4 = ip.source.is_v4();
    const ByteView message = packet.first(ip.total_length).subspan(ip.transport_offset);
    Reader in(message);
    IcmpHeader header;
    const std::uint16_t start = start_of_sum(ip.source, ip.destination, message.size());
    if (!in.read(header) || packet::checksum_add(message, start) != 0xffff) {
        ++counters_.icmp_bad;
        return std::nullopt;
    }
    if (header.type == (v4 ? kEchoRequest4 : kEchoRequest6) && header.code == 0) {
        answer_echo(message, ip, now);
        return std::nullopt;
    }
    const auto verdict = read_verdict(header, v4);
    if (!verdict) {
        ++counters_.icmp_ignored;
        return std::nullopt;
    }
    auto error = read_quoted(in.rest(), v4);
    // It must be about a packet that we sent, not one that somebody sent in our name to himself.
    if (!error || !output_.is_ours(error->flow.local)) {
        ++counters_.icmp_errors_invalid;
        return std::nullopt;
    }
    error->reason = verdict->reason;
    error->mtu = verdict->mtu;
    return error;
}

void IcmpLayer::answer_echo(ByteView request, const packet::IpMeta& ip, TimePoint now) {
    if (!echo_replies_.allow(now)) {
        ++counters_.icmp_rate_limited;
        return;
    }
    packet::PacketBuf reply = output_.take();
    if (!reply || !reply.append(request)) return;
    reply.header<IcmpHeader>()->type = ip.source.is_v4() ? kEchoReply4 : kEchoReply6;
    send_icmp(output_, std::move(reply), ip.destination, ip.source);
    ++counters_.icmp_echo_replies;
}

void IcmpLayer::send_error(
    Undeliverable why, ByteView packet, const packet::IpMeta& ip, TimePoint now
) {
    if (!unreachables_.allow(now)) {
        ++counters_.icmp_rate_limited;
        return;
    }
    packet::PacketBuf error = output_.take();
    if (!error) return;
    const bool v4 = ip.source.is_v4();
    const std::size_t quoted =
        std::min<std::size_t>({ip.total_length, packet.size(), v4 ? kQuotedMax4 : kQuotedMax6});
    if (!error.append(packet.first(quoted))) return;
    auto* header = error.push_front<IcmpHeader>();
    const TypeAndCode kind = type_and_code(why, v4);
    header->type = kind.type;
    header->code = kind.code;
    if (kind.type == kParameterProblem6) header->rest = next_header_position(packet, ip);
    send_icmp(output_, std::move(error), ip.destination, ip.source);
    ++counters_.icmp_errors_out;
}

}  // namespace selvage::netstack
