// selvage services: what this node offers at its address; --of and --all: what others offer us.
#include <nlohmann/json.hpp>

#include "command.h"
#include "node/tables.h"
#include "selvage_api.pb.h"

namespace selvage::app {
namespace {

namespace api = ::selvage::api;

class Services final : public Command {
public:
    explicit Services(CLI::App& arguments) {
        auto* of = arguments.add_option(
            "--of", of_, "what this member offers us: its host name, address or peer id"
        );
        arguments.add_flag("--all", all_, "what every member offers us")->excludes(of);
    }

    rt::Task<Result<int>> run(CommandContext& context) override {
        if (all_ || !of_.empty()) co_return co_await ask_others(context);
        auto services = co_await context.client.call<api::ListServicesResponse>(
            "SelvageRpc", 2, api::ListServicesRequest{}
        );
        if (!services) co_return services.error();
        print(context.json ? json_of(*services) : node::services_table(*services));
        co_return 0;
    }

private:
    rt::Task<Result<int>> ask_others(CommandContext& context) {
        api::ListOffersRequest request;
        request.set_target(of_);
        auto offers = co_await context.client.call<api::ListOffersResponse>(
            "SelvageRpc", 31, std::move(request)
        );
        if (!offers) co_return offers.error();
        print(context.json ? json_of(*offers) : node::offers_table(*offers));
        co_return 0;
    }

    static std::string json_of(const api::ListOffersResponse& offers) {
        nlohmann::json out = nlohmann::json::array();
        for (const auto& node : offers.nodes()) {
            nlohmann::json told = nlohmann::json::array();
            for (const auto& offer : node.offers()) {
                told.push_back({
                    {"service", offer.service()},
                    {"port", offer.port()},
                    {"protocol", offer.protocol()},
                });
            }
            out.push_back({
                {"peer_id", node.peer_id()},
                {"hostname", node.peer_name()},
                {"address", node.address()},
                {"state", node.state()},
                {"offers", told},
            });
        }
        return out.dump(2) + "\n";
    }

    static std::string json_of(const api::ListServicesResponse& services) {
        nlohmann::json out = nlohmann::json::array();
        for (const auto& service : services.services()) {
            nlohmann::json allow = nlohmann::json::array();
            for (const auto& rule : service.allow())
                allow.push_back(rule);
            out.push_back({
                {"name", service.name()},
                {"summary", service.summary()},
                {"enabled", service.enabled()},
                {"port", service.port()},
                {"allow", allow},
                {"listen_host", service.listen_host()},
                {"advertise", service.advertise()},
                {"sessions", service.sessions()},
                {"accepted", service.accepted()},
                {"refused", service.refused()},
                {"state", service.state()},
            });
        }
        return out.dump(2) + "\n";
    }

    std::string of_;
    bool all_ = false;
};

}  // namespace

const CommandSpec services_command{
    .name = "services",
    .summary = "what this node, or another one, offers at its address",
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<Services>(arguments);
    },
};

}  // namespace selvage::app
