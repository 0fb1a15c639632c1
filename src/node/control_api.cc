// Calls that change an instance while it runs, and what an operator asks before.
#include "node/control_api.h"

#include "api_config.pb.h"
#include "base/log.h"
#include "control_api.pb.h"
#include "node/instance_selector.h"
#include "rpc/typed.h"

namespace selvage::node {
namespace {

namespace control = ::selvage::control;
namespace config_api = ::api::config;

constexpr std::size_t kLogNameMax = 64;
// Who made more mistakes than this sees the rest at the next attempt.
constexpr int kErrorLinesMax = 100;

std::uint64_t micros(Duration duration) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(duration).count()
    );
}

void fill_way(const std::optional<RouteExplanation::Way>& way, control::RouteWay* out) {
    if (!way) return;
    out->set_next_hop_peer_id(way->next_hop.raw());
    out->set_next_hop_name(printable(way->next_hop_name));
    out->set_hops(way->hops);
    out->set_latency_ms(way->latency_ms);
}

std::string_view verdict_name(RouteReason reason) {
    switch (reason) {
        case RouteReason::own_address:
            return "own";
        case RouteReason::member_address:
            return "member";
        case RouteReason::member_network:
            return "network";
        case RouteReason::subnet_unused:
            return "unused";
        case RouteReason::not_in_mesh:
            return "none";
    }
    return "none";
}

void fill_rule(std::string_view name, LogLevel level, control::SetLogLevelsResponse& out) {
    control::LogRule& row = *out.add_rules();
    row.set_name(std::string(name));
    row.set_level(std::string(log_level_name(level)));
}

// A line for each mistake of the files.
void fill_errors(std::string_view text, control::ReloadResponse& out) {
    while (!text.empty() && out.errors_size() < kErrorLinesMax) {
        const auto end = text.find('\n');
        out.add_errors(printable(text.substr(0, end), 1000));
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
}

// Everything but connectors: files decide the rest, and a reload applies it.
bool has_other_fields(const config_api::InstanceConfigPatch& patch) {
    return patch.has_hostname() || patch.has_ipv4() || patch.has_ipv6() ||
           patch.port_forwards_size() > 0 || patch.has_acl() || patch.proxy_networks_size() > 0 ||
           patch.routes_size() > 0 || patch.exit_nodes_size() > 0 ||
           patch.mapped_listeners_size() > 0 || patch.has_ipv6_public_addr_provider() ||
           patch.has_ipv6_public_addr_auto() || patch.has_ipv6_public_addr_prefix() ||
           patch.has_disable_relay_data();
}

Result<tunnel::Url> parse_peer(const std::string& text) {
    auto url = tunnel::Url::parse(text);
    if (!url) return url;
    // A scheme that this build does not have is refused by name.
    if (auto known = tunnel::listener_urls(text); !known) return std::move(known).error();
    return url;
}

}  // namespace

void ControlApi::add_to(rpc::ServiceTable& services) {
    services.add("", "SelvageControlRpc", *this);
    services.add("", "ConfigRpc", config_);
}

rt::Task<Result<Bytes>> ControlApi::call(rpc::Caller, std::uint32_t method, Bytes request) {
    switch (method) {
        case 1:
            co_return co_await reload();
        case 2:
            co_return explain_route(request);
        case 3:
            co_return list_connections();
        case 4:
            co_return set_log_levels(request);
        default:
            co_return Errc::unsupported;
    }
}

rt::Task<Result<Bytes>> ControlApi::reload() {
    auto report = co_await instance_.reload();
    control::ReloadResponse out;
    if (!report) {
        // An answer and not an error: an error's text is one short line.
        fill_errors(report.error().message(), out);
        co_return rpc::to_wire(out);
    }
    for (const config::KeyChange& change : report->changes) {
        control::KeyChange& row = *out.add_changes();
        row.set_key(printable(change.key));
        row.set_needs_restart(change.on_reload == config::OnReload::restart);
    }
    for (const std::string& failure : report->failures)
        out.add_failures(printable(failure, 1000));
    co_return rpc::to_wire(out);
}

Result<Bytes> ControlApi::explain_route(ByteView request) const {
    auto message = rpc::from_wire<control::ExplainRouteRequest>(request);
    if (!message) return message.error();
    const auto address = IpAddress::parse(message->address());
    if (!address) {
        return Error(
            Errc::bad_argument, fmt::format("{}: is no address", printable(message->address(), 64))
        );
    }
    const RouteExplanation route = instance_.explain_route(*address);
    control::ExplainRouteResponse out;
    out.set_address(address->to_string());
    out.set_reason(to_sentence(route));
    out.set_verdict(std::string(verdict_name(route.reason)));
    out.set_peer_id(route.peer.raw());
    out.set_hostname(printable(route.host_name));
    if (route.network) out.set_network(route.network->to_string());
    if (route.least_hop) fill_way(route.least_hop, out.mutable_least_hop());
    if (route.least_cost) fill_way(route.least_cost, out.mutable_least_cost());
    out.set_latency_first(route.latency_first);
    for (const RouteExplanation::Other& other : route.others) {
        control::OtherRoute& row = *out.add_others();
        row.set_peer_id(other.peer.raw());
        row.set_hostname(printable(other.host_name));
        row.set_network(other.network.to_string());
        row.set_why_not(other.why_not);
    }
    return rpc::to_wire(out);
}

