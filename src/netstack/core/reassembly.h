// Puts fragmented IP packets together again (RFC 791, section 3.2; RFC 8200, section 4.5).
//
// Fragments that overlap are refused, in IPv4 too (RFC 5722; overlaps are how filters are
// deceived): the packet is given up, and what still arrives of it is dropped until its time is
// over. A fragment that was only doubled on the way is ignored. The first fragment must hold what
// filters look at, the whole TCP, UDP or ICMP header (RFC 1858, RFC 7112). A fragment that is the
// whole packet is none (RFC 6946).
//
// Bounds: kPacketsMax packets at once, kPerSourceMax of one source, kBytesMax of memory. At a bound
// the oldest gives way, of the same source first, so that nobody can do more than keep himself and
// those from being reassembled who are slower than his flood.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/time.h"
#include "netstack/core/stack_counters.h"
#include "packet/packet_buf.h"

namespace selvage::netstack {

class Reassembly {
public:
    static constexpr std::size_t kPacketsMax = 64;
    static constexpr std::size_t kPerSourceMax = 16;
    static constexpr std::size_t kBytesMax = 1024 * 1024;
    // Runs of bytes that a packet may have arrived in; more are not needed by anything honest.
    static constexpr std::size_t kRunsMax = 64;
    static constexpr Duration kTimeout = 60s;  // RFC 8200, section 4.5
    // Kept of a first fragment, to quote when the rest does not come.
    static constexpr std::size_t kQuotedMax = 1232;

    explicit Reassembly(StackCounters& counters) : counters_(counters) {}

    // Takes a fragment; `meta` is what parse_ip() said about it. Gives the whole packet when this
    // was the last that was missing: an IP header without options or extensions, and the payload.
    std::optional<Bytes> add(ByteView packet, const packet::IpMeta& meta, TimePoint now);

    // When to call expire() at the latest.
    std::optional<TimePoint> next_timeout() const;
    // The beginning of a first fragment; empty when it never came.
    struct Expired {
        Bytes first;
        packet::IpMeta meta;
    };
    // Forgets the next packet whose time is over, if there is one: its sender is to be told.
    std::optional<Expired> expire(TimePoint now);

    std::size_t packet_count() const { return pending_.size(); }
    std::size_t bytes() const { return bytes_; }

private:
    struct Key {
        IpAddress source;
        IpAddress destination;
        std::uint32_t id = 0;
        std::uint8_t protocol = 0;  // IPv4 only
        friend bool operator==(const Key&, const Key&) = default;
    };
    // What one fragment says.
    struct Piece {
        Key key;
        std::uint8_t next_header = 0;
        std::uint8_t ecn = 0;
        std::uint32_t offset = 0;
        bool more = false;
        ByteView payload;
    };
    struct Run {
        std::uint32_t begin = 0;
        std::uint32_t end = 0;
    };
    struct Pending {
        Key key;
        TimePoint until;
        Bytes payload;
        std::vector<Run> runs;  // sorted, apart
        std::optional<std::uint32_t> length;
        std::uint8_t next_header = 0;
        std::uint8_t ecn = 0;
        Expired expired;       // for the day when the rest has not come
        bool refused = false;  // what still comes of it is dropped
    };
    using Iterator = std::list<Pending>::iterator;

    static std::optional<Piece> read_piece(ByteView packet, const packet::IpMeta& meta);
    static bool acceptable(const Piece& piece);
    Iterator find_or_make(const Key& key, TimePoint now);
    void make_room(const IpAddress& source);
    // Whether the piece fits to what is there; `doubled` when it brings nothing.
    static bool fits(const Pending& pending, const Piece& piece, bool& doubled);
    void store(Pending& pending, const Piece& piece);
    void refuse(Pending& pending);
    void forget(Iterator at);
    static Bytes build(const Pending& pending);

    StackCounters& counters_;
    std::list<Pending> pending_;  // oldest first
    std::size_t bytes_ = 0;
};

}  // namespace selvage::netstack
