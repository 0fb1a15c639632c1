// selvage config: says what is wrong with a configuration, what it comes to, and what may stand in
// it, without a node.
#include <nlohmann/json.hpp>

#include "command.h"
#include "config/describe.h"
#include "config/key_table.h"
#include "config/load.h"
#include "config/manual.h"
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
        keys_ = arguments.add_subcommand("keys", "every key of a file, and what it means");
        keys_->add_flag("--man", man_, "as the manual page selvage.toml(5)");
        arguments.require_subcommand(1);
    }

    rt::Task<Result<int>> run(CommandContext& context) override {
        if (keys_->parsed()) {
            print(man_ ? config::build_key_manual() : context.json ? keys_json() : keys_text());
            co_return 0;
        }
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
    static std::string keys_text() {
        std::string out;
        for (const config::KeySpec& spec : config::key_table()) {
            out += fmt::format(
                "{}: {}\n    {} (without it: {}; {})\n", spec.key, spec.meaning, spec.value,
                spec.fallback,
                spec.on_reload == config::OnReload::applied ? "a reload applies it"
                                                            : "needs a restart"
            );
        }
        return out;
    }
    static std::string keys_json() {
        nlohmann::json out = nlohmann::json::array();
        for (const config::KeySpec& spec : config::key_table()) {
            out.push_back(
                {{"key", spec.key},
                 {"value", spec.value},
                 {"default", spec.fallback},
                 {"meaning", spec.meaning},
                 {"example", spec.example},
                 {"needs_restart", spec.on_reload == config::OnReload::restart}}
            );
        }
        return out.dump(2) + "\n";
    }

    std::vector<std::string> files_;
    CLI::App* show_ = nullptr;
    CLI::App* keys_ = nullptr;
    bool man_ = false;
};

}  // namespace

const CommandSpec config_command{
    .name = "config",
    .summary = "checks and explains configuration files",
    .needs_node = false,
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<Config>(arguments);
    },
};

}  // namespace selvage::app
