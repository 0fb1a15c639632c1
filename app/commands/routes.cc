// selvage routes: the members of the network and the way to each.
#include <nlohmann/json.hpp>

#include "api_instance.pb.h"
#include "base/ip.h"
#include "command.h"
#include "output.h"

namespace selvage::app {
namespace {

namespace api = ::api::instance;

std::string ipv4_of(const api::Route& route) {
    if (!route.has_ipv4_addr()) return "";
    const auto& inet = route.ipv4_addr();
    return fmt::format("{}/{}", IpAddress::v4(inet.address().addr()), inet.network_length());
}

std::string ipv6_of(const api::Route& route) {
    if (!route.has_ipv6_addr()) return "";
    const auto& inet = route.ipv6_addr();
    const auto& words = inet.address();
    const std::array<be32, 4> bytes{words.part1(), words.part2(), words.part3(), words.part4()};
    const auto address = IpAddress::v6(std::bit_cast<std::array<std::uint8_t, 16>>(bytes));
    return fmt::format("{}/{}", address, inet.network_length());
}

std::string addresses_of(const api::Route& route) {
    const std::string ipv4 = ipv4_of(route);
    const std::string ipv6 = ipv6_of(route);
    return ipv4 + (ipv4.empty() || ipv6.empty() ? "" : " ") + ipv6;
}

class Routes final : public Command {
public:
    rt::Task<Result<int>> run(CommandContext& context) override {
        auto routes = co_await context.client.call<api::ListRouteResponse>(
            "PeerManageRpc", 3, api::ListRouteRequest{}
        );
        if (!routes) co_return routes.error();
        print(context.json ? json_of(*routes) : text_of(*routes));
        co_return 0;
    }

private:
    static std::string json_of(const api::ListRouteResponse& routes) {
        nlohmann::json out = nlohmann::json::array();
        for (const auto& route : routes.routes()) {
            nlohmann::json cidrs = nlohmann::json::array();
            for (const auto& cidr : route.proxy_cidrs())
                cidrs.push_back(cidr);
            out.push_back({
                {"peer_id", route.peer_id()},
                {"hostname", route.hostname()},
                {"ipv4", ipv4_of(route)},
                {"ipv6", ipv6_of(route)},
                {"next_hop_peer_id", route.next_hop_peer_id()},
                {"cost", route.cost()},
                {"path_latency_ms", route.path_latency()},
                {"proxy_cidrs", cidrs},
                {"instance_id", route.inst_id()},
                {"version", route.version()},
            });
        }
        return out.dump(2) + "\n";
    }

    static std::string text_of(const api::ListRouteResponse& routes) {
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
};

}  // namespace

const CommandSpec routes_command{
    .name = "routes",
    .summary = "members of the network and the way to each",
    .make = [](CLI::App&) -> std::unique_ptr<Command> { return std::make_unique<Routes>(); },
};

}  // namespace selvage::app
