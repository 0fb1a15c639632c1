// Facts of an instance as the messages that EasyTier's tools read.
#include "node/reference_api.h"

#include <fmt/chrono.h>

#include <algorithm>

#include "api_instance.pb.h"
#include "api_manage.pb.h"
#include "base/log.h"
#include "node/acl_messages.h"
#include "node/instance_selector.h"
#include "rpc/typed.h"

namespace selvage::node {
namespace {

namespace api = ::api::instance;

// Files and flags decide what runs here: nobody may overwrite or delete it over this channel.
constexpr std::uint32_t kReadOnlyAndNoDelete = 3;

std::uint32_t word_at(const std::array<std::uint8_t, 16>& bytes, std::size_t index) {
    std::uint32_t out = 0;
    for (std::size_t i = 0; i < 4; ++i)
        out = (out << 8) | bytes[4 * index + i];
    return out;
}

// Both are four big-endian words.
template <class Message>
void fill_words(const std::array<std::uint8_t, 16>& bytes, Message& out) {
    out.set_part1(word_at(bytes, 0));
    out.set_part2(word_at(bytes, 1));
    out.set_part3(word_at(bytes, 2));
    out.set_part4(word_at(bytes, 3));
}

// protobuf's text fields must be UTF-8; what peers call themselves need not be.
std::string text(std::string_view untrusted) {
    return printable(untrusted, 256);
}

std::uint64_t micros(Duration duration) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(duration).count()
    );
}

void fill_conn(const ConnFacts& conn, const InstanceFacts& facts, api::PeerConnInfo& out) {
    // The reference names connections by UUID; ours are numbers of this run.
    out.set_conn_id(Uuid::from_random(0, conn.id.raw()).to_string());
    out.set_my_peer_id(facts.peer.raw());
    out.set_peer_id(conn.peer.raw());
    out.mutable_tunnel()->set_tunnel_type(conn.tunnel);
    out.mutable_tunnel()->mutable_local_addr()->set_url(conn.local);
    out.mutable_tunnel()->mutable_remote_addr()->set_url(conn.remote);
    if (!conn.resolved_remote.empty()) {
        out.mutable_tunnel()->mutable_resolved_remote_addr()->set_url(conn.resolved_remote);
    }
    out.mutable_stats()->set_rx_bytes(conn.rx_bytes);
    out.mutable_stats()->set_tx_bytes(conn.tx_bytes);
    out.mutable_stats()->set_rx_packets(conn.rx_packets);
    out.mutable_stats()->set_tx_packets(conn.tx_packets);
    if (conn.latency) out.mutable_stats()->set_latency_us(micros(*conn.latency));
    out.set_loss_rate(static_cast<float>(conn.loss_rate));
    out.set_is_client(conn.is_client);
    out.set_network_name(text(conn.network_name));
}

// RFC 3339, in quotes as the reference writes it. The clock is somebody else's, so any number may
// stand there.
std::string time_text(std::int64_t seconds, std::int32_t nanos) {
    constexpr std::int64_t kEndOfYear9999 = 253'402'300'799;
    const std::time_t time = std::clamp<std::int64_t>(seconds, 0, kEndOfYear9999);
    return fmt::format(
        "\"{:%Y-%m-%dT%H:%M:%S}.{:09}+00:00\"", fmt::gmtime(time), std::clamp(nanos, 0, 999'999'999)
    );
}

// The reference's tools expect at least a millisecond, and cannot read a wild NAT type.
std::int32_t path_latency(const NodeFacts::Way& way) {
    return static_cast<std::int32_t>(std::clamp<std::uint32_t>(way.latency_ms, 1, 1'000'000));
}
common::NatType nat_type(std::uint8_t value) {
    return common::NatType_IsValid(value) ? static_cast<common::NatType>(value) : common::Unknown;
}

