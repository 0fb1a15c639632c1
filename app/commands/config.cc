// selvage config check FILE: says what is wrong with a configuration, without a node.
#include <nlohmann/json.hpp>

#include "command.h"
#include "config/describe.h"
#include "config/load.h"
#include "environment.h"

namespace selvage::app {
namespace {

class Config final : public Command {
public:
    explicit Config(CLI::App& arguments) {
        CLI::App* check = arguments.add_subcommand("check", "says what is wrong with files");
        check->add_option("file", files_, "configuration files")->required();
        CLI::App* show = arguments.add_subcommand("show", "what a file comes to, without secrets");
        show->add_option("file", files_, "configuration file")->required();
        show_ = show;
        arguments.require_subcommand(1);
    }

    rt::Task<Result<int>> run(CommandContext& context) override {
        nlohmann::json problems = nlohmann::json::array();
        for (const std::string& file : files_) {
            auto options = config::load_file(file, variable);
            if (!options) {
                problems.push_back(options.error().message());
                continue;
            }
            if (show_->parsed()) print(config::describe(*options));
        }
        if (context.json) {
            print(nlohmann::json{{"ok", problems.empty()}, {"problems", problems}}.dump(2) + "\n");
            co_return problems.empty() ? 0 : 1;
        }
        for (const auto& problem : problems)
            print(problem.get<std::string>() + "\n");
        if (problems.empty() && !show_->parsed()) print("all is well\n");
        co_return problems.empty() ? 0 : 1;
    }

private:
    std::vector<std::string> files_;
    CLI::App* show_ = nullptr;
};

}  // namespace

const CommandSpec config_command{
    .name = "config",
    .summary = "checks configuration files",
    .needs_node = false,
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<Config>(arguments);
    },
};

}  // namespace selvage::app
