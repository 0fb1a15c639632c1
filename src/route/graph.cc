// Dijkstra with labels that are compared as wholes, so that ties never depend on any order.
#include "route/graph.h"

#include <compare>
#include <queue>

namespace selvage::route {
namespace {

// What a path costs, the most important first. `weight` counts hops with a step for those through
// nodes that avoid relaying; least cost leaves it zero.
struct Label {
    std::uint64_t weight = 0;
    std::uint64_t cost = 0;
    std::uint32_t hops = 0;
    PeerId next_hop;
    auto operator<=>(const Label&) const = default;
};

constexpr std::uint64_t kAvoidWeight = std::uint64_t{1} << 31;

std::uint64_t edge_cost(
    const LinkState& links, const EdgeLatencies& latencies, PeerId from, PeerId to
) {
    auto at = latencies.find({from, to});
    if (at == latencies.end()) at = latencies.find({to, from});
    const std::uint64_t cost = at == latencies.end() ? kUnknownLatency : at->second;
    const PeerRecord* record = links.record(from);
    const bool avoid = record != nullptr && record->has(Feature::avoid_relay_data);
    return avoid ? cost + kAvoidCost : cost;
}

}  // namespace

Paths find_paths(
    const LinkState& links, const EdgeLatencies& latencies, PeerId self, Policy policy
) {
    using Item = std::pair<Label, PeerId>;
    std::priority_queue<Item, std::vector<Item>, std::greater<>> queue;
    std::map<PeerId, Label> best;
    Paths out;
    best[self] = Label{.next_hop = self};
    queue.emplace(best[self], self);
    while (!queue.empty()) {
        const auto [label, at] = queue.top();
        queue.pop();
        if (label != best[at]) continue;  // a better one was found after it was queued
        out[at] = {
            .next_hop = label.next_hop,
            .hops = label.hops,
            .latency_ms = static_cast<std::uint32_t>(label.cost % kAvoidCost)
        };
        const auto row = links.rows().find(at);
        if (row == links.rows().end()) continue;
        for (const PeerId to : row->second.connected) {
            if (links.record(to) == nullptr) continue;  // a name without a node
            const std::uint64_t cost = edge_cost(links, latencies, at, to);
            Label next = label;
            if (policy == Policy::least_hop) next.weight += cost >= kAvoidCost ? kAvoidWeight : 1;
            next.cost += cost;
            ++next.hops;
            if (at == self) next.next_hop = to;
            const auto known = best.find(to);
            if (known != best.end() && known->second <= next) continue;
            best[to] = next;
            queue.emplace(next, to);
        }
    }
    return out;
}

}  // namespace selvage::route
