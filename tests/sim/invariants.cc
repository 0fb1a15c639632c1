// The checks, each with a sentence that says what is wrong.
#include "invariants.h"

#include <map>

#include "dataplane/verdict.h"
#include "selvage_host.h"

namespace selvage::sim {
namespace {

using dataplane::DropReason;
using route::Policy;
using route::Refusal;

const std::optional<route::Path>& path_of(const route::RouteEntry& entry, Policy policy) {
    return policy == Policy::least_hop ? entry.least_hop : entry.least_cost;
}

std::string_view name_of(Policy policy) {
    return policy == Policy::least_hop ? "least hop" : "least cost";
}

}  // namespace

std::string NodeInvariants::check() {
    if (auto wrong = check_bounds(); !wrong.empty()) return wrong;
    const auto table = node_.routes().table();
    if (node_.forwarder().routes() != table) return "the pipeline uses an old route table";
    if (table->generation() == generation_) return {};
    generation_ = table->generation();
    if (auto wrong = check_neighbours(); !wrong.empty()) return wrong;
    if (auto wrong = check_own_versions(); !wrong.empty()) return wrong;
    return check_table(*table);
}

// Every queue and table has its bound.
std::string NodeInvariants::check_bounds() const {
    const route::RouteCore& core = node_.routes().core();
    const route::RouteOptions& limits = core.links().options();
    if (pool_.in_use() > packet::PacketPool::kDefaultBlocks) return "more blocks than the pool has";
    if (core.links().records().size() > limits.peers_limit) return "too many records";
    if (core.links().rows().size() > limits.peers_limit) return "too many rows";
    if (core.links().foreign().size() > limits.foreign_limit) return "too many foreign networks";
    if (core.session_count() > core.neighbours().size()) return "more sessions than neighbours";
    return {};
}

// Routing knows exactly the neighbours that there are, and tells others of exactly these.
std::string NodeInvariants::check_neighbours() const {
    const route::RouteCore& core = node_.routes().core();
    const auto neighbours = node_.peers().neighbours();
    std::set<PeerId> connected(neighbours.begin(), neighbours.end());
    std::set<PeerId> known;
    for (const auto& [peer, info] : core.neighbours())
        known.insert(peer);
    if (known != connected) {
        return fmt::format(
            "routing has {} neighbours, the peer table {}", known.size(), connected.size()
        );
    }
    if (core.links().rows().at(node_.id()).connected != connected) {
        return "our row is not our neighbours";
    }
    for (const route::SessionView& session : core.sessions()) {
        if (!connected.contains(session.peer)) return "a session with a stranger";
    }
    return {};
}

// What we say of ourselves only ever gets newer.
std::string NodeInvariants::check_own_versions() {
    const route::LinkState& links = node_.routes().core().links();
    const std::uint32_t record = links.own().version;
    const std::uint32_t row = links.rows().at(node_.id()).version;
    if (record < record_version_ || record == 0) return "our record got older";
    if (row < row_version_ || row == 0) return "our row got older";
    record_version_ = record;
    row_version_ = row;
    return {};
}

// A snapshot leads to neighbours only, is sorted, and owns addresses only of those it reaches.
std::string NodeInvariants::check_table(const route::RouteTable& table) const {
    PeerId last;
    for (const route::RouteEntry& entry : table.entries()) {
        if (entry.peer() <= last) return "entries are not in the order of their ids";
        last = entry.peer();
        if (entry.least_hop.has_value() != entry.least_cost.has_value()) {
            return fmt::format("only one policy reaches {}", entry.peer());
        }
        for (const Policy policy : {Policy::least_hop, Policy::least_cost}) {
            const auto& path = path_of(entry, policy);
            if (!path) continue;
            const bool self = entry.peer() == node_.id();
            if (self != (path->hops == 0)) {
                return fmt::format("{}: {} hops to {}", name_of(policy), path->hops, entry.peer());
            }
            if (!self && !node_.routes().core().neighbours().contains(path->next_hop)) {
                return fmt::format("the next hop to {} is no neighbour", entry.peer());
            }
        }
        if (!entry.record->ipv4) continue;
        const auto owner = table.peer_for(entry.record->ipv4->address);
        if (!owner) {
            if (entry.least_hop) return "an address of a reachable node without an owner";
            continue;
        }
        const route::RouteEntry* at = table.find(*owner);
        if (at == nullptr || !at->least_hop) return "an address of a node that is not reached";
    }
    const route::RouteEntry* own = table.find(node_.id());
    return own != nullptr && own->least_hop ? "" : "we do not reach ourselves";
}

std::string check_honest(node::Node& node) {
    // A network that loses, repeats and reorders changes nothing inside a packet.
    for (const DropReason reason :
         {DropReason::malformed_header, DropReason::malformed_foreign, DropReason::malformed_inner,
          DropReason::local_only_type, DropReason::unknown_type, DropReason::bad_seal,
          DropReason::not_encrypted, DropReason::bad_compression, DropReason::not_ip}) {
        if (node.forwarder().drops()[reason] != 0) {
            return fmt::format("dropped as {}", dataplane::describe(reason).name);
        }
    }
    const route::RefusalCounts& refused = node.routes().core().links().refusals();
    for (std::size_t i = 0; i < route::kRefusals; ++i) {
        const auto reason = static_cast<Refusal>(i);
        // A sync may arrive when its session or connection is gone already.
        if (reason == Refusal::no_session || reason == Refusal::not_a_neighbour) continue;
        if (refused.of(reason) != 0) {
            return fmt::format("refused as {}", route::refusal_name(reason));
        }
    }
    const rpc::RpcStats rpc = node.rpc().stats();
    if (rpc.dropped_malformed + rpc.dropped_wrong_ids + rpc.requests_refused != 0) {
        return "an RPC packet was refused";
    }
    // Not so PeerConn::malformed_count(): a datagram with a handshake may arrive twice.
    return {};
}

namespace {

using Nodes = std::map<PeerId, SelvageHost*>;

std::string check_membership(SelvageHost& node, const Nodes& all) {
    for (const route::RouteEntry& entry : node.node().routes().table()->entries()) {
        if (entry.least_hop && !all.contains(entry.peer())) {
            return fmt::format("{} reaches a node that is gone", node.host().name());
        }
    }
    for (const auto& [peer, other] : all) {
        const route::RouteEntry* entry = node.node().routes().table()->find(peer);
        if (entry == nullptr || !entry->least_hop) {
            return fmt::format("{} does not reach {}", node.host().name(), other->host().name());
        }
        const route::LinkState& mine = node.node().routes().core().links();
        const route::LinkState& its = other->node().routes().core().links();
        if (mine.record(peer)->raw != its.own().raw) {
            return fmt::format(
                "{} has an old record of {}", node.host().name(), other->host().name()
            );
        }
        const auto row = mine.rows().find(peer);
        if (row == mine.rows().end() || row->second.connected != its.rows().at(peer).connected) {
            return fmt::format(
                "{} has other connections of {}", node.host().name(), other->host().name()
            );
        }
    }
    return {};
}

std::string check_path(SelvageHost& from, PeerId to, const Nodes& all, Policy policy) {
    const auto promised = path_of(*from.node().routes().table()->find(to), policy);
    PeerId at = from.node().id();
    std::uint32_t hops = 0;
    while (at != to) {
        const auto next = all.at(at)->node().routes().table()->next_hop(to, policy);
        if (!next || !all.contains(*next)) return "a path ends on its way";
        at = *next;
        if (++hops > all.size()) {
            return fmt::format("a {} path goes in a circle", name_of(policy));
        }
    }
    // Where latencies are known at different times, only fewest hops is agreed on by everybody.
    if (policy == Policy::least_hop && hops != promised->hops) {
        return fmt::format("{} hops promised, {} taken", promised->hops, hops);
    }
    return {};
}

}  // namespace

std::string check_agreement(const std::vector<SelvageHost*>& nodes) {
    Nodes all;
    for (SelvageHost* node : nodes) {
        if (node->running()) all[node->node().id()] = node;
    }
    for (const auto& [peer, node] : all) {
        if (auto wrong = check_membership(*node, all); !wrong.empty()) return wrong;
    }
    for (const auto& [from, node] : all) {
        for (const auto& [to, unused] : all) {
            for (const Policy policy : {Policy::least_hop, Policy::least_cost}) {
                auto wrong = check_path(*node, to, all, policy);
                if (!wrong.empty()) return fmt::format("{} to {}: {}", from, to, wrong);
            }
        }
    }
    return {};
}

std::string describe_network(const std::vector<SelvageHost*>& nodes) {
    std::map<PeerId, std::string> names;
    for (SelvageHost* node : nodes) {
        if (node->running()) names[node->node().id()] = node->host().name();
    }
    const auto name = [&names](PeerId peer) {
        const auto at = names.find(peer);
        return at == names.end() ? fmt::format("gone:{}", peer) : at->second;
    };
    std::string out;
    for (SelvageHost* node : nodes) {
        if (!node->running()) continue;
        const route::RouteCore& core = node->node().routes().core();
        out += fmt::format("\n{} ({}):", node->host().name(), node->node().id());
        for (const auto& [peer, info] : core.neighbours())
            out += " -" + name(peer);
        for (const route::SessionView& session : core.sessions()) {
            out += fmt::format(
                " {}{}{}", session.we_initiate ? ">" : "", session.it_initiates ? "<" : "",
                name(session.peer)
            );
        }
        out += "; rows";
        for (const auto& [peer, row] : core.links().rows()) {
            out += fmt::format(" {}:{}", name(peer), row.version);
            if (core.links().record(peer) == nullptr) out += "(no record)";
        }
    }
    return out;
}

}  // namespace selvage::sim
