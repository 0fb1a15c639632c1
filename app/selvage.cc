// selvage: the command line of a running node. Each subcommand is a file in commands/.
//
// Exit status: 0; 1 when what was asked for failed, with a sentence on stderr; 2 for a wrong
// command line.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "client.h"
#include "command.h"
#include "config/version.h"
#include "host/linux/host.h"

namespace selvage::app {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

const CommandSpec* const kCommands[] = {
    &status_command,
    &peers_command,
    &routes_command,
    &services_command,
    &forwards_command,
    &sessions_command,
    &kill_command,
    &whois_command,
    &shell_command,
    &proxy_command,
    &ping_command,
    &connect_command,
    &config_command,
    &passwd_command,
    &token_command,
    &stats_command,
    &foreign_networks_command,
    &acl_command,
    &reload_command,
    &log_level_command,
    &connectors_command,
    &drops_command,
    &capture_command,
    &completion_command,
};

constexpr const char* kFooter = R"(
Examples:
  selvage status
  selvage --json routes
  selvage ping laptop
  selvage connect laptop:22
  selvage -n office sessions
)";

struct Chosen {
    const CommandSpec* spec = nullptr;
    std::unique_ptr<Command> command;
    CLI::App* parser = nullptr;
};

rt::Task<> run_command(Client& client, Target target, Chosen& chosen, bool json, int& status) {
    Result<int> result = kExitFailure;
    Result<> connected;
    const bool needs_node = chosen.spec->needs_node && !chosen.command->works_offline();
    if (needs_node) connected = co_await client.connect(std::move(target));
    if (connected) {
        CommandContext context{.client = client, .json = json};
        result = co_await chosen.command->run(context);
    } else {
        result = connected.error();
    }
    if (result) {
        status = *result;
    } else {
        std::fprintf(stderr, "selvage: %s\n", result.error().message().c_str());
        status = kExitFailure;
    }
    co_await client.close();
    client.loop().stop();
}

int run(Target target, Chosen& chosen, bool json) {
    rt::LoopRuntime loop;
    packet::PacketPool pool;
    const auto sockets = host::make_linux_sockets(loop, pool);
    Client client(loop, pool, *sockets);
    int status = kExitFailure;
    rt::TaskScope scope(loop, Log());
    scope.spawn("command", run_command(client, std::move(target), chosen, json, status));
    loop.run();
    return status;
}

int run_program(int argc, char** argv) {
    CLI::App app("Asks and tells a running Selvage node.", "selvage");
    app.footer(kFooter);
    app.set_version_flag("-V,--version", fmt::format("selvage {}", config::kVersion));
    app.require_subcommand(1);
    bool json = false;
    Target target;
    std::string portal;
    app.add_flag("--json", json, "answers for programs");
    app.add_option("-n,--instance", target.instance, "name of the instance, if several run");
    app.add_option("--socket", target.socket, "path of its management socket");
    app.add_option("-p,--rpc-portal", portal, "ask over TCP, as 127.0.0.1:15888");
    std::vector<Chosen> commands;
    for (const CommandSpec* spec : kCommands) {
        CLI::App* parser = app.add_subcommand(std::string(spec->name), std::string(spec->summary));
        parser->fallthrough();  // so that --json may also stand at the end
        commands.push_back({.spec = spec, .command = spec->make(*parser), .parser = parser});
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        // 0 is help and version.
        return app.exit(error) == 0 ? 0 : kExitUsage;
    }
    if (!portal.empty()) {
        auto endpoint = Endpoint::parse(portal);
        if (!endpoint) {
            std::fprintf(stderr, "selvage: --rpc-portal must be ADDRESS:PORT\n");
            return kExitUsage;
        }
        target.portal = *endpoint;
    }
    for (Chosen& chosen : commands) {
        if (chosen.parser->parsed()) return run(std::move(target), chosen, json);
    }
    return kExitUsage;
}

}  // namespace

void print(std::string_view text) {
    while (!text.empty()) {
        const ssize_t sent = ::write(STDOUT_FILENO, text.data(), text.size());
        if (sent <= 0) return;  // nobody reads any more
        text.remove_prefix(static_cast<std::size_t>(sent));
    }
}

}  // namespace selvage::app

int main(int argc, char** argv) {
    return selvage::app::run_program(argc, argv);
}
