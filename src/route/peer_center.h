// The peer center: one node, the leader, collects who measured which latency to whom, and
// everybody fetches the whole from it. The latencies are the costs of edges.
// Source: protocol document 2-control.md, section 8.1.
//
// Nothing authenticates the reports beyond their sender, so every number is clamped, and a lying
// member can at most make a path look longer or shorter.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "base/siphash.h"
#include "base/time.h"
#include "route/route_table.h"

namespace selvage::route {

// Latencies in milliseconds, as one node measured them.
using Latencies = std::map<PeerId, std::uint32_t>;
using PeerMap = std::map<PeerId, Latencies>;

// At least what counts as nothing, at most what is still a path.
constexpr std::int32_t kLatencyLeast = 1;
constexpr std::int32_t kLatencyMost = 60'000;

// What the leader holds.
class PeerCenter {
public:
    // `key` makes digests that differ between starts of the leader.
    PeerCenter(SipKey key, const RouteOptions& options)
        : key_(key),
          reporters_limit_(options.peers_limit),
          edges_limit_(options.center_edges_limit) {}

    // Replaces what this node reported before. False when a bound was reached.
    bool report(PeerId reporter, Latencies latencies, TimePoint now);
    void expire(TimePoint now);
    PeerMap map() const;
    std::uint64_t digest() const { return digest_; }  // 0 while nobody has reported

private:
    // A report is forgotten after this time; reporters repeat theirs every minute.
    static constexpr Duration kReportLife = std::chrono::seconds(180);

    struct Report {
        Latencies latencies;
        TimePoint received;
    };
    void update_digest();

    SipKey key_;
    std::size_t reporters_limit_;
    std::size_t edges_limit_;
    std::map<PeerId, Report> reports_;
    std::size_t edges_ = 0;
    std::uint64_t digest_ = 0;
};

// Who leads: the smallest id among us and the reachable peers that are no public servers. Nobody
// while nobody is reachable.
std::optional<PeerId> leader_of(const RouteTable& table);

EdgeLatencies edges_of(const PeerMap& map);

// The messages. Reading drops what is beyond the bounds and clamps the rest.
Bytes build_report(PeerId self, const Latencies& latencies);
Result<std::pair<PeerId, Latencies>> parse_report(ByteView bytes);
Bytes build_get_map(std::uint64_t digest);
Result<std::uint64_t> parse_get_map(ByteView bytes);
// The answer to a node that has `known_digest`: empty when it has the current map.
Bytes build_map(const PeerCenter& center, std::uint64_t known_digest);

struct FetchedMap {
    bool unchanged = false;
    std::uint64_t digest = 0;
    PeerMap map;
};
Result<FetchedMap> parse_map(ByteView bytes);

}  // namespace selvage::route