void fill_route(const NodeFacts& node, api::Route& out) {
    out.set_peer_id(node.peer.raw());
    if (node.ipv4 && node.ipv4->length <= 32) {
        out.mutable_ipv4_addr()->mutable_address()->set_addr(node.ipv4->address.v4_value());
        out.mutable_ipv4_addr()->set_network_length(node.ipv4->length);
    }
    if (node.ipv6 && node.ipv6->length <= 128) {
        fill_words(node.ipv6->address.raw(), *out.mutable_ipv6_addr()->mutable_address());
        out.mutable_ipv6_addr()->set_network_length(node.ipv6->length);
    }
    for (const Prefix& cidr : node.proxy_cidrs)
        out.add_proxy_cidrs(cidr.to_string());
    out.set_hostname(text(node.host_name));
    out.mutable_stun_info()->set_udp_nat_type(nat_type(node.udp_nat_type));
    out.mutable_stun_info()->set_tcp_nat_type(nat_type(node.tcp_nat_type));
    if (node.instance) out.set_inst_id(node.instance->to_string());
    out.set_version(text(node.version));
    if (node.least_hop) {
        out.set_next_hop_peer_id(node.least_hop->next_hop.raw());
        out.set_cost(static_cast<std::int32_t>(node.least_hop->hops));
        out.set_path_latency(path_latency(*node.least_hop));
    }
    if (node.least_cost) {
        out.set_next_hop_peer_id_latency_first(node.least_cost->next_hop.raw());
        out.set_cost_latency_first(static_cast<std::int32_t>(node.least_cost->hops));
        out.set_path_latency_latency_first(path_latency(*node.least_cost));
    }
}

api::ConnectorStatus status_of(connect::ConnectorState state) {
    switch (state) {
        case connect::ConnectorState::connected:
            return api::CONNECTED;
        case connect::ConnectorState::connecting:
            return api::CONNECTING;
        case connect::ConnectorState::waiting:
            return api::DISCONNECTED;
    }
    return api::DISCONNECTED;
}

}  // namespace

ReferenceApi::ReferenceApi(InstanceView& instance)
    : instance_(instance),
      peer_manage_(*this, &ReferenceApi::peer_manage),
      connector_manage_(*this, &ReferenceApi::connector_manage),
      stats_(*this, &ReferenceApi::stats),
      acl_manage_(*this, &ReferenceApi::acl_manage),
      web_client_(*this, &ReferenceApi::web_client) {}

void ReferenceApi::add_to(rpc::ServiceTable& services) {
    services.add("", "PeerManageRpc", peer_manage_);
    services.add("", "ConnectorManageRpc", connector_manage_);
    services.add("", "StatsRpc", stats_);
    services.add("", "AclManageRpc", acl_manage_);
    services.add("", "WebClientService", web_client_);
}

template <class Request>
Result<> ReferenceApi::selected(ByteView request) const {
    auto message = rpc::from_wire<Request>(request);
    if (!message) return message.error();
    return is_selected(message->instance(), instance_.facts());
}

Result<Bytes> ReferenceApi::peer_manage(std::uint32_t method, ByteView request) const {
    // All requests of this service begin with the selector, so one type reads it in all.
    auto mine = selected<api::ListPeerRequest>(request);
    if (!mine) return mine.error();
    switch (method) {
        case 1:
            return list_peers();
        case 3:
            return list_routes();
        case 7:
            return show_node_info();
        case 2:
            return Bytes{};  // public IPv6 addresses: none
        case 5:
            return list_foreign_networks();
        case 6:
            return list_global_foreign_networks();
        case 8:
            return foreign_network_summary();
        default:
            return Errc::unsupported;
    }
}

Bytes ReferenceApi::list_peers() const {
    const InstanceFacts facts = instance_.facts();
    api::ListPeerResponse out;
    api::PeerInfo* peer = nullptr;
    for (const ConnFacts& conn : instance_.connections()) {
        if (peer == nullptr || peer->peer_id() != conn.peer.raw()) {
            peer = out.add_peer_infos();
            peer->set_peer_id(conn.peer.raw());
        }
        fill_conn(conn, facts, *peer->add_conns());
    }
    return rpc::to_wire(out);
}

