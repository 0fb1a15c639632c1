// selvage connectors [list | add URL | remove URL]: whom the node dials. What is added or removed
// here holds until the restart; the file is not changed.
#include <nlohmann/json.hpp>

#include "api_config.pb.h"
#include "api_instance.pb.h"
#include "base/text_table.h"
#include "command.h"

namespace selvage::app {
namespace {

namespace api = ::api::instance;
namespace config_api = ::api::config;

std::string_view state_of(const api::Connector& connector) {
    switch (connector.status()) {
        case api::CONNECTED:
            return "connected";
        case api::CONNECTING:
            return "connecting";
        default:
            return "waiting";
    }
}

class Connectors final : public Command {
public:
    explicit Connectors(CLI::App& arguments) {
        arguments.add_subcommand("list", "shows them (the default)");
        add_ = arguments.add_subcommand("add", "connects to a further node");
        remove_ = arguments.add_subcommand("remove", "dials a node no more");
        for (CLI::App* change : {add_, remove_}) {
            change->add_option("url", url_, "as tcp://host:11010")->required();
        }
        arguments.require_subcommand(0, 1);
    }

    rt::Task<Result<int>> run(CommandContext& context) override {
        if (add_->parsed()) co_return co_await patch(context, config_api::ADD);
        if (remove_->parsed()) co_return co_await patch(context, config_api::REMOVE);
        auto list = co_await context.client.call<api::ListConnectorResponse>(
            "ConnectorManageRpc", 1, api::ListConnectorRequest{}
        );
        if (!list) co_return list.error();
        print(context.json ? json_of(*list) : text_of(*list));
        co_return 0;
    }

private:
    rt::Task<Result<int>> patch(CommandContext& context, config_api::ConfigPatchAction action) {
        config_api::PatchConfigRequest request;
        config_api::UrlPatch& step = *request.mutable_patch()->add_connectors();
        step.set_action(action);
        step.mutable_url()->set_url(url_);
        auto done = co_await context.client.call<config_api::PatchConfigResponse>(
            "ConfigRpc", 1, std::move(request)
        );
        if (!done) co_return done.error();
        if (context.json) print("{}\n");
        co_return 0;
    }

    static std::string json_of(const api::ListConnectorResponse& list) {
        nlohmann::json out = nlohmann::json::array();
        for (const api::Connector& connector : list.connectors()) {
            out.push_back({{"url", connector.url().url()}, {"state", state_of(connector)}});
        }
        return out.dump(2) + "\n";
    }
    static std::string text_of(const api::ListConnectorResponse& list) {
        std::vector<std::vector<std::string>> rows = {{"URL", "STATE"}};
        for (const api::Connector& connector : list.connectors())
            rows.push_back({connector.url().url(), std::string(state_of(connector))});
        return build_table(rows);
    }

    std::string url_;
    CLI::App* add_ = nullptr;
    CLI::App* remove_ = nullptr;
};

}  // namespace

const CommandSpec connectors_command{
    .name = "connectors",
    .summary = "whom the node dials: list, add URL, remove URL",
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<Connectors>(arguments);
    },
};

}  // namespace selvage::app
