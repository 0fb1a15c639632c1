// selvage status: what this node is and how it does.
#include <nlohmann/json.hpp>

#include "base/text_table.h"
#include "command.h"
#include "selvage_api.pb.h"

namespace selvage::app {
namespace {

namespace api = ::selvage::api;

nlohmann::json json_of(const api::StatusResponse& status) {
    nlohmann::json out = {
        {"instance_name", status.instance_name()},
        {"network_name", status.network_name()},
        {"peer_id", status.peer_id()},
        {"hostname", status.hostname()},
        {"version", status.version()},
        {"ipv4", status.ipv4()},
        {"ipv6", status.ipv6()},
        {"device", status.device()},
        {"uptime_seconds", status.uptime_seconds()},
        {"listeners", nlohmann::json::array()},
        {"neighbours", status.neighbours()},
        {"routes", status.routes()},
        {"longest_turn_us", status.longest_turn_us()},
        {"counters", nlohmann::json::object()},
    };
    for (const auto& url : status.listeners())
        out["listeners"].push_back(url);
    for (const auto& [name, value] : status.counters())
        out["counters"][name] = value;
    return out;
}

std::string text_of(const api::StatusResponse& status) {
    std::string listeners;
    for (const auto& url : status.listeners())
        listeners += (listeners.empty() ? "" : " ") + url;
    std::vector<std::vector<std::string>> rows = {
        {"instance", status.instance_name()},
        {"network", status.network_name()},
        {"host name", status.hostname()},
        {"peer id", std::to_string(status.peer_id())},
        {"address", or_dash(status.ipv4())},
        {"IPv6 address", or_dash(status.ipv6())},
        {"device", status.device().empty() ? "none" : status.device()},
        {"listeners", or_dash(listeners)},
        {"neighbours", std::to_string(status.neighbours())},
        {"routes", std::to_string(status.routes())},
        {"up", seconds_text(status.uptime_seconds())},
        {"longest turn", milliseconds_text(status.longest_turn_us())},
        {"version", status.version()},
    };
    // What was dropped or refused tells more than what worked; zeros tell nothing.
    std::map<std::string, std::uint64_t> notable;
    for (const auto& [name, value] : status.counters()) {
        const bool bad = name.starts_with("dropped.") || name.find("refused") != std::string::npos;
        if (bad && value != 0) notable.emplace(name, value);
    }
    for (const auto& [name, value] : notable)
        rows.push_back({name, std::to_string(value)});
    return build_table(rows);
}

class Status final : public Command {
public:
    rt::Task<Result<int>> run(CommandContext& context) override {
        auto status = co_await context.client.call<api::StatusResponse>(
            "SelvageRpc", 1, api::StatusRequest{}
        );
        if (!status) co_return status.error();
        print(context.json ? json_of(*status).dump(2) + "\n" : text_of(*status));
        co_return 0;
    }
};

}  // namespace

const CommandSpec status_command{
    .name = "status",
    .summary = "what this node is and how it does",
    .make = [](CLI::App&) -> std::unique_ptr<Command> { return std::make_unique<Status>(); },
};

}  // namespace selvage::app
