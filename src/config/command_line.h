// The command line of selvaged: easytier-core's flags under their names, and a few of our own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/option_tree.h"
#include "config/environment.h"

namespace selvage::config {

enum class Action { run, show_help, show_version, show_completion, check_config };

struct CommandLine {
    Action action = Action::run;
    std::string text;                       // of help, version or completion, to be printed
    std::vector<std::string> config_files;  // "-" is standard input
    bool environment_in_files = true;
    LogLevel log_level = LogLevel::info;
    std::optional<Endpoint> rpc_portal;
    std::optional<Endpoint> metrics;  // where a scraper of Prometheus may ask; none: nowhere
    std::string socket;               // path of the management socket; empty: the default
    bool realtime = true;             // packets may go before ordinary programs
    // The network options as a document of their own: `set` replaces what a file says, `added`
    // appends to its lists.
    OptionTable set;
    OptionTable added;

    bool has_network_options() const { return !set.empty() || !added.empty(); }
};

// `arguments` without the program's name. Options that are not given are looked up as ET_...
// variables. The error's message has a line per mistake.
Result<CommandLine> parse_command_line(
    const std::vector<std::string>& arguments, const Environment& environment
);

// The document that results from a file's and the command line's options.
OptionTable merge(OptionTable document, const CommandLine& command_line);

}  // namespace selvage::config
