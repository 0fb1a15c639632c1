// selvaged: runs one or more instances in the foreground until it is told to stop.
//
// Exit status: 0 after SIGINT or SIGTERM, --help, --version and a valid --check-config; 1 when an
// instance could not start or go on, or the configuration is wrong; 2 for a wrong command line.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "config/load.h"
#include "crypto/random.h"
#include "host/linux/host.h"
#include "host/machine.h"
#include "management_socket.h"
#include "node/management.h"
#include "node/node.h"
#include "node/node_instance.h"
#include "rt/loop.h"

namespace selvage {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

std::optional<std::string> environment_variable(const std::string& name) {
    const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): at the start
    if (value == nullptr) return std::nullopt;
    return std::string(value);
}

// The instances of this process on one loop. Members in the order in which they depend on each
// other; instances first to go.
class Daemon {
public:
    explicit Daemon(LogLevel level)
        : log_(make_stderr_sink(level)),
          sockets_(host::make_linux_sockets(loop_, pool_, log_)),
          tuns_(host::make_linux_tun_factory(loop_, pool_, log_)),
          terminals_(host::make_linux_terminal_factory(loop_, log_)),
          scope_(loop_, log_) {}

    // Runs until a signal, or until no instance is left. The process's exit status.
    int run(std::vector<config::NodeOptions> instances);

private:
    rt::Task<> run_instance(config::NodeOptions options);
    rt::Task<> run_all(std::vector<config::NodeOptions> instances);
    void on_signal();

    Log log_;
    rt::LoopRuntime loop_;
    packet::PacketPool pool_;
    std::unique_ptr<host::Sockets> sockets_;
    std::unique_ptr<host::TunFactory> tuns_;
    std::unique_ptr<host::TerminalFactory> terminals_;
    rt::Event changed_{loop_};  // a signal came, or an instance failed
    bool stopping_ = false;
    int status_ = 0;
    rt::TaskScope scope_;
};

int Daemon::run(std::vector<config::NodeOptions> instances) {
    loop_.on_stop_signal([this] { on_signal(); });
    scope_.spawn("instances", run_all(std::move(instances)));
    loop_.run();
    return status_;
}

void Daemon::on_signal() {
    if (std::exchange(stopping_, true)) {
        log_.warn("second signal: stopping at once");
        std::_Exit(kExitFailure);
    }
    log_.info("stopping");
    changed_.notify();
}

rt::Task<> Daemon::run_all(std::vector<config::NodeOptions> instances) {
    rt::TaskScope running(loop_, log_);
    for (config::NodeOptions& options : instances) {
        // The name first: the order in which arguments are evaluated is not fixed.
        std::string name = "instance " + options.instance_name;
        running.spawn(std::move(name), run_instance(std::move(options)));
    }
    co_await running.wait_empty();
    loop_.stop();
}

rt::Task<> Daemon::run_instance(config::NodeOptions options) {
    const std::string name = options.instance_name;
    node::Node node(
        std::move(options), {.runtime = loop_,
                             .pool = pool_,
                             .sockets = *sockets_,
                             .tuns = tuns_.get(),
                             .terminals = terminals_.get(),
                             .host_name = host::machine_name(),
                             .host_addresses = host::machine_addresses,
                             .fill_random = crypto::fill_random,
                             .on_failure = [this] { changed_.notify(); },
                             .log = log_}
    );
    node::NodeInstance view(loop_, node);
    node::Management management(
        loop_, pool_, *sockets_, view,
        {.socket_path = node.options().management_socket, .portal = node.options().rpc_portal},
        log_.child(name).child("management")
    );
    Result<> started = co_await node.start();
    if (started) started = management.start();
    if (!started) {
        log_.error("cannot start", "instance={} reason=\"{}\"", name, started.error().message());
        status_ = kExitFailure;
    } else {
        while (!stopping_ && !node.failure())
            co_await changed_.wait();
        if (node.failure()) {
            log_.error(
                "instance ends", "instance={} reason=\"{}\"", name, node.failure()->message()
            );
            status_ = kExitFailure;
        }
    }
    co_await management.stop();
    co_await node.stop();
}

int fail(const Error& error, int status) {
    std::fprintf(stderr, "selvaged: %s\n", error.message().c_str());
    return status;
}

int run_program(const std::vector<std::string>& arguments) {
    auto parsed = config::parse_command_line(arguments, environment_variable);
    if (!parsed) return fail(parsed.error(), kExitUsage);
    const config::CommandLine& command_line = *parsed;
    if (command_line.action == config::Action::show_help ||
        command_line.action == config::Action::show_version) {
        std::fputs(command_line.text.c_str(), stdout);
        return 0;
    }
    auto loaded = config::load(command_line, environment_variable);
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
    Daemon daemon(command_line.log_level);
    return daemon.run(std::move(loaded->instances));
}

}  // namespace
}  // namespace selvage

int main(int argc, char** argv) {
    return selvage::run_program(std::vector<std::string>(argv + 1, argv + argc));
}
