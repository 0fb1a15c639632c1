// Rows and columns of each answer.
#include "node/tables.h"

#include <map>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/text_table.h"

namespace selvage::node {
namespace {

namespace reference = ::api::instance;

std::string addresses_of(const reference::Route& route) {
    const std::string ipv4 = ipv4_of(route);
    const std::string ipv6 = ipv6_of(route);
    return ipv4 + (ipv4.empty() || ipv6.empty() ? "" : " ") + ipv6;
}

}  // namespace

// A connection's tunnel as EasyTier's tools show it: "tcp".
std::string remote_of(const reference::PeerConnInfo& conn) {
    const auto& tunnel = conn.tunnel();
    if (!tunnel.resolved_remote_addr().url().empty()) return tunnel.resolved_remote_addr().url();
    return tunnel.remote_addr().url();
}

std::string ipv4_of(const reference::Route& route) {
    if (!route.has_ipv4_addr()) return "";
    const auto& inet = route.ipv4_addr();
    return fmt::format("{}/{}", IpAddress::v4(inet.address().addr()), inet.network_length());
}

std::string ipv6_of(const reference::Route& route) {
    if (!route.has_ipv6_addr()) return "";
    const auto& inet = route.ipv6_addr();
    const auto& words = inet.address();
    const std::array<be32, 4> bytes{words.part1(), words.part2(), words.part3(), words.part4()};
    const auto address = IpAddress::v6(std::bit_cast<std::array<std::uint8_t, 16>>(bytes));
    return fmt::format("{}/{}", address, inet.network_length());
}

std::string peers_table(
    const reference::ListPeerResponse& peers, const reference::ListRouteResponse& routes
) {
    std::map<std::uint32_t, std::string> names;
    for (const auto& route : routes.routes())
        names[route.peer_id()] = route.hostname();
    std::vector<std::vector<std::string>> rows = {
        {"PEER", "HOST NAME", "TUNNEL", "REMOTE", "LATENCY", "LOSS", "RX", "TX"}
    };
    for (const auto& peer : peers.peer_infos()) {
        for (const auto& conn : peer.conns()) {
            rows.push_back({
                std::to_string(peer.peer_id()),
                or_dash(names[peer.peer_id()]),
                conn.tunnel().tunnel_type(),
                remote_of(conn),
                milliseconds_text(conn.stats().latency_us()),
                fmt::format("{:.1f} %", static_cast<double>(conn.loss_rate()) * 100),
                bytes_text(conn.stats().rx_bytes()),
                bytes_text(conn.stats().tx_bytes()),
            });
        }
    }
    return build_table(rows);
}

std::string routes_table(const reference::ListRouteResponse& routes) {
    std::map<std::uint32_t, std::string> names;
    for (const auto& route : routes.routes())
        names[route.peer_id()] = route.hostname();
    std::vector<std::vector<std::string>> rows = {
        {"ADDRESS", "HOST NAME", "PEER", "WAY", "HOPS", "NETWORKS", "VERSION"}
    };
    for (const auto& route : routes.routes()) {
        std::string cidrs;
        for (const auto& cidr : route.proxy_cidrs())
            cidrs += (cidrs.empty() ? "" : " ") + cidr;
        const bool direct = route.next_hop_peer_id() == route.peer_id();
        rows.push_back({
            or_dash(addresses_of(route)),
            or_dash(route.hostname()),
            std::to_string(route.peer_id()),
            direct ? "direct" : "by " + or_dash(names[route.next_hop_peer_id()]),
            std::to_string(route.cost()),
            or_dash(cidrs),
            route.version(),
        });
    }
    return build_table(rows);
}

std::string services_table(const api::ListServicesResponse& services) {
    std::vector<std::vector<std::string>> rows = {
        {"SERVICE", "STATE", "PORT", "ALLOW", "SESSIONS", "ACCEPTED", "REFUSED", "SUMMARY"}
    };
    for (const auto& service : services.services()) {
        std::string allow;
        for (const auto& rule : service.allow())
            allow += (allow.empty() ? "" : " ") + rule;
        if (!service.listen_host().empty()) allow += " (host: " + service.listen_host() + ")";
        rows.push_back({
            service.name(),
            service.state(),
            std::to_string(service.port()),
            or_dash(allow),
            std::to_string(service.sessions()),
            std::to_string(service.accepted()),
            std::to_string(service.refused()),
            service.summary(),
        });
    }
    return build_table(rows);
}

std::string offers_table(const api::ListOffersResponse& offers) {
    std::vector<std::vector<std::string>> rows = {{"HOST NAME", "SERVICE", "PROTO", "AT"}};
    for (const auto& node : offers.nodes()) {
        const std::string name = or_dash(node.peer_name());
        // A node that tells nothing has a line as well, so that nobody takes it for one that was
        // not asked.
        if (node.offers().empty()) {
            rows.push_back({name, "-", "-", node.state() == "told" ? "nothing" : node.state()});
        }
        const bool v6 = node.address().find(':') != std::string::npos;
        for (const auto& offer : node.offers()) {
            const std::string at = fmt::format(
                "{}{}{}:{}", v6 ? "[" : "", node.address(), v6 ? "]" : "", offer.port()
            );
            rows.push_back({name, offer.service(), offer.protocol(), at});
        }
    }
    std::string out = build_table(rows);
    if (offers.not_asked() > 0) out += fmt::format("{} more were not asked\n", offers.not_asked());
    return out;
}

std::string sessions_table(const api::ListSessionsResponse& sessions) {
    std::vector<std::vector<std::string>> rows = {
        {"ID", "SERVICE", "CALLER", "FROM", "FOR", "IN", "OUT", "DOING"}
    };
    for (const auto& session : sessions.sessions()) {
        rows.push_back({
            std::to_string(session.id()),
            session.service(),
            session.peer_id() == 0 ? "(this host)" : or_dash(session.peer_name()),
            session.remote(),
            seconds_text(session.seconds()),
            bytes_text(session.rx_bytes()),
            bytes_text(session.tx_bytes()),
            or_dash(session.note()),
        });
    }
    return build_table(rows);
}

std::string who_is_table(const api::WhoIsResponse& found) {
    std::string sessions;
    for (const std::uint64_t id : found.sessions())
        sessions += (sessions.empty() ? "" : " ") + std::to_string(id);
    std::string path = or_dash(found.path());
    if (found.path() == "relayed") {
        path += fmt::format(", {} hops, by peer {}", found.hops(), found.next_hop_peer_id());
    }
    return build_table({
        {"MEMBER", or_dash(found.peer_name())},
        {"peer id", std::to_string(found.peer_id())},
        {"instance", or_dash(found.instance_id())},
        {"network", found.network()},
        {"address", or_dash(found.virtual_address())},
        {"asked for", found.relation()},
        {"vouched for by", found.auth()},
        {"path", path},
        {"sessions", or_dash(sessions)},
    });
}

std::string ping_line(const api::PingResponse& reply) {
    return fmt::format(
        "{} (peer {}): {}, {} hop{}\n", or_dash(reply.peer_name()), reply.peer_id(),
        milliseconds_text(reply.round_trip_us()), reply.hops(),
        std::string(reply.hops() == 1 ? "" : "s")
    );
}

}  // namespace selvage::node
