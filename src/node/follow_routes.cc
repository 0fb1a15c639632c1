// What a node does about the routes as they change: the host's routes, its own address, doubts
// about neighbours.
#include <algorithm>
#include <iterator>

#include "node/node.h"
#include "tunnel/url.h"

namespace selvage::node {
namespace {

std::set<IpAddress> tunnel_ends(const peer::PeerTable& peers) {
    std::set<IpAddress> out;
    peers.for_each_conn([&out](const peer::PeerConn& conn) {
        const auto url = tunnel::Url::parse(conn.tunnel_info().resolved_remote);
        if (!url) return;
        if (const auto address = IpAddress::parse(url->host)) out.insert(address->unmapped());
    });
    return out;
}

}  // namespace

void Node::look_at_routes() {
    const auto table = routes_.table();
    if (table->generation() == routes_seen_) return;
    routes_seen_ = table->generation();
    host_routes_.follow(*table, addresses(), tunnel_ends(peers_));
    // Nothing in the protocol settles who of two keeps an address, so that somebody must be told.
    std::set<PeerId> rivals;
    for (const route::RouteEntry& entry : table->entries()) {
        const route::PeerRecord& record = *entry.record;
        if (record.peer == my_id_ || !entry.least_hop) continue;
        const bool same = (record.ipv4 && addresses().has(record.ipv4->address)) ||
                          (record.ipv6 && addresses().has(record.ipv6->address));
        if (!same) continue;
        rivals.insert(record.peer);
        if (rivals_.contains(record.peer)) continue;
        log_.warn(
            "another node has our address", "peer={} hostname=\"{}\"", record.peer,
            printable(record.hostname)
        );
    }
    rivals_ = std::move(rivals);
}

// A node that was killed comes back with its old address and a new peer id. Its old connection,
// which over udp nothing ends, keeps the address from it as long as it seems alive.
void Node::check_contested(const route::RouteTable& before, const route::RouteTable& now) {
    std::vector<route::AddressContest> fresh;
    std::ranges::set_difference(now.contests(), before.contests(), std::back_inserter(fresh));
    for (const route::AddressContest& contest : fresh) {
        // Who has just come is there, and its one check in a minute is not wasted on that.
        if (before.find(contest.owner) != nullptr) peers_.check_alive(contest.owner);
    }
}

rt::Task<> Node::choose_address() {
    constexpr auto kSpread = AutomaticAddress::kPauseMax - AutomaticAddress::kPauseMin;
    rt::Runtime& runtime = environment_.runtime;
    for (;;) {
        const auto table = routes_.table();
        const Duration drawn(static_cast<Duration::rep>(
            runtime.rng().below(static_cast<std::uint64_t>(kSpread.count()))
        ));
        co_await rt::sleep_for(
            runtime,
            is_alone(*table) ? AutomaticAddress::kAlonePause : AutomaticAddress::kPauseMin + drawn
        );
        NodeAddresses next = addresses();
        next.ipv4 = automatic_.choose(*routes_.table(), next.ipv4, runtime.now());
        if (next == addresses()) continue;
        log_.info(
            "automatic address", "before={} now={}", addresses().to_string(), next.to_string()
        );
        // The kernel's routes go with the last address of the device.
        host_routes_.withdraw();
        if (auto changed = addresses_.change(next); !changed) {
            log_.warn("automatic address failed", "reason=\"{}\"", changed.error().message());
        }
        host_routes_.follow(*routes_.table(), addresses(), tunnel_ends(peers_));
    }
}

}  // namespace selvage::node
