// selvage foreign-networks: networks that we host for others, and those that other servers host.
#include <nlohmann/json.hpp>

#include "api_instance.pb.h"
#include "base/bytes.h"
#include "base/text_table.h"
#include "command.h"

namespace selvage::app {
namespace {

namespace api = ::api::instance;

using Hosted = api::ListForeignNetworkResponse;
using Announced = api::ListGlobalForeignNetworkResponse;

// protobuf's maps have no order.
template <class Map>
auto sorted(const Map& in) {
    return std::map<typename Map::key_type, typename Map::mapped_type>(in.begin(), in.end());
}

std::string remote_of(const api::PeerConnInfo& conn) {
    const auto& tunnel = conn.tunnel();
    if (!tunnel.resolved_remote_addr().url().empty()) return tunnel.resolved_remote_addr().url();
    return tunnel.remote_addr().url();
}

class ForeignNetworks final : public Command {
public:
    rt::Task<Result<int>> run(CommandContext& context) override {
        auto hosted = co_await context.client.call<Hosted>(
            "PeerManageRpc", 5, api::ListForeignNetworkRequest{}
        );
        if (!hosted) co_return hosted.error();
        auto announced = co_await context.client.call<Announced>(
            "PeerManageRpc", 6, api::ListGlobalForeignNetworkRequest{}
        );
        if (!announced) co_return announced.error();
        print(context.json ? json_of(*hosted, *announced) : text_of(*hosted, *announced));
        co_return 0;
    }

private:
    static std::string json_of(const Hosted& hosted, const Announced& announced) {
        nlohmann::json here = nlohmann::json::array();
        for (const auto& [name, network] : sorted(hosted.foreign_networks())) {
            nlohmann::json peers = nlohmann::json::array();
            for (const auto& peer : network.peers()) {
                nlohmann::json conns = nlohmann::json::array();
                for (const auto& conn : peer.conns()) {
                    conns.push_back({
                        {"tunnel", conn.tunnel().tunnel_type()},
                        {"remote", remote_of(conn)},
                        {"latency_us", conn.stats().latency_us()},
                        {"rx_bytes", conn.stats().rx_bytes()},
                        {"tx_bytes", conn.stats().tx_bytes()},
                    });
                }
                peers.push_back({{"peer_id", peer.peer_id()}, {"conns", conns}});
            }
            here.push_back({
                {"network_name", name},
                {"my_peer_id", network.my_peer_id_for_this_network()},
                {"network_secret_digest", to_hex(as_view(network.network_secret_digest()))},
                {"peers", peers},
            });
        }
        nlohmann::json everywhere = nlohmann::json::array();
        for (const auto& [server, networks] : sorted(announced.foreign_networks())) {
            for (const auto& network : networks.foreign_networks()) {
                everywhere.push_back({
                    {"server_peer_id", server},
                    {"network_name", network.network_name()},
                    {"peer_ids", std::vector(network.peer_ids().begin(), network.peer_ids().end())},
                    {"version", network.version()},
                });
            }
        }
        return nlohmann::json{{"hosted", here}, {"announced", everywhere}}.dump(2) + "\n";
    }

    static std::string text_of(const Hosted& hosted, const Announced& announced) {
        std::vector<std::vector<std::string>> here = {
            {"HOSTED HERE", "OUR ID", "PEER", "TUNNEL", "REMOTE", "LATENCY", "RX", "TX"}
        };
        for (const auto& [name, network] : sorted(hosted.foreign_networks())) {
            for (const auto& peer : network.peers()) {
                for (const auto& conn : peer.conns()) {
                    here.push_back({
                        name,
                        std::to_string(network.my_peer_id_for_this_network()),
                        std::to_string(peer.peer_id()),
                        conn.tunnel().tunnel_type(),
                        remote_of(conn),
                        milliseconds_text(conn.stats().latency_us()),
                        bytes_text(conn.stats().rx_bytes()),
                        bytes_text(conn.stats().tx_bytes()),
                    });
                }
            }
        }
        std::vector<std::vector<std::string>> everywhere = {{"ANNOUNCED", "SERVER", "MEMBERS"}};
        for (const auto& [server, networks] : sorted(announced.foreign_networks())) {
            for (const auto& network : networks.foreign_networks()) {
                everywhere.push_back({
                    network.network_name(),
                    std::to_string(server),
                    std::to_string(network.peer_ids_size()),
                });
            }
        }
        return build_table(here) + "\n" + build_table(everywhere);
    }
};

}  // namespace

const CommandSpec foreign_networks_command{
    .name = "foreign-networks",
    .summary = "networks hosted for others, here and by other servers",
    .make = [](CLI::App&) -> std::unique_ptr<Command> {
        return std::make_unique<ForeignNetworks>();
    },
};

}  // namespace selvage::app
