// A subcommand of `selvage`: one file in commands/ with one CommandSpec.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <string>

#include "base/error.h"
#include "client.h"
#include "rt/task.h"

namespace selvage::app {

struct CommandContext {
    Client& client;  // connected, if the command needs a node
    bool json = false;
};

class Command {
public:
    virtual ~Command() = default;
    // Does it, prints, and returns the exit status.
    virtual rt::Task<Result<int>> run(CommandContext& context) = 0;
    // Once parsed: whether this call can do without a node although the command needs one.
    virtual bool works_offline() const { return false; }
};

struct CommandSpec {
    std::string_view name;
    std::string_view summary;
    bool needs_node = true;
    // Declares its arguments and keeps where they are parsed to.
    std::unique_ptr<Command> (*make)(CLI::App& arguments);
};

extern const CommandSpec status_command;
extern const CommandSpec peers_command;
extern const CommandSpec routes_command;
extern const CommandSpec services_command;
extern const CommandSpec forwards_command;
extern const CommandSpec sessions_command;
extern const CommandSpec kill_command;
extern const CommandSpec whois_command;
extern const CommandSpec shell_command;
extern const CommandSpec proxy_command;
extern const CommandSpec ping_command;
extern const CommandSpec connect_command;
extern const CommandSpec config_command;
extern const CommandSpec passwd_command;
extern const CommandSpec token_command;
extern const CommandSpec stats_command;
extern const CommandSpec foreign_networks_command;
extern const CommandSpec acl_command;
extern const CommandSpec reload_command;
extern const CommandSpec log_level_command;
extern const CommandSpec connectors_command;
extern const CommandSpec drops_command;
extern const CommandSpec capture_command;
extern const CommandSpec completion_command;

// Standard output: a command's result, nothing else.
void print(std::string_view text);

}  // namespace selvage::app
