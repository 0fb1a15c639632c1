// Fragments in, packets out.
#include "netstack/core/reassembly.h"

#include <algorithm>

#include "packet/ip_headers.h"

namespace selvage::netstack {

using packet::IpProtocol;

namespace {

constexpr std::uint8_t kFragmentHeader = 44;
constexpr std::uint32_t kPayloadMax = 0xffff - sizeof(packet::Ipv6Header);

struct FragmentHeader {
    std::uint8_t next_header = 0;
    std::uint8_t reserved = 0;
    be16 offset;  // 13 bits of offset in units of 8 bytes, 2 reserved, 1 "more"
    be32 id;
};

// What the first fragment must hold of this protocol.
std::size_t transport_header_bytes(std::uint8_t protocol) {
    switch (static_cast<IpProtocol>(protocol)) {
        case IpProtocol::tcp:
            return sizeof(packet::TcpHeader);
        case IpProtocol::udp:
        case IpProtocol::icmp:
        case IpProtocol::icmpv6:
            return sizeof(packet::UdpHeader);
    }
    return 0;
}

}  // namespace

std::optional<Reassembly::Piece> Reassembly::read_piece(
    ByteView packet, const packet::IpMeta& meta
) {
    Piece piece;
    piece.key.source = meta.source;
    piece.key.destination = meta.destination;
    const ByteView whole = packet.first(meta.total_length);
    Reader in(whole);
    piece.ecn = meta.ecn;
    if (meta.source.is_v4()) {
        packet::Ipv4Header header;
        if (!in.read(header)) return std::nullopt;
        piece.key.id = header.id;
        piece.key.protocol = piece.next_header = header.protocol;
        piece.offset = (header.fragment & packet::kIpv4OffsetMask) * 8U;
        piece.more = (header.fragment & packet::kIpv4MoreFragments) != 0;
        piece.payload = whole.subspan(meta.transport_offset);
        return piece;
    }
    packet::Ipv6Header header;
    if (!in.read(header)) return std::nullopt;
    std::uint8_t next = header.next_header;
    // parse_ip() has walked these headers before, and bounds their number.
    while (next != kFragmentHeader) {
        std::uint8_t length = 0;
        if (!in.read(next) || !in.read(length) || !in.skip(std::size_t{length} * 8 + 6)) {
            return std::nullopt;
        }
    }
    FragmentHeader fragment;
    if (!in.read(fragment)) return std::nullopt;
    piece.key.id = fragment.id;
    piece.next_header = fragment.next_header;
    piece.offset = fragment.offset & 0xfff8U;
    piece.more = (fragment.offset & 1U) != 0;
    piece.payload = in.rest();
    return piece;
}

bool Reassembly::acceptable(const Piece& piece) {
    if (piece.payload.empty() || piece.offset + piece.payload.size() > kPayloadMax) return false;
    // Only the last may have any length (RFC 8200, section 4.5).
    if (piece.more && piece.payload.size() % 8 != 0) return false;
    return piece.offset != 0 || piece.payload.size() >= transport_header_bytes(piece.next_header);
}

std::optional<Bytes> Reassembly::add(ByteView packet, const packet::IpMeta& meta, TimePoint now) {
    ++counters_.fragments_in;
    const auto piece = read_piece(packet, meta);
    if (!piece || !acceptable(*piece)) {
        ++counters_.fragments_bad;
        return std::nullopt;
    }
    if (piece->offset == 0 && !piece->more) {
        Pending alone;
        alone.key = piece->key;
        alone.next_header = piece->next_header;
        alone.ecn = piece->ecn;
        alone.payload.assign(piece->payload.begin(), piece->payload.end());
        ++counters_.reassembled;
        return build(alone);
    }
    const Iterator at = find_or_make(piece->key, now);
    if (at->refused) {
        ++counters_.fragments_bad;
        return std::nullopt;
    }
    bool doubled = false;
    if (!fits(*at, *piece, doubled)) {
        ++counters_.fragments_overlap;
        refuse(*at);
        return std::nullopt;
    }
    if (doubled) return std::nullopt;
    store(*at, *piece);
    if (piece->offset == 0) {
        at->next_header = piece->next_header;
        const ByteView quoted = packet.first(std::min<std::size_t>(meta.total_length, kQuotedMax));
        at->expired = {Bytes(quoted.begin(), quoted.end()), meta};
    }
    const bool whole = at->length && at->runs.size() == 1 && at->runs.front().begin == 0 &&
                       at->runs.front().end == *at->length;
    if (!whole) return std::nullopt;
    Bytes built = build(*at);
    forget(at);
    ++counters_.reassembled;
    return built;
}

Reassembly::Iterator Reassembly::find_or_make(const Key& key, TimePoint now) {
    const auto known = std::find_if(pending_.begin(), pending_.end(), [&](const Pending& p) {
        return p.key == key;
    });
    if (known != pending_.end()) return known;
    make_room(key.source);
    Pending made;
    made.key = key;
    made.until = now + kTimeout;
    pending_.push_back(std::move(made));
    return std::prev(pending_.end());
}

void Reassembly::make_room(const IpAddress& source) {
    std::size_t of_source = 0;
    Iterator oldest = pending_.end();
    for (Iterator at = pending_.begin(); at != pending_.end(); ++at) {
        if (at->key.source != source) continue;
        if (of_source++ == 0) oldest = at;
    }
    if (of_source >= kPerSourceMax) {
        ++counters_.reassembly_evicted;
        forget(oldest);
    } else if (pending_.size() >= kPacketsMax) {
        ++counters_.reassembly_evicted;
        forget(pending_.begin());
    }
}

bool Reassembly::fits(const Pending& pending, const Piece& piece, bool& doubled) {
    const Run run{piece.offset, piece.offset + static_cast<std::uint32_t>(piece.payload.size())};
    if (pending.length) {
        if (run.end > *pending.length) return false;
        if (!piece.more && run.end != *pending.length) return false;
    } else if (!piece.more && !pending.runs.empty() && pending.runs.back().end > run.end) {
        return false;
    }
    for (const Run& there : pending.runs) {
        if (run.end <= there.begin || run.begin >= there.end) continue;
        // The same bytes at the same place were doubled on the way.
        const bool inside = run.begin >= there.begin && run.end <= there.end;
        doubled = inside && std::equal(
                                piece.payload.begin(), piece.payload.end(),
                                pending.payload.begin() + run.begin
                            );
        return doubled;
    }
    return pending.runs.size() < kRunsMax;
}

void Reassembly::store(Pending& pending, const Piece& piece) {
    const Run run{piece.offset, piece.offset + static_cast<std::uint32_t>(piece.payload.size())};
    if (!piece.more) pending.length = run.end;
    // One marked fragment marks the packet (RFC 3168, section 5.3); those that say different things
    // otherwise make one that says nothing.
    const bool marked = piece.ecn == packet::ecn::kCongestionExperienced ||
                        pending.ecn == packet::ecn::kCongestionExperienced;
    if (pending.runs.empty()) {
        pending.ecn = piece.ecn;
    } else if (piece.ecn == packet::ecn::kNotCapable || pending.ecn == packet::ecn::kNotCapable) {
        pending.ecn = packet::ecn::kNotCapable;
    } else if (marked) {
        pending.ecn = packet::ecn::kCongestionExperienced;
    }
    if (pending.payload.size() < run.end) {
        bytes_ += run.end - pending.payload.size();
        pending.payload.resize(run.end);
    }
    std::copy(piece.payload.begin(), piece.payload.end(), pending.payload.begin() + run.begin);

    auto at = std::find_if(pending.runs.begin(), pending.runs.end(), [&](const Run& there) {
        return there.begin >= run.end;
    });
    at = pending.runs.insert(at, run);
    if (const auto next = std::next(at); next != pending.runs.end() && next->begin == at->end) {
        at->end = next->end;
        pending.runs.erase(next);
    }
    if (at != pending.runs.begin() && std::prev(at)->end == at->begin) {
        std::prev(at)->end = at->end;
        pending.runs.erase(at);
    }
    // The oldest gives way, but not the one that has just grown.
    while (bytes_ > kBytesMax && &pending_.front() != &pending) {
        ++counters_.reassembly_evicted;
        forget(pending_.begin());
    }
}

void Reassembly::refuse(Pending& pending) {
    bytes_ -= pending.payload.size();
    pending.payload = {};
    pending.runs = {};
    pending.expired = {};
    pending.refused = true;
}

void Reassembly::forget(Iterator at) {
    bytes_ -= at->payload.size();
    pending_.erase(at);
}

Bytes Reassembly::build(const Pending& pending) {
    const std::size_t header_bytes =
        pending.key.source.is_v4() ? sizeof(packet::Ipv4Header) : sizeof(packet::Ipv6Header);
    Bytes out(header_bytes + pending.payload.size());
    if (pending.key.source.is_v4()) {
        packet::Ipv4Header header;
        header.tos = pending.ecn;
        header.total_length = static_cast<std::uint16_t>(out.size());
        header.protocol = pending.next_header;
        header.source = pending.key.source.v4_value();
        header.destination = pending.key.destination.v4_value();
        std::memcpy(out.data(), &header, sizeof(header));
    } else {
        packet::Ipv6Header header;
        header.version_class_flow = 6U << 28 | std::uint32_t{pending.ecn} << 20;
        header.payload_length = static_cast<std::uint16_t>(pending.payload.size());
        header.next_header = pending.next_header;
        header.source = pending.key.source.raw();
        header.destination = pending.key.destination.raw();
        std::memcpy(out.data(), &header, sizeof(header));
    }
    std::copy(
        pending.payload.begin(), pending.payload.end(),
        out.begin() + static_cast<std::ptrdiff_t>(header_bytes)
    );
    return out;
}

std::optional<TimePoint> Reassembly::next_timeout() const {
    if (pending_.empty()) return std::nullopt;
    return pending_.front().until;
}

std::optional<Reassembly::Expired> Reassembly::expire(TimePoint now) {
    if (pending_.empty() || pending_.front().until > now) return std::nullopt;
    ++counters_.reassembly_timed_out;
    Expired expired = std::move(pending_.front().expired);
    forget(pending_.begin());
    return expired;
}

}  // namespace selvage::netstack
