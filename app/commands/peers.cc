// selvage peers: the connections to our neighbours.
#include <nlohmann/json.hpp>

#include "api_instance.pb.h"
#include "base/text_table.h"
#include "command.h"
#include "control_api.pb.h"
#include "node/tables.h"

namespace selvage::app {
namespace {

namespace api = ::api::instance;
namespace control = ::selvage::control;

class Peers final : public Command {
public:
    explicit Peers(CLI::App& arguments) {
        arguments.add_flag(
            "-v,--verbose", verbose_, "every connection with its addresses, age, cipher and losses"
        );
    }

    rt::Task<Result<int>> run(CommandContext& context) override {
        if (verbose_) co_return co_await show_connections(context);
        auto routes = co_await context.client.call<api::ListRouteResponse>(
            "PeerManageRpc", 3, api::ListRouteRequest{}
        );
        if (!routes) co_return routes.error();
        auto peers = co_await context.client.call<api::ListPeerResponse>(
            "PeerManageRpc", 1, api::ListPeerRequest{}
        );
        if (!peers) co_return peers.error();
        print(context.json ? json_of(*peers, *routes) : node::peers_table(*peers, *routes));
        co_return 0;
    }

private:
    static rt::Task<Result<int>> show_connections(CommandContext& context) {
        auto list = co_await context.client.call<control::ListConnectionsResponse>(
            "SelvageControlRpc", 3, control::ListConnectionsRequest{}
        );
        if (!list) co_return list.error();
        print(context.json ? json_of(*list) : text_of(*list));
        co_return 0;
    }

    static std::string json_of(const control::ListConnectionsResponse& list) {
        nlohmann::json out = nlohmann::json::array();
        for (const control::Connection& conn : list.connections()) {
            out.push_back({
                {"id", conn.id()},
                {"peer_id", conn.peer_id()},
                {"hostname", conn.hostname()},
                {"network_name", conn.network_name()},
                {"tunnel", conn.tunnel()},
                {"local", conn.local()},
                {"remote", conn.remote()},
                {"resolved_remote", conn.resolved_remote()},
                {"is_client", conn.is_client()},
                {"latency_us", nullptr},
                {"loss_rate", conn.loss_rate()},
                {"rx_bytes", conn.rx_bytes()},
                {"tx_bytes", conn.tx_bytes()},
                {"rx_packets", conn.rx_packets()},
                {"tx_packets", conn.tx_packets()},
                {"dropped", conn.dropped()},
                {"age_seconds", conn.age_seconds()},
                {"cipher", conn.cipher()},
            });
            if (conn.has_latency_us()) out.back()["latency_us"] = conn.latency_us();
        }
        return out.dump(2) + "\n";
    }

    static std::string text_of(const control::ListConnectionsResponse& list) {
        std::vector<std::vector<std::string>> rows = {
            {"PEER", "HOST NAME", "CONN", "TUNNEL", "LOCAL", "REMOTE", "DIALLED", "LATENCY", "LOSS",
             "RX", "TX", "DROPPED", "AGE", "CIPHER"}
        };
        for (const control::Connection& conn : list.connections()) {
            const bool resolved = !conn.resolved_remote().empty();
            rows.push_back({
                std::to_string(conn.peer_id()),
                or_dash(conn.hostname()),
                std::to_string(conn.id()),
                conn.tunnel(),
                or_dash(conn.local()),
                resolved ? conn.resolved_remote() : conn.remote(),
                conn.is_client() ? "by us" : "by peer",
                conn.has_latency_us() ? milliseconds_text(conn.latency_us()) : "-",
                fmt::format("{:.1f} %", conn.loss_rate() * 100),
                bytes_text(conn.rx_bytes()),
                bytes_text(conn.tx_bytes()),
                std::to_string(conn.dropped()),
                seconds_text(conn.age_seconds()),
                conn.cipher(),
            });
        }
        return build_table(rows);
    }

    static std::string json_of(
        const api::ListPeerResponse& peers, const api::ListRouteResponse& routes
    ) {
        std::map<std::uint32_t, std::string> names;
        for (const auto& route : routes.routes())
            names[route.peer_id()] = route.hostname();
        nlohmann::json out = nlohmann::json::array();
        for (const auto& peer : peers.peer_infos()) {
            nlohmann::json conns = nlohmann::json::array();
            for (const auto& conn : peer.conns()) {
                conns.push_back({
                    {"tunnel", conn.tunnel().tunnel_type()},
                    {"local", conn.tunnel().local_addr().url()},
                    {"remote", node::remote_of(conn)},
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

    bool verbose_ = false;
};

}  // namespace

const CommandSpec peers_command{
    .name = "peers",
    .summary = "connections to our neighbours",
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<Peers>(arguments);
    },
};

}  // namespace selvage::app
