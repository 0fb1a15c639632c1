// Building a snapshot, and looking things up in it.
#include "route/route_table.h"

namespace selvage::route {
namespace {

bool contains(const Prefix& outer, const Prefix& inner) {
    return outer.length <= inner.length && outer.contains(inner.address);
}

bool overlaps(const Prefix& a, const Prefix& b) {
    return contains(a, b) || contains(b, a);
}

// Whether we let a peer announce this network.
bool acceptable(const Prefix& cidr, const LinkState& links) {
    const OwnNode& own = links.options().own;
    // What we carry ourselves is nearer than anywhere else.
    for (const Prefix& ours : own.proxy_cidrs) {
        if (contains(ours, cidr)) return false;
    }
    const bool wide = cidr.length == 0 || (own.ipv4 && overlaps(cidr, *own.ipv4)) ||
                      (own.ipv6 && overlaps(cidr, *own.ipv6));
    const auto& consent = links.options().wide_networks_accepted;
    return !wide || std::ranges::any_of(consent, [&cidr](const Prefix& accepted) {
        return contains(accepted, cidr);
    });
}

std::optional<Path> path_to(const Paths& paths, PeerId peer) {
    const auto at = paths.find(peer);
    if (at == paths.end()) return std::nullopt;
    return at->second;
}

}  // namespace

RouteTable::RouteTable(
    const LinkState& links, const EdgeLatencies& latencies,
    const std::map<PeerId, NeighbourInfo>& neighbours, std::uint64_t generation
)
    : self_(links.options().self),
      generation_(generation),
      own_{.ipv4 = links.options().own.ipv4, .ipv6 = links.options().own.ipv6},
      neighbours_(neighbours) {
    const Paths hop = find_paths(links, latencies, self_, Policy::least_hop);
    const Paths cost = find_paths(links, latencies, self_, Policy::least_cost);
    entries_.reserve(links.records().size());
    for (const auto& [peer, stored] : links.records()) {
        entries_.push_back(
            {.record = stored.record,
             .least_hop = path_to(hop, peer),
             .least_cost = path_to(cost, peer)}
        );
    }
    add_addresses();
    add_networks(links);
    add_foreign_hosts(links);
}

void RouteTable::add_foreign_hosts(const LinkState& links) {
    for (const auto& [key, stored] : links.foreign()) {
        const ForeignEntry& entry = stored.entry;
        if (entry.server == self_ || entry.members.empty() || !entry.server_there) continue;
        const RouteEntry* server = find(entry.server);
        if (server == nullptr || !server->least_hop) continue;
        foreign_hosts_.push_back(
            {.server = entry.server,
             .network_name = entry.network_name,
             .secret_digest = entry.secret_digest,
             .server_there = entry.server_there}
        );
    }
}

const RouteEntry* RouteTable::find(PeerId peer) const {
    const auto at = std::ranges::lower_bound(entries_, peer, {}, [](const RouteEntry& entry) {
        return entry.peer();
    });
    return at == entries_.end() || at->peer() != peer ? nullptr : &*at;
}

// Of two owners of one address: we before others, then fewer hops, then the smaller id.
bool RouteTable::is_nearer(PeerId a, PeerId b) const {
    const std::uint32_t hops_a = find(a)->least_hop->hops;
    const std::uint32_t hops_b = find(b)->least_hop->hops;
    return hops_a != hops_b ? hops_a < hops_b : a < b;
}

void RouteTable::add_addresses() {
    std::vector<std::pair<IpAddress, PeerId>> losers;
    const auto claim = [&](const IpAddress& address, PeerId peer) {
        const auto [at, added] = addresses_.try_emplace(address, peer);
        if (added) return;
        if (is_nearer(peer, at->second)) std::swap(peer, at->second);
        losers.emplace_back(address, peer);
    };
    for (const RouteEntry& entry : entries_) {
        if (!entry.least_hop) continue;
        const PeerRecord& record = *entry.record;
        if (record.ipv4) claim(record.ipv4->address, record.peer);
        if (record.ipv6) claim(record.ipv6->address, record.peer);
        if (record.ipv6_lease) claim(*record.ipv6_lease, record.peer);
        if (record.peer == self_ || record.has(Feature::public_server)) continue;
        broadcast6_.push_back(record.peer);
        if (record.ipv4) broadcast4_.push_back(record.peer);
    }
    for (const auto& [address, loser] : losers) {
        const PeerId owner = addresses_.at(address);
        if (owner != loser) contests_.push_back({owner, loser});
    }
    std::ranges::sort(contests_);
    const auto repeated = std::ranges::unique(contests_);
    contests_.erase(repeated.begin(), repeated.end());
}

void RouteTable::add_networks(const LinkState& links) {
    std::map<Prefix, PeerId> owners;
    for (const RouteEntry& entry : entries_) {
        if (!entry.least_hop) continue;
        for (const Prefix& cidr : entry.record->proxy_cidrs) {
            if (entry.peer() != self_ && !acceptable(cidr, links)) continue;
            accepted_[entry.peer()].push_back(cidr);
            const auto [at, added] = owners.try_emplace(cidr, entry.peer());
            if (!added && is_nearer(entry.peer(), at->second)) at->second = entry.peer();
        }
    }
    // Longer prefixes first: a lookup takes the first hit.
    std::vector<std::pair<Prefix, PeerId>> sorted(owners.begin(), owners.end());
    std::ranges::sort(sorted, [](const auto& a, const auto& b) {
        return a.first.length != b.first.length ? a.first.length > b.first.length
                                                : a.first < b.first;
    });
    for (const auto& [cidr, owner] : sorted) {
        auto& list = cidr.address.is_v4() ? networks4_ : networks6_;
        if (list.empty() || list.back().length != cidr.length) {
            list.push_back({.length = cidr.length, .owners = {}});
        }
        list.back().owners[cidr.address] = owner;
        if (owner != self_) proxied_.emplace_back(cidr, owner);
    }
}

std::optional<PeerId> RouteTable::peer_for(const IpAddress& address) const {
    if (const auto at = addresses_.find(address); at != addresses_.end()) return at->second;
    if (own_.covers(address)) return std::nullopt;
    for (const Networks& networks : address.is_v4() ? networks4_ : networks6_) {
        const IpAddress network = Prefix{.address = address, .length = networks.length}.network();
        const auto at = networks.owners.find(network);
        if (at != networks.owners.end()) return at->second;
    }
    return std::nullopt;
}

bool RouteTable::may_send_from(PeerId peer, const IpAddress& source) const {
    // One address, one node: of two that claim it, the one that our answers would go to.
    if (const auto at = addresses_.find(source); at != addresses_.end()) return at->second == peer;
    const auto networks = accepted_.find(peer);
    return networks != accepted_.end() &&
           std::ranges::any_of(networks->second, [&source](const Prefix& network) {
               return network.contains(source);
           });
}

std::optional<PeerId> RouteTable::next_hop(PeerId peer, Policy policy) const {
    if (peer == self_) return std::nullopt;
    if (const RouteEntry* entry = find(peer)) {
        const auto& path = policy == Policy::least_hop ? entry->least_hop : entry->least_cost;
        if (path) return path->next_hop;
    }
    if (neighbours_.contains(peer)) return peer;  // connected, but its record has not come yet
    return std::nullopt;
}

bool RouteTable::is_public_server(PeerId peer) const {
    const RouteEntry* entry = find(peer);
    if (entry != nullptr && entry->record->features) {
        return entry->record->has(Feature::public_server);
    }
    const auto at = neighbours_.find(peer);
    return at != neighbours_.end() && !at->second.own_network;
}

bool RouteTable::encrypt_rpc_to(PeerId peer) const {
    const RouteEntry* entry = find(peer);
    if (entry != nullptr && entry->record->features) {
        return !entry->record->has(Feature::public_server);
    }
    const auto at = neighbours_.find(peer);
    return at != neighbours_.end() && at->second.own_network;
}

}  // namespace selvage::route
