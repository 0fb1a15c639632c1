// selvage services: what this node offers at its address.
#include <nlohmann/json.hpp>

#include "command.h"
#include "node/tables.h"
#include "selvage_api.pb.h"

namespace selvage::app {
namespace {

namespace api = ::selvage::api;

class Services final : public Command {
public:
    rt::Task<Result<int>> run(CommandContext& context) override {
        auto services = co_await context.client.call<api::ListServicesResponse>(
            "SelvageRpc", 2, api::ListServicesRequest{}
        );
        if (!services) co_return services.error();
        print(context.json ? json_of(*services) : node::services_table(*services));
        co_return 0;
    }

private:
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
                {"sessions", service.sessions()},
                {"accepted", service.accepted()},
                {"refused", service.refused()},
                {"state", service.state()},
            });
        }
        return out.dump(2) + "\n";
    }
};

}  // namespace

const CommandSpec services_command{
    .name = "services",
    .summary = "what this node offers at its address",
    .make = [](CLI::App&) -> std::unique_ptr<Command> { return std::make_unique<Services>(); },
};

}  // namespace selvage::app
