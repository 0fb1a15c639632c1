// Completion for shells, made from what a program's own parser knows, so that the two cannot
// differ.
//
//   bash  offers commands and options; names of files where neither fits
//   zsh   likewise, with what each is for
//   fish  likewise
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace CLI {
class App;
}

namespace selvage::config {

enum class Shell { bash, zsh, fish };
// Errors: bad_argument.
Result<Shell> parse_shell(std::string_view name);

struct CompletedOption {
    std::vector<std::string> names;  // "--count", "-c"
    std::string help;
    bool takes_value = false;
};
struct CompletedCommand {
    std::string name;
    std::string help;
    std::vector<CompletedOption> options;
    std::vector<CompletedCommand> commands;
};

// Options without help text are left out: they are for compatibility.
CompletedCommand describe_app(const CLI::App& app);
// A script for the shell to load.
std::string build_completion(Shell shell, const CompletedCommand& program);

}  // namespace selvage::config
