// IP input, dispatch to the layers, and the order of a poll.
#include "netstack/core/stack.h"

#include <algorithm>

#include "packet/checksum.h"

namespace selvage::netstack {

using packet::IpMeta;
using packet::IpProtocol;
using packet::PacketBuf;

namespace {

// Below: IPv4's minimum of what every host takes. Above: what fits into a block with its headroom.
constexpr std::uint16_t kMtuMin = 576;
constexpr std::uint16_t kMtuMax = 1900;

StackOptions checked(StackOptions options) {
    options.mtu = std::clamp(options.mtu, kMtuMin, kMtuMax);
    if (options.ephemeral_first > options.ephemeral_last) {
        std::swap(options.ephemeral_first, options.ephemeral_last);
    }
    return options;
}

}  // namespace

Stack::Stack(StackOptions options, packet::PacketPool& pool, const StackSeeds& seeds)
    : options_(checked(std::move(options))),
      output_(pool, counters_),
      reassembly_(counters_),
      tcp_(options_, seeds, counters_, output_, path_mtu_, events_),
      udp_(options_, counters_, output_, path_mtu_, events_, seeds.sequence_key),
      icmp_(options_, counters_, output_) {}

void Stack::set_addresses(std::vector<Prefix> addresses) {
    output_.set_addresses(std::move(addresses));
    tcp_.on_addresses_changed();
}

void Stack::input(PacketBuf&& packet, TimePoint now) {
    receive(std::move(packet), false, now);
}

void Stack::input(packet::PacketBatch&& batch) {
    tcp_.start_train();
    for (PacketBuf& packet : batch)
        receive(std::move(packet), false, batch.now());
    tcp_.end_train();
}

bool Stack::acceptable(const IpMeta& ip, bool from_ourselves) {
    // Answering a source that stands for many would make us an amplifier; one that is our own
    // address was forged unless the packet came back from ourselves.
    if (ip.source.is_multicast() || ip.source.is_unspecified() || ip.source.is_loopback() ||
        output_.is_broadcast(ip.source) || (!from_ourselves && output_.is_ours(ip.source))) {
        ++counters_.bad_source;
        return false;
    }
    if (!output_.is_ours(ip.destination)) {
        ++counters_.not_for_us;
        return false;
    }
    return true;
}

void Stack::receive(PacketBuf&& packet, bool from_ourselves, TimePoint now) {
    note_time(now);
    ++counters_.packets_in;
    const auto parsed = packet::parse_ip(packet.bytes());
    if (!parsed) {
        ++counters_.bad_ip;
        return;
    }
    const IpMeta& ip = *parsed;
    if (ip.source.is_v4()) {
        // The options of the header are skipped, but its checksum covers them.
        const auto& header = *packet.header<packet::Ipv4Header>();
        const ByteView bytes = packet.bytes().first(header.header_bytes());
        if (packet::checksum_add(bytes) != 0xffff) {
            ++counters_.bad_ip;
            return;
        }
    }
    if (!acceptable(ip, from_ourselves)) return;
    if (!ip.is_fragment) return dispatch(packet.bytes(), ip, now);

    const auto whole = reassembly_.add(packet.bytes(), ip, now);
    if (!whole) return;
    // The chain of IPv6 headers goes on inside what was put together.
    const auto again = packet::parse_ip(*whole);
    if (!again || again->is_fragment) {
        ++counters_.bad_ip;
        return;
    }
    dispatch(*whole, *again, now);
}

void Stack::dispatch(ByteView packet, const IpMeta& ip, TimePoint now) {
    const ByteView transport = packet.first(ip.total_length).subspan(ip.transport_offset);
    const auto icmp = ip.source.is_v4() ? IpProtocol::icmp : IpProtocol::icmpv6;
    if (ip.protocol == static_cast<std::uint8_t>(IpProtocol::tcp)) {
        const bool marked = ip.ecn == packet::ecn::kCongestionExperienced;
        tcp_.input(ip.source, ip.destination, transport, marked, now);
    } else if (ip.protocol == static_cast<std::uint8_t>(IpProtocol::udp)) {
        if (!udp_.input(ip.source, ip.destination, transport)) {
            ++counters_.udp_closed_port;
            icmp_.send_error(Undeliverable::port, packet, ip, now);
        }
    } else if (ip.protocol == static_cast<std::uint8_t>(icmp)) {
        if (const auto error = icmp_.input(packet, ip, now)) on_icmp_error(*error, now);
    } else {
        ++counters_.unknown_protocol;
        icmp_.send_error(Undeliverable::protocol, packet, ip, now);
    }
}

void Stack::on_icmp_error(const IcmpError& error, TimePoint now) {
    if (error.protocol == static_cast<std::uint8_t>(IpProtocol::tcp)) {
        tcp_.on_icmp_error(error, now);
    } else if (error.protocol == static_cast<std::uint8_t>(IpProtocol::udp)) {
        udp_.on_icmp_error(error, now);
    } else {
        ++counters_.icmp_ignored;
    }
}

void Stack::expire_fragments(TimePoint now) {
    constexpr std::uint8_t kEchoRequest4 = 8;
    constexpr std::uint8_t kEchoRequest6 = 128;
    while (const auto expired = reassembly_.expire(now)) {
        const auto& [first, ip] = *expired;
        if (first.size() <= ip.transport_offset) continue;  // it never came
        const bool icmp = ip.protocol == static_cast<std::uint8_t>(IpProtocol::icmp) ||
                          ip.protocol == static_cast<std::uint8_t>(IpProtocol::icmpv6);
        // An error must not cause an error (RFC 1122, section 3.2.2; RFC 4443, section 2.4 e).
        if (icmp) {
            const std::uint8_t type = first[ip.transport_offset];
            if (type != kEchoRequest4 && type != kEchoRequest6) continue;
        }
        icmp_.send_error(Undeliverable::incomplete, first, ip, now);
    }
}

void Stack::poll(TimePoint now, PacketOut& out) {
    note_time(now);
    const std::uint64_t refused = counters_.no_buffer;
    for (PacketBuf& packet : output_.take_loopback())
        receive(std::move(packet), true, now);
    expire_fragments(now);
    path_mtu_.forget_old(now);
    tcp_.run_timers(now);
    output_.set_next(&out);
    tcp_.emit(now);
    output_.set_next(nullptr);
    output_.flush(now, out);
    pool_was_empty_ = counters_.no_buffer != refused;
}

std::optional<TimePoint> Stack::next_timeout() const {
    if (!output_.empty()) return last_now_;
    if (tcp_.wants_to_speak()) return pool_was_empty_ ? last_now_ + kPoolRetry : last_now_;
    const auto fragments = reassembly_.next_timeout();
    const auto tcp = tcp_.next_timeout();
    return fragments && (!tcp || *fragments < *tcp) ? fragments : tcp;
}

std::optional<StackEvent> Stack::next_event() {
    while (const auto socket = events_.pop()) {
        SocketEvents events = 0;
        if (const auto* tcp = std::get_if<TcpId>(&*socket)) events = tcp_.take_events(*tcp);
        if (const auto* udp = std::get_if<UdpId>(&*socket)) events = udp_.take_events(*udp);
        if (const auto* l = std::get_if<ListenerId>(&*socket)) events = tcp_.take_events(*l);
        if (events != 0) return StackEvent{*socket, events};
    }
    return std::nullopt;
}

}  // namespace selvage::netstack
