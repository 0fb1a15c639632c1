// selvage completion SHELL: a script that teaches the shell these commands and their options.
#include "config/completion.h"

#include "command.h"

namespace selvage::app {
namespace {

class Completion final : public Command {
public:
    explicit Completion(CLI::App& arguments) : program_(*arguments.get_parent()) {
        arguments.add_option("shell", shell_, "bash, zsh or fish")
            ->required()
            ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    }

    rt::Task<Result<int>> run(CommandContext&) override {
        const auto shell = config::parse_shell(shell_);
        if (!shell) co_return shell.error();
        print(config::build_completion(*shell, config::describe_app(program_)));
        co_return 0;
    }

private:
    const CLI::App& program_;
    std::string shell_;
};

}  // namespace

const CommandSpec completion_command{
    .name = "completion",
    .summary = "a script for bash, zsh or fish that completes commands and options",
    .needs_node = false,
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<Completion>(arguments);
    },
};

}  // namespace selvage::app