Bytes ControlApi::list_connections() const {
    control::ListConnectionsResponse out;
    for (const ConnFacts& conn : instance_.connections()) {
        control::Connection& row = *out.add_connections();
        row.set_id(conn.id.raw());
        row.set_peer_id(conn.peer.raw());
        row.set_hostname(printable(conn.host_name));
        row.set_network_name(printable(conn.network_name, 256));
        row.set_tunnel(conn.tunnel);
        row.set_local(conn.local);
        row.set_remote(conn.remote);
        row.set_resolved_remote(conn.resolved_remote);
        row.set_is_client(conn.is_client);
        if (conn.latency) row.set_latency_us(micros(*conn.latency));
        row.set_loss_rate(conn.loss_rate);
        row.set_rx_bytes(conn.rx_bytes);
        row.set_tx_bytes(conn.tx_bytes);
        row.set_rx_packets(conn.rx_packets);
        row.set_tx_packets(conn.tx_packets);
        row.set_age_seconds(micros(conn.age) / 1'000'000);
        row.set_cipher(conn.cipher);
        row.set_dropped(conn.dropped);
    }
    return rpc::to_wire(out);
}

Result<Bytes> ControlApi::set_log_levels(ByteView request) {
    auto message = rpc::from_wire<control::SetLogLevelsRequest>(request);
    if (!message) return message.error();
    for (const control::LogRule& rule : message->rules()) {
        const bool takes_away = !rule.name().empty() && rule.level() == "default";
        if (!takes_away && !parse_log_level(rule.level())) {
            return Error(
                Errc::bad_argument,
                fmt::format(
                    "{}: the level is one of off, error, warn, info, debug, trace{}",
                    printable(rule.level(), 32), rule.name().empty() ? "" : ", default"
                )
            );
        }
        if (rule.name().size() > kLogNameMax || rule.name().find(' ') != std::string::npos) {
            return Error(Errc::bad_argument, "a name is one word of at most 64 characters");
        }
    }
    LogLevels& levels = instance_.log_levels();
    for (const control::LogRule& rule : message->rules()) {
        if (rule.name().empty()) {
            levels.set(*parse_log_level(rule.level()));
        } else if (rule.level() == "default") {
            levels.unset(rule.name());
        } else if (!levels.set(rule.name(), *parse_log_level(rule.level()))) {
            return Error(
                Errc::limit, "too many names have levels; take one away with NAME=default"
            );
        }
    }
    control::SetLogLevelsResponse out;
    fill_rule("", levels.base(), out);
    for (const LogLevels::Rule& rule : levels.rules())
        fill_rule(rule.name, rule.level, out);
    return rpc::to_wire(out);
}

// The reference applies entries one by one and keeps those before a bad one; so all of ours are
// checked before the first is applied.
Result<Bytes> ControlApi::patch_config(ByteView request) {
    auto message = rpc::from_wire<config_api::PatchConfigRequest>(request);
    if (!message) return message.error();
    if (auto mine = is_selected(message->instance(), instance_.facts()); !mine) return mine.error();
    const config_api::InstanceConfigPatch& patch = message->patch();
    if (has_other_fields(patch)) {
        return Error(
            Errc::unsupported,
            "only connectors can be patched; change the file and call `selvage reload`"
        );
    }
    std::vector<std::pair<config_api::ConfigPatchAction, tunnel::Url>> steps;
    for (const config_api::UrlPatch& entry : patch.connectors()) {
        if (entry.action() == config_api::CLEAR) {
            for (const connect::ConnectorStatus& status : instance_.connectors()) {
                if (auto url = parse_peer(status.url)) {
                    steps.emplace_back(config_api::REMOVE, std::move(*url));
                }
            }
            continue;
        }
        auto url = parse_peer(entry.url().url());
        if (!url) return std::move(url).error();
        if (entry.action() != config_api::ADD && entry.action() != config_api::REMOVE) {
            return Error(Errc::bad_argument, "the action is ADD, REMOVE or CLEAR");
        }
        steps.emplace_back(entry.action(), std::move(*url));
    }
    for (const auto& [action, url] : steps) {
        if (action == config_api::ADD) {
            if (auto added = instance_.add_connector(url); !added) return added.error();
        } else if (!instance_.remove_connector(url)) {
            return Error(
                Errc::not_found, fmt::format("there is no connector to {}", url.to_string())
            );
        }
    }
    return Bytes{};
}

}  // namespace selvage::node
