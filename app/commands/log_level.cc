// selvage log-level [[NAME=]LEVEL ...]: which lines are logged, from now on until the restart.
#include <nlohmann/json.hpp>

#include "base/text_table.h"
#include "command.h"
#include "control_api.pb.h"

namespace selvage::app {
namespace {

namespace control = ::selvage::control;

class LogLevelCommand final : public Command {
public:
    explicit LogLevelCommand(CLI::App& arguments) {
        arguments.add_option(
            "level", levels_,
            "LEVEL for all or NAME=LEVEL for a module (peer, route, connect, service ...) or an "
            "instance; off, error, warn, info, debug, trace; NAME=default takes it away"
        );
    }

    rt::Task<Result<int>> run(CommandContext& context) override {
        control::SetLogLevelsRequest request;
        for (const std::string& text : levels_) {
            const auto equals = text.find('=');
            control::LogRule& rule = *request.add_rules();
            if (equals != std::string::npos) rule.set_name(text.substr(0, equals));
            rule.set_level(equals == std::string::npos ? text : text.substr(equals + 1));
        }
        auto done = co_await context.client.call<control::SetLogLevelsResponse>(
            "SelvageControlRpc", 4, std::move(request)
        );
        if (!done) co_return done.error();
        print(context.json ? json_of(*done) : text_of(*done));
        co_return 0;
    }

private:
    static std::string json_of(const control::SetLogLevelsResponse& levels) {
        nlohmann::json out = {{"level", ""}, {"names", nlohmann::json::object()}};
        for (const control::LogRule& rule : levels.rules()) {
            if (rule.name().empty()) {
                out["level"] = rule.level();
            } else {
                out["names"][rule.name()] = rule.level();
            }
        }
        return out.dump(2) + "\n";
    }
    static std::string text_of(const control::SetLogLevelsResponse& levels) {
        std::vector<std::vector<std::string>> rows = {{"NAME", "LEVEL"}};
        for (const control::LogRule& rule : levels.rules())
            rows.push_back({rule.name().empty() ? "(all others)" : rule.name(), rule.level()});
        return build_table(rows);
    }

    std::vector<std::string> levels_;
};

}  // namespace

const CommandSpec log_level_command{
    .name = "log-level",
    .summary = "shows and sets what is logged",
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<LogLevelCommand>(arguments);
    },
};

}  // namespace selvage::app
