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

// A neighbour of another network has keys of its own; we carry its packets as they are.
std::string cipher_of(const config::NodeOptions& options, std::string_view network) {
    if (network != options.network_name) return "unknown";
    if (!options.enable_encryption) return "none";
    return std::string(crypto::cipher_name(options.encryption_algorithm));
}

std::vector<ConnFacts> connections_of(
    const peer::PeerTable& peers, const route::RouteTable& routes,
    const config::NodeOptions& options, TimePoint now
) {
    std::vector<ConnFacts> out;
    peers.for_each_conn([&](const peer::PeerConn& conn) {
        if (!conn.open()) return;
        const route::RouteEntry* entry = routes.find(conn.peer());
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
            .age = now - conn.opened_at(),
            .cipher = cipher_of(options, conn.hello().network_name),
            .dropped = stats.tx_dropped + stats.rx_dropped,
        });
    });
    std::ranges::sort(out, {}, [](const ConnFacts& conn) { return std::pair(conn.peer, conn.id); });
    return out;
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
    out.addresses = node_.addresses();
    out.device = node_.device_name();
    out.uptime = runtime_.now() - node_.started_at();
    for (const tunnel::Url& url : node_.listeners().urls())
        out.listeners.push_back(url.to_string());
    out.host_addresses = node_.view().own_addresses();
    out.config = config::describe(node_.options());
    const bool proves =
        node_.options().enable_encryption && !node_.options().network_secret.empty();
    out.auth = proves ? edge::AuthLevel::network_secret : edge::AuthLevel::none;
    return out;
}

std::vector<ConnFacts> NodeInstance::connections() const {
    return connections_of(node_.peers(), *node_.routes().table(), node_.options(), runtime_.now());
}

std::vector<HostedNetworkFacts> NodeInstance::hosted_networks() const {
    std::vector<HostedNetworkFacts> out;
    node_.foreign_networks().for_each([&](const ForeignNetwork& network) {
        const ForeignNetworkOptions& options = network.options();
        out.push_back({
            .name = options.name,
            .self_there = options.self,
            .secret_digest = Bytes(options.digest.begin(), options.digest.end()),
            .connections = connections_of(
                network.peers(), *network.routes().table(), node_.options(), runtime_.now()
            ),
        });
    });
    return out;
}

std::vector<AnnouncedNetworkFacts> NodeInstance::announced_networks() const {
    std::vector<AnnouncedNetworkFacts> out;
    for (const auto& [key, stored] : node_.routes().core().links().foreign()) {
        const route::ForeignEntry& entry = stored.entry;
        if (entry.members.empty()) continue;  // withdrawn
        out.push_back({
            .server = entry.server,
            .name = entry.network_name,
            .members = entry.members,
            .updated_seconds = entry.updated_seconds,
            .updated_nanos = entry.updated_nanos,
            .version = entry.version,
        });
    }
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

RouteExplanation NodeInstance::explain_route(const IpAddress& address) const {
    return node::explain_route(
        *node_.routes().table(), address, node_.addresses().list(), node_.options().latency_first
    );
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
