// Asks the route table the question that the data path asks, and looks for what else could match.
#include "node/route_explanation.h"

#include <algorithm>

#include "base/log.h"

namespace selvage::node {
namespace {

std::string name_of(const route::RouteTable& routes, PeerId peer) {
    const route::RouteEntry* entry = routes.find(peer);
    return entry == nullptr ? std::string() : entry->record->hostname;
}

std::optional<RouteExplanation::Way> way_of(
    const route::RouteTable& routes, const std::optional<route::Path>& path
) {
    if (!path) return std::nullopt;
    return RouteExplanation::Way{
        .next_hop = path->next_hop,
        .next_hop_name = name_of(routes, path->next_hop),
        .hops = path->hops,
        .latency_ms = path->latency_ms
    };
}

// The longest of a member's networks that holds the address.
std::optional<Prefix> network_of(const route::PeerRecord& record, const IpAddress& address) {
    std::optional<Prefix> best;
    for (const Prefix& network : record.proxy_cidrs) {
        if (!network.contains(address) || (best && best->length >= network.length)) continue;
        best = network;
    }
    return best;
}

bool has_address(const route::PeerRecord& record, const IpAddress& address) {
    return (record.ipv4 && record.ipv4->address == address) ||
           (record.ipv6 && record.ipv6->address == address);
}

std::string why_not(
    const route::RouteEntry& entry, const std::optional<Prefix>& chosen, const Prefix& network
) {
    if (!entry.least_hop) return "cannot be reached at the moment";
    if (!chosen) return "not accepted: too wide, or it overlaps our own network";
    if (network.length < chosen->length) return fmt::format("{} is more specific", *chosen);
    if (network.length > chosen->length) {
        return "not accepted: too wide, or it overlaps our own network";
    }
    return "farther away, or as far with a larger peer id";
}

}  // namespace

RouteExplanation explain_route(
    const route::RouteTable& routes, const IpAddress& address,
    const std::vector<Prefix>& own_addresses, bool latency_first
) {
    RouteExplanation out{.address = address, .latency_first = latency_first};
    const bool ours =
        std::ranges::find(own_addresses, address, &Prefix::address) != own_addresses.end();
    const auto peer = ours ? std::optional(routes.self()) : routes.peer_for(address);
    const route::RouteEntry* chosen = peer ? routes.find(*peer) : nullptr;
    if (ours) {
        out.reason = RouteReason::own_address;
    } else if (chosen != nullptr && has_address(*chosen->record, address)) {
        out.reason = RouteReason::member_address;
    } else if (chosen != nullptr) {
        out.reason = RouteReason::member_network;
        out.network = network_of(*chosen->record, address);
    } else if (std::ranges::any_of(own_addresses, [&](const Prefix& own) {
                   return own.contains(address);
               })) {
        out.reason = RouteReason::subnet_unused;
    }
    if (peer) out.peer = *peer;
    if (chosen != nullptr) {
        out.host_name = chosen->record->hostname;
        out.least_hop = way_of(routes, chosen->least_hop);
        out.least_cost = way_of(routes, chosen->least_cost);
    }
    const auto matched =
        out.reason == RouteReason::member_address
            ? std::optional(Prefix{address, static_cast<std::uint8_t>(address.bits())})
            : out.network;
    for (const route::RouteEntry& entry : routes.entries()) {
        if (out.others.size() == RouteExplanation::kOthersMax) break;
        if (&entry == chosen || entry.peer() == routes.self()) continue;
        auto network = network_of(*entry.record, address);
        if (!network && has_address(*entry.record, address)) {
            network = Prefix{address, static_cast<std::uint8_t>(address.bits())};
        }
        if (!network) continue;
        out.others.push_back(
            {.peer = entry.peer(),
             .host_name = entry.record->hostname,
             .network = *network,
             .why_not = ours ? "it is our own address" : why_not(entry, matched, *network)}
        );
    }
    return out;
}

std::string to_sentence(const RouteExplanation& explanation) {
    const std::string name = explanation.host_name.empty()
                                 ? fmt::format("peer {}", explanation.peer)
                                 : printable(explanation.host_name, 64);
    switch (explanation.reason) {
        case RouteReason::own_address:
            return "it is this node's own address";
        case RouteReason::member_address:
            return fmt::format("it is the address of {}", name);
        case RouteReason::member_network:
            if (!explanation.network) return fmt::format("{} announces a network with it", name);
            return fmt::format("it lies in {}, which {} announces", *explanation.network, name);
        case RouteReason::subnet_unused:
            return "it lies in the virtual network, and no member has it";
        case RouteReason::not_in_mesh:
            return "no member has it or announces a network that holds it";
    }
    return {};
}

}  // namespace selvage::node
