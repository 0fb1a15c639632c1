// RouteTable: where every address and every peer is, as it was at one moment. Immutable; a new
// one replaces it whole. Whoever decides about a packet holds one for the length of a batch.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/node_addresses.h"
#include "route/graph.h"
#include "route/link_state.h"

namespace selvage::route {

// A node of the network, for display and for questions about it. Its own texts are untrusted.
struct RouteEntry {
    std::shared_ptr<const PeerRecord> record;
    std::optional<Path> least_hop;  // absent: cannot be reached now
    std::optional<Path> least_cost;
    PeerId peer() const { return record->peer; }
};

// A neighbour as its owner told us.
struct NeighbourInfo {
    // False: a public server, which showed another network's name, or where we host the network
    // another server that does.
    bool own_network = true;
};

// Another server that hosts a network, perhaps one of those that we host as well.
struct ForeignHost {
    PeerId server;
    std::string network_name;
    Bytes secret_digest;
    PeerId server_there;  // its id in that network
};

// Two reachable nodes that say they have the same address, of whom the owner gets its packets.
struct AddressContest {
    PeerId owner;
    PeerId other;
    friend auto operator<=>(const AddressContest&, const AddressContest&) = default;
};

class RouteTable {
public:
    RouteTable() = default;
    RouteTable(
        const LinkState& links, const EdgeLatencies& latencies,
        const std::map<PeerId, NeighbourInfo>& neighbours, std::uint64_t generation
    );

    PeerId self() const { return self_; }
    std::uint64_t generation() const { return generation_; }
    const NodeAddresses& own_addresses() const { return own_; }

    // Who has an address: exactly, or as part of a network that it announces. Ourselves for our
    // own. Nobody for an unused address of our own subnets.
    std::optional<PeerId> peer_for(const IpAddress& address) const;
    // In ascending order, each once.
    std::span<const AddressContest> contests() const { return contests_; }
    // The neighbour through whom a peer is reached; the peer itself when it is one. Nothing for
    // ourselves and for those who cannot be reached.
    std::optional<PeerId> next_hop(PeerId peer, Policy policy) const;

    // Every node that we know of, ourselves included, by ascending id.
    std::span<const RouteEntry> entries() const { return entries_; }
    const RouteEntry* find(PeerId peer) const;
    // Whether a packet that this peer made may come from this address: its own, or one of a
    // network that it announces and that we accept, unless the address is another node's.
    bool may_send_from(PeerId peer, const IpAddress& source) const;
    // Reachable peers, without us and without public servers: those who get a broadcast over
    // IPv6; over IPv4, those of them that have an IPv4 address.
    std::span<const PeerId> broadcast_peers6() const { return broadcast6_; }
    std::span<const PeerId> broadcast_peers4() const { return broadcast4_; }
    // Networks that reachable peers announce and that we accept, for routes of the host.
    std::span<const std::pair<Prefix, PeerId>> proxied_networks() const { return proxied_; }

    // Reachable servers and the networks that they host for others, by server, then by name.
    std::span<const ForeignHost> foreign_hosts() const { return foreign_hosts_; }

    bool is_public_server(PeerId peer) const;
    // Whether RPC to this peer is sealed with the network's key. Public servers do not have it;
    // of strangers, only neighbours that proved to know it are trusted to.
    bool encrypt_rpc_to(PeerId peer) const;

private:
    // The networks of one prefix length.
    struct Networks {
        std::uint8_t length = 0;
        std::unordered_map<IpAddress, PeerId> owners;
    };
    void add_addresses();
    void add_networks(const LinkState& links);
    void add_foreign_hosts(const LinkState& links);
    bool is_nearer(PeerId a, PeerId b) const;

    PeerId self_;
    std::uint64_t generation_ = 0;
    NodeAddresses own_;
    std::vector<RouteEntry> entries_;
    std::vector<PeerId> broadcast4_;
    std::vector<PeerId> broadcast6_;
    std::vector<std::pair<Prefix, PeerId>> proxied_;
    std::unordered_map<PeerId, std::vector<Prefix>> accepted_;  // what each announces
    std::map<PeerId, NeighbourInfo> neighbours_;
    std::unordered_map<IpAddress, PeerId> addresses_;
    std::vector<AddressContest> contests_;
    std::vector<Networks> networks4_;  // by falling length
    std::vector<Networks> networks6_;
    std::vector<ForeignHost> foreign_hosts_;
};

}  // namespace selvage::route