Bytes ReferenceApi::list_routes() const {
    api::ListRouteResponse out;
    for (const NodeFacts& node : instance_.nodes()) {
        // A route without a next hop would confuse the tools: they look it up.
        if (node.least_hop) fill_route(node, *out.add_routes());
    }
    return rpc::to_wire(out);
}

Bytes ReferenceApi::show_node_info() const {
    const InstanceFacts facts = instance_.facts();
    api::ShowNodeInfoResponse out;
    api::NodeInfo& info = *out.mutable_node_info();
    info.set_peer_id(facts.peer.raw());
    if (facts.addresses.ipv4) info.set_ipv4_addr(facts.addresses.ipv4->to_string());
    info.set_hostname(text(facts.host_name));
    info.mutable_stun_info()->set_max_port(65535);  // as the reference's, when it uses no STUN
    info.set_inst_id(facts.instance_id.to_string());
    for (const std::string& url : facts.listeners)
        info.add_listeners(url);
    info.set_config(facts.config);
    info.set_version(facts.version);
    for (const IpAddress& address : facts.host_addresses) {
        if (address.is_loopback()) continue;
        if (address.is_v4()) {
            info.mutable_ip_list()->add_interface_ipv4s()->set_addr(address.v4_value());
        } else {
            fill_words(address.raw(), *info.mutable_ip_list()->add_interface_ipv6s());
        }
    }
    return rpc::to_wire(out);
}

Bytes ReferenceApi::list_foreign_networks() const {
    InstanceFacts there = instance_.facts();
    api::ListForeignNetworkResponse out;
    for (const HostedNetworkFacts& network : instance_.hosted_networks()) {
        auto& entry = (*out.mutable_foreign_networks())[text(network.name)];
        there.peer = network.self_there;
        entry.set_my_peer_id_for_this_network(there.peer.raw());
        entry.set_network_secret_digest(network.secret_digest.data(), network.secret_digest.size());
        api::PeerInfo* peer = nullptr;
        for (const ConnFacts& conn : network.connections) {
            if (peer == nullptr || peer->peer_id() != conn.peer.raw()) {
                peer = entry.add_peers();
                peer->set_peer_id(conn.peer.raw());
            }
            fill_conn(conn, there, *peer->add_conns());
        }
    }
    return rpc::to_wire(out);
}

Bytes ReferenceApi::list_global_foreign_networks() const {
    api::ListGlobalForeignNetworkResponse out;
    for (const AnnouncedNetworkFacts& network : instance_.announced_networks()) {
        auto& entry =
            *(*out.mutable_foreign_networks())[network.server.raw()].add_foreign_networks();
        entry.set_network_name(text(network.name));
        for (const PeerId member : network.members)
            entry.add_peer_ids(member.raw());
        entry.set_last_updated(time_text(network.updated_seconds, network.updated_nanos));
        entry.set_version(network.version);
    }
    return rpc::to_wire(out);
}

Bytes ReferenceApi::foreign_network_summary() const {
    api::GetForeignNetworkSummaryResponse out;
    auto& servers = *out.mutable_summary()->mutable_info_map();
    for (const AnnouncedNetworkFacts& network : instance_.announced_networks()) {
        auto& server = servers[network.server.raw()];
        server.set_peer_id(network.server.raw());
        server.set_network_count(server.network_count() + 1);
        server.set_peer_count(
            server.peer_count() + static_cast<std::uint32_t>(network.members.size())
        );
    }
    return rpc::to_wire(out);
}

Result<Bytes> ReferenceApi::connector_manage(std::uint32_t method, ByteView request) const {
    auto mine = selected<api::ListConnectorRequest>(request);
    if (!mine) return mine.error();
    if (method != 1) return Errc::unsupported;
    api::ListConnectorResponse out;
    for (const connect::ConnectorStatus& status : instance_.connectors()) {
        api::Connector& connector = *out.add_connectors();
        connector.mutable_url()->set_url(status.url);
        connector.set_status(status_of(status.state));
    }
    return rpc::to_wire(out);
}

