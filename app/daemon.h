// The instances of one selvaged process on one loop: started together, reloaded together, stopped
// together.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/load.h"
#include "host/linux/host.h"
#include "node/node.h"
#include "node/prometheus.h"
#include "node/reload.h"
#include "rt/event.h"
#include "rt/loop.h"
#include "rt/scope.h"

namespace selvage::app {

// Members in the order in which they depend on each other; instances first to go.
class Daemon final : private node::ProcessControl {
public:
    // The command line is kept: a reload reads its files again.
    Daemon(config::CommandLine command_line, host::Offloads offloads);

    // Runs until a signal, or until no instance is left. The process's exit status.
    int run(std::vector<config::NodeOptions> instances);

private:
    rt::Task<Result<node::ReloadReport>> reload(std::string instance) override;
    LogLevels& log_levels() override { return *levels_; }
    Duration longest_turn() const override { return loop_.longest_turn(); }

    rt::Task<> run_instance(config::NodeOptions options);
    rt::Task<> run_all(std::vector<config::NodeOptions> instances);
    rt::Task<> reload_on_signal();
    rt::Task<> pat_watchdog(Duration interval);
    rt::Task<Result<std::map<std::string, node::ReloadReport>>> reload_all();
    std::map<std::string, node::ReloadReport> apply(std::vector<config::NodeOptions> fresh);
    void log_report(const std::string& instance, const node::ReloadReport& report);
    std::string metrics_text();
    void on_signal();
    void on_started();

    const config::CommandLine command_line_;
    const host::Offloads offloads_;
    std::shared_ptr<LogLevels> levels_;
    std::shared_ptr<LogTail> log_tail_;
    Log log_;
    rt::LoopRuntime loop_;
    packet::PacketPool pool_;
    std::unique_ptr<host::Sockets> sockets_;
    std::unique_ptr<host::TunFactory> tuns_;
    std::unique_ptr<host::TerminalFactory> terminals_;
    std::unique_ptr<host::RecordFiles> record_files_;
    std::unique_ptr<host::ServiceManager> manager_;
    rt::Event changed_{loop_};  // a signal came, or an instance failed
    bool stopping_ = false;
    bool reloading_ = false;
    int status_ = 0;
    std::size_t starting_ = 0;                  // instances that are not up yet
    std::map<std::string, node::Node*> nodes_;  // running ones, by name
    rt::TaskScope scope_;
    rt::TaskScope signals_;
    node::MetricsServer metrics_;
};

}  // namespace selvage::app
