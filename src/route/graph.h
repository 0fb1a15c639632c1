// Shortest paths over the reported connections.
// Source: protocol document 2-control.md, section 4.
//
//   least hop    fewest transit nodes that would rather not relay, then hops, then latency
//   least cost   latency
//
// Both are decided fully: of equal paths, the one whose next hop has the smaller id.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "base/ids.h"
#include "route/link_state.h"

namespace selvage::route {

// One way of travelling is used for all RPC and for data by default, the other for data whose
// sender prefers latency.
enum class Policy : std::uint8_t { least_hop, least_cost };

struct Path {
    PeerId next_hop;  // a neighbour; ourselves for the path to ourselves
    std::uint32_t hops = 0;
    std::uint32_t latency_ms = 0;
};
using Paths = std::map<PeerId, Path>;

// Latencies from the peer center, directed. Where none is known, an edge costs kUnknownLatency.
using EdgeLatencies = std::map<std::pair<PeerId, PeerId>, std::uint32_t>;
constexpr std::uint32_t kUnknownLatency = 500;
// Added to every edge that leaves a node that would rather not relay.
constexpr std::uint64_t kAvoidCost = 0x7fffffff;

// Paths from `self` to everybody reachable, itself included.
Paths find_paths(
    const LinkState& links, const EdgeLatencies& latencies, PeerId self, Policy policy
);

}  // namespace selvage::route
