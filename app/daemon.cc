// Life of a selvaged process.
#include "daemon.h"

#include <cstdlib>

#include "crypto/random.h"
#include "environment.h"
#include "host/machine.h"
#include "node/management.h"
#include "node/node_instance.h"

namespace selvage::app {
namespace {

constexpr int kExitFailure = 1;

// What load() gave, owned by the worker that reads the files until it hands it over.
using LoadedPtr = std::unique_ptr<Result<config::Loaded>>;

}  // namespace

Daemon::Daemon(config::CommandLine command_line, host::Offloads offloads)
    : command_line_(std::move(command_line)),
      offloads_(offloads),
      levels_(std::make_shared<LogLevels>(command_line_.log_level)),
      log_tail_(
          std::make_shared<LogTail>(make_stderr_sink(levels_), [this] { return loop_.wall_now(); })
      ),
      log_(log_tail_),
      sockets_(host::make_linux_sockets(loop_, pool_, log_, offloads_)),
      tuns_(host::make_linux_tun_factory(loop_, pool_, log_, offloads_)),
      terminals_(host::make_linux_terminal_factory(loop_, log_)),
      record_files_(host::make_linux_record_files(loop_)),
      manager_(host::find_service_manager()),
      scope_(loop_, log_),
      signals_(loop_, log_),
      metrics_(loop_, [this] { return metrics_text(); }, log_.child("metrics")) {}

int Daemon::run(std::vector<config::NodeOptions> instances) {
    std::optional<Endpoint> metrics_at = command_line_.metrics;
    for (const config::NodeOptions& options : instances) {
        if (!metrics_at) metrics_at = options.metrics;
    }
    if (metrics_at) {
        if (auto listening = metrics_.start(*sockets_, *metrics_at); !listening) {
            log_.error("cannot start", "reason=\"{}\"", listening.error().message());
            return kExitFailure;
        }
    }
    loop_.on_stop_signal([this] { on_signal(); });
    loop_.on_hangup_signal([this] { signals_.spawn("reload", reload_on_signal()); });
    // Half the time that it waits for us: one late turn is no reason to be killed.
    if (const auto limit = manager_->watchdog()) {
        signals_.spawn("watchdog", pat_watchdog(*limit / 2));
    }
    // Without a device packets are for programs inside this one, which wait for it in any case.
    const bool carries_packets =
        std::ranges::any_of(instances, [](const auto& options) { return options.wants_tun(); });
    if (command_line_.realtime && carries_packets && !host::prefer_this_thread()) {
        log_.debug("ordinary scheduling: no privilege, or a single processor");
    }
    starting_ = instances.size();
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
    manager_->stopping();
    changed_.notify();
}

std::string Daemon::metrics_text() {
    std::vector<node::InstanceSamples> instances;
    instances.reserve(nodes_.size());
    for (const auto& [name, node] : nodes_)
        instances.push_back({name, node::collect_counters(*node)});
    const std::chrono::duration<double> longest = loop_.longest_turn();
    return node::prometheus_text(instances) +
           fmt::format(
               "# HELP selvage_loop_longest_turn_seconds how long packets and timers ever waited "
               "for others\n# TYPE selvage_loop_longest_turn_seconds gauge\n"
               "selvage_loop_longest_turn_seconds {:.6f}\n",
               longest.count()
           );
}

void Daemon::on_started() {
    if (--starting_ != 0 || nodes_.empty()) return;
    host::forget_startup_pages();
    manager_->status(fmt::format("{} instance{} up", nodes_.size(), nodes_.size() == 1 ? "" : "s"));
    manager_->ready();
}

rt::Task<> Daemon::pat_watchdog(Duration interval) {
    for (;;) {
        manager_->alive();
        co_await rt::sleep_for(loop_, interval);
    }
}

rt::Task<> Daemon::run_all(std::vector<config::NodeOptions> instances) {
    rt::TaskScope running(loop_, log_);
    for (config::NodeOptions& options : instances) {
        // The name first: the order in which arguments are evaluated is not fixed.
        std::string name = "instance " + options.instance_name;
        running.spawn(std::move(name), run_instance(std::move(options)));
    }
    co_await running.wait_empty();
    co_await metrics_.stop();
    co_await signals_.close();
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
                             .record_files = record_files_.get(),
                             .host_name = host::machine_name(),
                             .host_addresses = host::machine_addresses,
                             .host_listens = host::machine_listens,
                             .fill_random = crypto::fill_random,
                             .on_failure = [this] { changed_.notify(); },
                             .log = log_,
                             .cipher_code = offloads_.cipher ? crypto::CipherCode::fastest
                                                             : crypto::CipherCode::openssl,
                             .log_tail = log_tail_.get()}
    );
    node::NodeInstance view(loop_, node, *this);
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
        on_started();
    } else {
        nodes_.emplace(name, &node);
        on_started();
        while (!stopping_ && !node.failure())
            co_await changed_.wait();
        nodes_.erase(name);
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

rt::Task<> Daemon::reload_on_signal() {
    auto reports = co_await reload_all();
    if (!reports) {
        log_.error("nothing reloaded", "reason=\"{}\"", reports.error().message());
    }
}

rt::Task<Result<node::ReloadReport>> Daemon::reload(std::string instance) {
    auto reports = co_await reload_all();
    if (!reports) co_return reports.error();
    node::ReloadReport out = std::move((*reports)[instance]);
    // What is no running instance's own: files that came or went.
    const node::ReloadReport& general = (*reports)[""];
    out.changes.insert(out.changes.end(), general.changes.begin(), general.changes.end());
    co_return out;
}

rt::Task<Result<std::map<std::string, node::ReloadReport>>> Daemon::reload_all() {
    if (stopping_) co_return Error(Errc::closed, "selvaged is stopping");
    if (starting_ != 0) co_return Error(Errc::closed, "selvaged is starting; try again");
    if (std::ranges::find(command_line_.config_files, "-") != command_line_.config_files.end()) {
        co_return Error(
            Errc::unsupported,
            "standard input cannot be read again; give the configuration as a file with -c"
        );
    }
    if (std::exchange(reloading_, true)) {
        co_return Error(Errc::exists, "another reload is under way; try again");
    }
    manager_->reloading();
    // Also when the client that asked goes away and its call is cancelled while the files are read.
    struct Ended {
        Daemon& daemon;
        ~Ended() {
            daemon.reloading_ = false;
            if (!daemon.stopping_) daemon.manager_->ready();
        }
    };
    std::optional<Ended> reading(std::in_place, *this);
    LoadedPtr loaded = co_await rt::run_on_worker(loop_, [command_line = command_line_] {
        return std::make_unique<Result<config::Loaded>>(config::load(command_line, variable));
    });
    reading.reset();
    if (!*loaded) co_return std::move(*loaded).error();
    for (const std::string& warning : (*loaded)->warnings)
        log_.warn("configuration", "text=\"{}\"", warning);
    co_return apply(std::move((*loaded)->instances));
}

std::map<std::string, node::ReloadReport> Daemon::apply(std::vector<config::NodeOptions> fresh) {
    std::map<std::string, node::ReloadReport> out;
    std::map<std::string, node::Node*> gone = nodes_;
    const auto needs_restart = [&out](const std::string& name) {
        out[""].changes.push_back(
            {fmt::format("instance \"{}\"", printable(name, 64)), config::OnReload::restart}
        );
    };
    for (config::NodeOptions& options : fresh) {
        const std::string name = options.instance_name;
        const auto running = nodes_.find(name);
        gone.erase(name);
        if (running == nodes_.end()) {
            needs_restart(name);
            continue;
        }
        auto report = running->second->reload(std::move(options));
        if (report) {
            out[name] = std::move(*report);
        } else {
            out[name].failures.push_back(
                fmt::format("nothing applied: {}", report.error().message())
            );
        }
    }
    for (const auto& [name, node] : gone)
        needs_restart(name);
    for (const auto& [name, report] : out)
        log_report(name, report);
    return out;
}

void Daemon::log_report(const std::string& instance, const node::ReloadReport& report) {
    const Log log = instance.empty() ? log_ : log_.child(instance);
    for (const config::KeyChange& change : report.changes) {
        if (change.on_reload == config::OnReload::applied) {
            log.info("reloaded", "key={}", change.key);
        } else {
            log.warn("needs a restart", "key={}", change.key);
        }
    }
    for (const std::string& failure : report.failures)
        log.error("reload", "reason=\"{}\"", failure);
    if (report.changes.empty() && report.failures.empty()) log.info("reloaded: nothing changed");
}

}  // namespace selvage::app