Result<Bytes> ReferenceApi::stats(std::uint32_t method, ByteView request) const {
    auto mine = selected<api::GetStatsRequest>(request);
    if (!mine) return mine.error();
    if (method == 1) return get_stats();
    if (method == 2) return get_prometheus_stats();
    return Errc::unsupported;
}

Bytes ReferenceApi::get_stats() const {
    const InstanceFacts facts = instance_.facts();
    api::GetStatsResponse out;
    for (const CounterSample& sample : instance_.counters()) {
        api::MetricSnapshot& metric = *out.add_metrics();
        metric.set_name(sample.name());
        metric.set_value(sample.value);
        (*metric.mutable_labels())["network_name"] = text(facts.network_name);
    }
    return rpc::to_wire(out);
}

Bytes ReferenceApi::get_prometheus_stats() const {
    const InstanceFacts facts = instance_.facts();
    std::string lines;
    const CounterInfo* last = nullptr;
    for (const CounterSample& sample : instance_.counters()) {
        const std::string metric = "selvage_" + sample.info->metric();
        if (sample.info != last) {
            lines += fmt::format(
                "# HELP {0} {1}\n# TYPE {0} {2}\n", metric, sample.info->description,
                kind_name(sample.info->kind)
            );
        }
        last = sample.info;
        std::string label;
        if (!sample.label.empty()) {
            label = fmt::format(",{}=\"{}\"", sample.info->label, sample.label);
        }
        lines += fmt::format(
            "{}{{instance=\"{}\"{}}} {}\n", metric, facts.instance_id.to_string(), label,
            sample.value
        );
    }
    api::GetPrometheusStatsResponse out;
    out.set_prometheus_text(lines);
    return rpc::to_wire(out);
}

Result<Bytes> ReferenceApi::acl_manage(std::uint32_t method, ByteView request) const {
    auto mine = selected<api::GetAclStatsRequest>(request);
    if (!mine) return mine.error();
    const dataplane::Acl& acl = instance_.acl();
    if (method == 1) {
        api::GetAclStatsResponse out;
        fill_acl_stats(
            acl, {.now = instance_.now(), .wall = instance_.wall_now()}, *out.mutable_acl_stats()
        );
        return rpc::to_wire(out);
    }
    if (method != 2) return Errc::unsupported;
    api::GetWhitelistResponse out;
    for (const dataplane::PortRange& ports : acl.rules().tcp_whitelist)
        out.add_tcp_ports(ports.to_string());
    for (const dataplane::PortRange& ports : acl.rules().udp_whitelist)
        out.add_udp_ports(ports.to_string());
    return rpc::to_wire(out);
}

Result<Bytes> ReferenceApi::web_client(std::uint32_t method, ByteView request) const {
    if (method == 8) return list_metas(request);
    if (method != 5) return Errc::unsupported;  // the others change what runs; files decide that
    ::api::manage::ListNetworkInstanceResponse out;
    fill_words(instance_.facts().instance_id.bytes, *out.add_inst_ids());
    return rpc::to_wire(out);
}

Result<Bytes> ReferenceApi::list_metas(ByteView request) const {
    auto message = rpc::from_wire<::api::manage::ListNetworkInstanceMetaRequest>(request);
    if (!message) return message.error();
    const InstanceFacts facts = instance_.facts();
    ::api::manage::ListNetworkInstanceMetaResponse out;
    for (const common::UUID& id : message->inst_ids()) {
        if (uuid_of(id) != facts.instance_id) continue;  // unknown ones are skipped
        ::api::manage::NetworkMeta& meta = *out.add_metas();
        fill_words(facts.instance_id.bytes, *meta.mutable_inst_id());
        meta.set_network_name(text(facts.network_name));
        meta.set_config_permission(kReadOnlyAndNoDelete);
        meta.set_instance_name(text(facts.instance_name));
        meta.set_source(::api::manage::ConfigSourceUser);
        break;  // one instance, however often it is asked for
    }
    return rpc::to_wire(out);
}

}  // namespace selvage::node
