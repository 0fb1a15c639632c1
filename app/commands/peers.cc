// selvage peers: the connections to our neighbours.
#include <nlohmann/json.hpp>

#include "api_instance.pb.h"
#include "command.h"
#include "output.h"

namespace selvage::app {
namespace {

namespace api = ::api::instance;

// A connection's tunnel as EasyTier's tools show it: "tcp".
std::string remote_of(const api::PeerConnInfo& conn) {
    const auto& tunnel = conn.tunnel();
    if (!tunnel.resolved_remote_addr().url().empty()) return tunnel.resolved_remote_addr().url();
    return tunnel.remote_addr().url();
}

class Peers final : public Command {
public:
    rt::Task<Result<int>> run(CommandContext& context) override {
        auto routes = co_await context.client.call<api::ListRouteResponse>(
            "PeerManageRpc", 3, api::ListRouteRequest{}
        );
        if (!routes) co_return routes.error();
        auto peers = co_await context.client.call<api::ListPeerResponse>(
            "PeerManageRpc", 1, api::ListPeerRequest{}
        );
        if (!peers) co_return peers.error();
        std::map<std::uint32_t, std::string> names;
        for (const auto& route : routes->routes())
            names[route.peer_id()] = route.hostname();
        print(context.json ? json_of(*peers, names) : text_of(*peers, names));
        co_return 0;
    }

private:
    using Names = std::map<std::uint32_t, std::string>;

    static std::string json_of(const api::ListPeerResponse& peers, Names& names) {
        nlohmann::json out = nlohmann::json::array();
        for (const auto& peer : peers.peer_infos()) {
            nlohmann::json conns = nlohmann::json::array();
            for (const auto& conn : peer.conns()) {
                conns.push_back({
                    {"tunnel", conn.tunnel().tunnel_type()},
                    {"local", conn.tunnel().local_addr().url()},
                    {"remote", remote_of(conn)},
                    {"is_client", conn.is_client()},
                    {"latency_us", conn.stats().latency_us()},
                    {"loss_rate", conn.loss_rate()},
                    {"rx_bytes", conn.stats().rx_bytes()},
                    {"tx_bytes", conn.stats().tx_bytes()},
                    {"rx_packets", conn.stats().rx_packets()},
                    {"tx_packets", conn.stats().tx_packets()},
                });
            }
            out.push_back({
                {"peer_id", peer.peer_id()},
                {"hostname", names[peer.peer_id()]},
                {"conns", conns},
            });
        }
        return out.dump(2) + "\n";
    }

    static std::string text_of(const api::ListPeerResponse& peers, Names& names) {
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
};

}  // namespace

const CommandSpec peers_command{
    .name = "peers",
    .summary = "connections to our neighbours",
    .make = [](CLI::App&) -> std::unique_ptr<Command> { return std::make_unique<Peers>(); },
};

}  // namespace selvage::app
