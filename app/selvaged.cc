// selvaged: runs one or more instances in the foreground until it is told to stop.
//
// Exit status: 0 after SIGINT or SIGTERM, --help, --version and a valid --check-config; 1 when an
// instance could not start or go on, or the configuration is wrong; 2 for a wrong command line.
#include <cstdio>
#include <vector>

#include "config/load.h"
#include "daemon.h"
#include "environment.h"
#include "host/machine.h"
#include "management_socket.h"
#include "offload_switches.h"

namespace selvage {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

int fail(const Error& error, int status) {
    std::fprintf(stderr, "selvaged: %s\n", error.message().c_str());
    return status;
}

int run_program(const std::vector<std::string>& arguments) {
    auto parsed = config::parse_command_line(arguments, app::variable);
    if (!parsed) return fail(parsed.error(), kExitUsage);
    const config::CommandLine& command_line = *parsed;
    if (command_line.action == config::Action::show_help ||
        command_line.action == config::Action::show_version ||
        command_line.action == config::Action::show_completion) {
        std::fputs(command_line.text.c_str(), stdout);
        return 0;
    }
    auto loaded = config::load(command_line, app::variable);
    if (!loaded) return fail(loaded.error(), kExitFailure);
    for (const std::string& warning : loaded->warnings) {
        std::fprintf(stderr, "selvaged: %s\n", warning.c_str());
    }
    if (command_line.action == config::Action::check_config) return 0;
    for (config::NodeOptions& options : loaded->instances) {
        if (!options.management_socket.empty()) continue;
        auto path = app::make_socket_path(options.instance_name);
        if (!path) return fail(path.error(), kExitFailure);
        options.management_socket = *path;
    }
    const auto offloads =
        app::parse_offloads_off(app::variable("SELVAGE_OFFLOADS_OFF").value_or(std::string()));
    if (!offloads) return fail(offloads.error(), kExitUsage);
    host::raise_descriptor_limit();
    app::Daemon daemon(command_line, *offloads);
    return daemon.run(std::move(loaded->instances));
}

}  // namespace
}  // namespace selvage

int main(int argc, char** argv) {
    return selvage::run_program(std::vector<std::string>(argv + 1, argv + argc));
}
