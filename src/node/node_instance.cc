// Gathers what the modules of a node know.
#include "node/node_instance.h"

#include <algorithm>

#include "config/describe.h"
#include "config/version.h"

namespace selvage::node {
namespace {

std::optional<NodeFacts::Way> way_of(const std::optional<route::Path>& path) {
    if (!path) return std::nullopt;
    return NodeFacts::Way{
        .next_hop = path->next_hop, .hops = path->hops, .latency_ms = path->latency_ms
    };
}

// Gives each counter its place in the one list.
class CounterList {
public:
    void add(std::string_view group, std::string_view name, std::uint64_t value) {
        all_.emplace(fmt::format("{}.{}", group, name), value);
    }
    std::map<std::string, std::uint64_t> take() { return std::move(all_); }

private:
    std::map<std::string, std::uint64_t> all_;
};

void add_traffic(const dataplane::Forwarder& forwarder, CounterList& out) {
    const dataplane::TrafficCounters& traffic = forwarder.traffic();
    out.add("traffic", "rx_packets", traffic.rx_packets);
    out.add("traffic", "rx_bytes", traffic.rx_bytes);
    out.add("traffic", "tx_packets", traffic.tx_packets);
    out.add("traffic", "tx_bytes", traffic.tx_bytes);
    out.add("traffic", "forwarded_packets", traffic.forwarded_packets);
    out.add("traffic", "forwarded_bytes", traffic.forwarded_bytes);
    out.add("traffic", "rpc_rx_packets", traffic.rpc_rx_packets);
    out.add("traffic", "rpc_tx_packets", traffic.rpc_tx_packets);
    out.add("flows", "live", forwarder.flows().size());
    for (std::size_t i = 0; i < dataplane::kDropReasons; ++i) {
        const auto reason = static_cast<dataplane::DropReason>(i);
        out.add("dropped", dataplane::describe(reason).name, forwarder.drops()[reason]);
    }
}

void add_peers(const peer::PeerTable& peers, CounterList& out) {
    const peer::PeerCounters& counters = peers.counters();
    out.add("peer", "handshakes_ok", counters.handshakes_ok);
    out.add("peer", "handshakes_refused", counters.handshakes_refused);
    out.add("peer", "handshakes_over_limit", counters.handshakes_over_limit);
    out.add("peer", "conns_lost", counters.conns_lost);
    std::uint64_t malformed = 0;
    std::uint64_t tunnel_dropped = 0;
    peers.for_each_conn([&](const peer::PeerConn& conn) {
        malformed += conn.malformed_count();
        tunnel_dropped += conn.tunnel_stats().tx_dropped + conn.tunnel_stats().rx_dropped;
    });
    // Of the connections that are open now.
    out.add("peer", "malformed_packets", malformed);
    out.add("peer", "tunnel_dropped", tunnel_dropped);
}

void add_rpc(const rpc::RpcStats& stats, CounterList& out) {
    out.add("rpc", "calls", stats.calls);
    out.add("rpc", "calls_timed_out", stats.calls_timed_out);
    out.add("rpc", "requests", stats.requests);
    out.add("rpc", "requests_refused", stats.requests_refused);
    out.add("rpc", "unknown_services", stats.unknown_services);
    out.add("rpc", "dropped_malformed", stats.dropped_malformed);
    out.add("rpc", "dropped_wrong_ids", stats.dropped_wrong_ids);
    out.add("rpc", "dropped_late_replies", stats.dropped_late_replies);
    out.add("rpc", "dropped_no_buffer", stats.dropped_no_buffer);
}

void add_services(const edge::ServiceHost& services, CounterList& out) {
    for (const edge::ServiceInfo& service : services.services()) {
        if (!service.enabled) continue;
        const std::string group = "service." + service.name;
        out.add(group, "accepted", service.counters.accepted);
        out.add(group, "refused_unknown", service.counters.refused_unknown);
        out.add(group, "refused_not_allowed", service.counters.refused_not_allowed);
        out.add(group, "refused_limit", service.counters.refused_limit);
        out.add(group, "failed", service.counters.failed);
        out.add(group, "idle_closed", service.counters.idle_closed);
        out.add(group, "killed", service.counters.killed);
    }
}

}  // namespace

InstanceFacts NodeInstance::facts() const {
    InstanceFacts out;
    out.instance_name = node_.options().instance_name;
    out.instance_id = node_.instance_id();
    out.network_name = node_.options().network_name;
    out.peer = node_.id();
    out.host_name = node_.host_name();
    out.version = fmt::format("selvage-{}", config::kVersion);
    out.ipv4 = node_.options().ipv4;
    out.device = node_.device_name();
    out.uptime = runtime_.now() - node_.started_at();
    for (const tunnel::Url& url : node_.listeners().urls())
        out.listeners.push_back(url.to_string());
    out.host_addresses = node_.view().own_addresses();
    out.config = config::describe(node_.options());
    return out;
}

std::vector<ConnFacts> NodeInstance::connections() const {
    const auto routes = node_.routes().table();
    std::vector<ConnFacts> out;
    node_.peers().for_each_conn([&](const peer::PeerConn& conn) {
        if (!conn.open()) return;
        const route::RouteEntry* entry = routes->find(conn.peer());
        const tunnel::TunnelInfo& info = conn.tunnel_info();
        const tunnel::TunnelStats& stats = conn.tunnel_stats();
        out.push_back({
            .id = conn.id(),
            .peer = conn.peer(),
            .host_name = entry == nullptr ? std::string() : entry->record->hostname,
            .network_name = conn.hello().network_name,
            .tunnel = info.scheme,
            .local = info.local,
            .remote = info.remote,
            .resolved_remote = info.resolved_remote,
            .is_client = conn.role() == peer::Role::client,
            .latency = conn.latency(),
            .loss_rate = conn.loss_rate(),
            .rx_bytes = stats.rx_bytes,
            .tx_bytes = stats.tx_bytes,
            .rx_packets = stats.rx_packets,
            .tx_packets = stats.tx_packets,
        });
    });
    std::ranges::sort(out, {}, [](const ConnFacts& conn) { return std::pair(conn.peer, conn.id); });
    return out;
}

std::vector<NodeFacts> NodeInstance::nodes() const {
    const auto routes = node_.routes().table();
    std::vector<NodeFacts> out;
    for (const route::RouteEntry& entry : routes->entries()) {
        if (entry.peer() == node_.id()) continue;
        const route::PeerRecord& record = *entry.record;
        out.push_back({
            .peer = record.peer,
            .instance = record.instance,
            .host_name = record.hostname,
            .version = record.version_text,
            .ipv4 = record.ipv4,
            .ipv6 = record.ipv6,
            .proxy_cidrs = record.proxy_cidrs,
            .udp_nat_type = record.udp_nat_type,
            .tcp_nat_type = record.tcp_nat_type,
            .least_hop = way_of(entry.least_hop),
            .least_cost = way_of(entry.least_cost),
        });
    }
    return out;
}

std::map<std::string, std::uint64_t> NodeInstance::counters() const {
    CounterList out;
    add_traffic(node_.forwarder(), out);
    add_peers(node_.peers(), out);
    add_rpc(node_.rpc().stats(), out);
    add_services(node_.services(), out);
    out.add("route", "refused", node_.routes().core().links().refusals().total());
    for (const netstack::StackCounterInfo& info : netstack::kStackCounterInfos) {
        out.add("stack", info.name, node_.stack().counters().*info.field);
    }
    return out.take();
}

rt::Task<Result<Duration>> NodeInstance::ping(PeerId peer, Duration limit) {
    // Every node answers a call of a service that it does not have with exactly that; stock nodes
    // have no echo of their own. The answer is the proof, whatever it says.
    const rpc::Descriptor nobody{
        .domain = node_.options().network_name, .service = "SelvagePingRpc", .method = 1
    };
    const TimePoint before = runtime_.now();
    auto reply = co_await node_.rpc().call(peer, nobody, {}, limit);
    const bool answered = reply || reply.error().is(Errc::not_found) ||
                          reply.error().is(Errc::unsupported) || reply.error().is(Errc::refused);
    if (!answered) co_return reply.error();
    co_return runtime_.now() - before;
}

}  // namespace selvage::node
