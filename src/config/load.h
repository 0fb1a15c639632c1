// Files and command lines into the options of instances.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/option_tree.h"
#include "config/command_line.h"
#include "config/environment.h"
#include "config/options.h"

namespace selvage::config {

// One file's text. The error's message has a line per problem: "home.toml:3:8: mtu: must be ...".
Result<NodeOptions> parse_toml(std::string_view text, std::string_view name);

// Reads the file, replaces environment variables (5-management.md section 1.6) and parses.
Result<NodeOptions> load_file(const std::string& path, const Environment& environment);

// What is started. Also holds sentences that a person should read but that stop nothing.
struct Loaded {
    std::vector<NodeOptions> instances;
    std::vector<std::string> warnings;
};

// Everything a command line asks for: its files with its network options merged into them by the
// reference's rules (5-management.md section 2.2), or an instance made of options alone.
Result<Loaded> load(const CommandLine& command_line, const Environment& environment);

// All problems, a line each.
Error describe_problems(const std::vector<OptionProblem>& problems, std::string_view file);

}  // namespace selvage::config
