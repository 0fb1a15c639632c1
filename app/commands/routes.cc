// selvage routes: the members of the network and the way to each.
#include <nlohmann/json.hpp>

#include "api_instance.pb.h"
#include "base/ip.h"
#include "base/text_table.h"
#include "command.h"
#include "control_api.pb.h"
#include "node/tables.h"

namespace selvage::app {
namespace {

namespace api = ::api::instance;
namespace control = ::selvage::control;

class Routes final : public Command {
public:
    explicit Routes(CLI::App& arguments) {
        arguments.add_option(
            "--to", to_, "an address: which route decides about it and why, and the way there"
        );
    }

    rt::Task<Result<int>> run(CommandContext& context) override {
        if (!to_.empty()) co_return co_await explain(context);
        auto routes = co_await context.client.call<api::ListRouteResponse>(
            "PeerManageRpc", 3, api::ListRouteRequest{}
        );
        if (!routes) co_return routes.error();
        print(context.json ? json_of(*routes) : node::routes_table(*routes));
        co_return 0;
    }

private:
    rt::Task<Result<int>> explain(CommandContext& context) {
        control::ExplainRouteRequest request;
        request.set_address(to_);
        auto route = co_await context.client.call<control::ExplainRouteResponse>(
            "SelvageControlRpc", 2, std::move(request)
        );
        if (!route) co_return route.error();
        print(context.json ? json_of(*route) : text_of(*route));
        co_return route->verdict() == "none" || route->verdict() == "unused" ? 1 : 0;
    }

    static nlohmann::json json_of(const control::RouteWay& way) {
        return {
            {"next_hop_peer_id", way.next_hop_peer_id()},
            {"next_hop_name", way.next_hop_name()},
            {"hops", way.hops()},
            {"latency_ms", way.latency_ms()},
        };
    }
    static std::string json_of(const control::ExplainRouteResponse& route) {
        nlohmann::json out = {
            {"address", route.address()},
            {"verdict", route.verdict()},
            {"reason", route.reason()},
            {"peer_id", route.peer_id()},
            {"hostname", route.hostname()},
            {"network", route.network()},
            {"policy", route.latency_first() ? "least_cost" : "least_hop"},
            {"least_hop", nullptr},
            {"least_cost", nullptr},
            {"others", nlohmann::json::array()},
        };
        if (route.has_least_hop()) out["least_hop"] = json_of(route.least_hop());
        if (route.has_least_cost()) out["least_cost"] = json_of(route.least_cost());
        for (const control::OtherRoute& other : route.others()) {
            out["others"].push_back({
                {"peer_id", other.peer_id()},
                {"hostname", other.hostname()},
                {"network", other.network()},
                {"why_not", other.why_not()},
            });
        }
        return out.dump(2) + "\n";
    }

    static std::string text_of(const control::RouteWay& way, bool known, std::uint32_t peer) {
        if (!known) return "none at the moment";
        const std::string by =
            way.next_hop_peer_id() == peer ? "direct" : "by " + or_dash(way.next_hop_name());
        return fmt::format("{}, {} hops, {} ms", by, way.hops(), way.latency_ms());
    }
    static std::string text_of(const control::ExplainRouteResponse& route) {
        std::vector<std::vector<std::string>> rows = {
            {"address", route.address()}, {"because", route.reason()}
        };
        if (route.verdict() == "member" || route.verdict() == "network") {
            const auto mark = [&](bool latency_first) {
                return route.latency_first() == latency_first ? " (taken)" : "";
            };
            rows.push_back(
                {"member", fmt::format("{} (peer {})", route.hostname(), route.peer_id())}
            );
            rows.push_back(
                {"fewest hops",
                 text_of(route.least_hop(), route.has_least_hop(), route.peer_id()) + mark(false)}
            );
            rows.push_back(
                {"least latency",
                 text_of(route.least_cost(), route.has_least_cost(), route.peer_id()) + mark(true)}
            );
        }
        for (const control::OtherRoute& other : route.others()) {
            rows.push_back(
                {"not taken",
                 fmt::format(
                     "{} by {}: {}", other.network(), or_dash(other.hostname()), other.why_not()
                 )}
            );
        }
        return build_table(rows);
    }

    static std::string json_of(const api::ListRouteResponse& routes) {
        nlohmann::json out = nlohmann::json::array();
        for (const auto& route : routes.routes()) {
            nlohmann::json cidrs = nlohmann::json::array();
            for (const auto& cidr : route.proxy_cidrs())
                cidrs.push_back(cidr);
            out.push_back({
                {"peer_id", route.peer_id()},
                {"hostname", route.hostname()},
                {"ipv4", node::ipv4_of(route)},
                {"ipv6", node::ipv6_of(route)},
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

    std::string to_;
};

}  // namespace

const CommandSpec routes_command{
    .name = "routes",
    .summary = "members of the network and the way to each",
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<Routes>(arguments);
    },
};

}  // namespace selvage::app
