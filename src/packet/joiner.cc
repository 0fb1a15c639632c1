// Which packets make a train, and the headers of a train.
#include "packet/joiner.h"

#include <algorithm>

#include "packet/checksum.h"
#include "packet/ip_headers.h"

namespace selvage::packet {
namespace {

constexpr std::size_t kIpBytesMax = 65535;
constexpr std::uint8_t kEnds = tcp_flag::kPsh | tcp_flag::kFin;
constexpr std::uint8_t kMayJoin = tcp_flag::kAck | tcp_flag::kEce | kEnds;

// How a packet stands to the trains before it.
enum class Relation : std::uint8_t {
    none,     // of no kind that is ever joined
    barrier,  // of such a kind, but nobody read closely enough of which flow
    lone,     // its flow's train ends before it, and it begins none
    joins,
};

template <class Header>
const Header& header_at(ByteView packet, std::size_t at) {
    return *reinterpret_cast<const Header*>(packet.data() + at);
}

bool equal_bytes(ByteView a, ByteView b, std::size_t from, std::size_t to) {
    return std::memcmp(a.data() + from, b.data() + from, to - from) == 0;
}

// Fills in what the IP header says; Relation::joins when the transport decides.
Relation read_ip(ByteView packet, Joiner::Train& out, std::uint8_t& protocol) {
    if (packet.size() < sizeof(Ipv4Header)) return Relation::none;
    if (packet[0] >> 4 == 4) {
        const auto& ip = header_at<Ipv4Header>(packet, 0);
        protocol = ip.protocol;
        out.is_v4 = true;
        out.ip_bytes = sizeof(Ipv4Header);
        const bool plain = ip.header_bytes() == sizeof(Ipv4Header) &&
                           (ip.fragment & (kIpv4MoreFragments | kIpv4OffsetMask)) == 0 &&
                           ip.total_length == packet.size();
        return plain ? Relation::joins : Relation::barrier;
    }
    if (packet[0] >> 4 != 6 || packet.size() < sizeof(Ipv6Header)) return Relation::none;
    const auto& ip = header_at<Ipv6Header>(packet, 0);
    protocol = ip.next_header;
    out.is_v4 = false;
    out.ip_bytes = sizeof(Ipv6Header);
    const bool plain = sizeof(Ipv6Header) + ip.payload_length == packet.size();
    return plain ? Relation::joins : Relation::barrier;
}

Relation read_packet(ByteView packet, Joiner::Train& out) {
    std::uint8_t protocol = 0;
    const Relation of_ip = read_ip(packet, out, protocol);
    if (of_ip == Relation::none) return of_ip;
    const std::size_t behind_ip = packet.size() - out.ip_bytes;
    switch (static_cast<IpProtocol>(protocol)) {
        case IpProtocol::tcp: {
            if (of_ip == Relation::barrier || behind_ip < sizeof(TcpHeader)) {
                return Relation::barrier;
            }
            const auto& tcp = header_at<TcpHeader>(packet, out.ip_bytes);
            const std::size_t bytes = tcp.header_bytes();
            if (bytes < sizeof(TcpHeader) || bytes > behind_ip) return Relation::barrier;
            out.kind = out.is_v4 ? SuperKind::tcp4 : SuperKind::tcp6;
            out.header_bytes = static_cast<std::uint8_t>(out.ip_bytes + bytes);
            const bool plain = (tcp.flags & tcp_flag::kAck) != 0 && (tcp.flags & ~kMayJoin) == 0;
            if (!plain || bytes == behind_ip) return Relation::lone;
            break;
        }
        case IpProtocol::udp: {
            if (of_ip == Relation::barrier || behind_ip < sizeof(UdpHeader)) {
                return Relation::barrier;
            }
            const auto& udp = header_at<UdpHeader>(packet, out.ip_bytes);
            if (udp.length != behind_ip) return Relation::barrier;
            out.kind = SuperKind::udp;
            out.header_bytes = static_cast<std::uint8_t>(out.ip_bytes + sizeof(UdpHeader));
            // Without a checksum nothing says that it came whole.
            if (udp.checksum == 0 || behind_ip == sizeof(UdpHeader)) return Relation::lone;
            break;
        }
        default:
            // Behind extension headers may be TCP; all else has no order that matters to a train.
            return out.is_v4 || protocol == static_cast<std::uint8_t>(IpProtocol::icmpv6)
                       ? Relation::none
                       : Relation::barrier;
    }
    out.segment_bytes = static_cast<std::uint16_t>(packet.size() - out.header_bytes);
    return Relation::joins;
}

// Addresses and ports, which stand next to each other where there are no options.
bool same_flow(const Joiner::Train& a, ByteView first, const Joiner::Train& b, ByteView packet) {
    const std::size_t from = a.is_v4 ? 12 : 8;
    return a.kind == b.kind && a.is_v4 == b.is_v4 &&
           equal_bytes(first, packet, from, std::size_t{a.ip_bytes} + 4);
}

bool ip_allows(ByteView first, ByteView packet, const Joiner::Train& train) {
    if (!train.is_v4) {
        // Class and flow label; hop limit.
        return equal_bytes(first, packet, 0, 4) && equal_bytes(first, packet, 6, 8);
    }
    // Version, class; flags and offset, TTL, protocol.
    if (!equal_bytes(first, packet, 0, 2) || !equal_bytes(first, packet, 6, 10)) return false;
    const auto& ip = header_at<Ipv4Header>(packet, 0);
    if ((ip.fragment & kIpv4DontFragment) != 0) return true;
    const auto expected = header_at<Ipv4Header>(first, 0).id + train.count;
    return ip.id == static_cast<std::uint16_t>(expected);
}

bool tcp_allows(ByteView first, ByteView packet, const Joiner::Train& train) {
    const std::size_t at = train.ip_bytes;
    const auto& before = header_at<TcpHeader>(first, at);
    const auto& tcp = header_at<TcpHeader>(packet, at);
    const auto expected = static_cast<std::uint32_t>(before.sequence + train.payload_bytes);
    return tcp.sequence == expected &&
           (tcp.flags & ~kEnds) == before.flags &&                   // the first one ends nothing
           equal_bytes(first, packet, at + 8, at + 13) &&            // acknowledgement, offset
           equal_bytes(first, packet, at + 14, at + 16) &&           // window
           equal_bytes(first, packet, at + 18, train.header_bytes);  // urgent pointer, options
}

std::uint16_t pseudo_sum(ByteView packet, const Joiner::Train& train, std::size_t transport_bytes) {
    const std::size_t from = train.is_v4 ? 12 : 8;
    struct Tail {
        be32 length;
        be32 protocol;
    } tail{
        static_cast<std::uint32_t>(transport_bytes),
        static_cast<std::uint32_t>(train.kind == SuperKind::udp ? IpProtocol::udp : IpProtocol::tcp)
    };
    return checksum_add(
        as_bytes_of(tail), checksum_add(packet.subspan(from, train.ip_bytes - from))
    );
}

// A sum over everything, the checksum itself included, is all ones when it is right.
bool checksums_hold(ByteView packet, const Joiner::Train& train) {
    if (train.is_v4 && checksum_add(packet.first(sizeof(Ipv4Header))) != 0xffff) return false;
    const ByteView transport = packet.subspan(train.ip_bytes);
    return checksum_add(transport, pseudo_sum(packet, train, transport.size())) == 0xffff;
}

bool ends_train(ByteView packet, const Joiner::Train& train) {
    return train.kind != SuperKind::udp &&
           (header_at<TcpHeader>(packet, train.ip_bytes).flags & kEnds) != 0;
}

}  // namespace

std::span<const Joiner::Train> Joiner::arrange(const PacketBatch& batch) {
    count_ = open_count_ = 0;
    for (std::size_t i = 0; i < batch.size(); ++i) {
        const ByteView packet = batch[i].bytes();
        Train wanted{.count = 1, .first = static_cast<std::uint8_t>(i)};
        wanted.last = wanted.first;
        Relation relation = read_packet(packet, wanted);
        const bool allowed = wanted.kind == SuperKind::udp ? options_.udp : options_.tcp;
        if (relation == Relation::joins && !allowed) relation = Relation::none;
        if (relation == Relation::barrier) close_all();
        if (relation == Relation::lone || relation == Relation::joins) {
            Train* const before = open_train(batch, wanted, packet);
            if (before != nullptr) {
                if (relation == Relation::joins && append(batch, *before, wanted)) continue;
                close(*before);
            }
        }
        wanted.payload_bytes = wanted.segment_bytes;
        wanted.open = relation == Relation::joins && !ends_train(packet, wanted);
        add(wanted);
    }
    return {trains_.data(), count_};
}

Joiner::Train* Joiner::open_train(const PacketBatch& batch, const Train& wanted, ByteView packet) {
    // The one that grew last is mostly the one that grows next, and it was begun late.
    for (std::size_t i = open_count_; i-- > 0;) {
        Train& train = trains_[open_[i]];
        if (same_flow(train, batch[train.first].bytes(), wanted, packet)) return &train;
    }
    return nullptr;
}

bool Joiner::append(const PacketBatch& batch, Train& train, const Train& wanted) {
    const ByteView first = batch[train.first].bytes();
    const ByteView packet = batch[wanted.first].bytes();
    const std::size_t total = train.header_bytes + train.payload_bytes + wanted.segment_bytes;
    if (wanted.header_bytes != train.header_bytes || wanted.segment_bytes > train.segment_bytes ||
        total > kIpBytesMax || !ip_allows(first, packet, train)) {
        return false;
    }
    if (train.kind != SuperKind::udp && !tcp_allows(first, packet, train)) return false;
    if (!train.first_checked && !checksums_hold(first, train)) return false;
    train.first_checked = true;
    if (!checksums_hold(packet, wanted)) return false;
    next_[train.last] = wanted.first;
    train.last = wanted.first;
    ++train.count;
    train.payload_bytes += wanted.segment_bytes;
    if (wanted.segment_bytes < train.segment_bytes || ends_train(packet, wanted)) close(train);
    return true;
}

void Joiner::add(const Train& train) {
    if (train.open) {
        if (open_count_ == kOpenMax) close(trains_[open_[0]]);
        open_[open_count_++] = static_cast<std::uint8_t>(count_);
    }
    trains_[count_++] = train;
}

void Joiner::close(Train& train) {
    train.open = false;
    const auto number = static_cast<std::uint8_t>(&train - trains_.data());
    const auto end = open_.begin() + static_cast<std::ptrdiff_t>(open_count_);
    const auto found = std::find(open_.begin(), end, number);
    if (found == end) return;
    std::copy(found + 1, end, found);
    --open_count_;
}

void Joiner::close_all() {
    for (std::size_t i = 0; i < open_count_; ++i)
        trains_[open_[i]].open = false;
    open_count_ = 0;
}

std::size_t Joiner::build_header(
    const PacketBatch& batch, const Train& train, std::span<std::uint8_t, kHeaderMax> out,
    Offload& offload
) {
    const ByteView first = batch[train.first].bytes();
    std::memcpy(out.data(), first.data(), train.header_bytes);
    const std::size_t total = train.header_bytes + train.payload_bytes;
    const std::size_t transport_bytes = total - train.ip_bytes;
    if (train.is_v4) {
        auto* ip = reinterpret_cast<Ipv4Header*>(out.data());
        ip->total_length = static_cast<std::uint16_t>(total);
        ip->checksum = 0;
        ip->checksum = checksum_finish(checksum_add(out.first(sizeof(Ipv4Header))));
    } else {
        auto* ip = reinterpret_cast<Ipv6Header*>(out.data());
        ip->payload_length = static_cast<std::uint16_t>(transport_bytes);
    }
    offload = {
        .kind = train.kind,
        .needs_checksum = true,
        .segment_bytes = train.segment_bytes,
        .header_bytes = train.header_bytes,
        .checksum_start = train.ip_bytes,
        .checksum_offset = offsetof(UdpHeader, checksum)
    };
    const std::uint16_t open_sum = pseudo_sum(first, train, transport_bytes);
    if (train.kind == SuperKind::udp) {
        auto* udp = reinterpret_cast<UdpHeader*>(&out[train.ip_bytes]);
        udp->length = static_cast<std::uint16_t>(transport_bytes);
        udp->checksum = open_sum;
        return train.header_bytes;
    }
    auto* tcp = reinterpret_cast<TcpHeader*>(&out[train.ip_bytes]);
    const ByteView last = batch[train.last].bytes();
    tcp->flags |= header_at<TcpHeader>(last, train.ip_bytes).flags & kEnds;
    tcp->checksum = open_sum;
    offload.checksum_offset = offsetof(TcpHeader, checksum);
    return train.header_bytes;
}

}  // namespace selvage::packet
