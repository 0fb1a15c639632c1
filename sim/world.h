// The simulated world: hosts and links in one thread and in virtual time, running production code.
//
//   sim::World world{{.seed = 7}};
//   auto& a = world.add_host("a");
//   auto& b = world.add_host("b");
//   world.link(a, b, {.delay = 20ms, .loss = 0.05});
//   ...
//   EXPECT_TRUE(world.run_until([&] { return done; }, 30s));
//
// Everything that is ready runs; when nothing is, the clock jumps to the next timer. Equal seeds
// give equal runs: every source of randomness derives from the seed and a name, tables are ordered
// by value, nothing depends on an address in memory. trace_hash() is the proof; run a test twice
// and compare (tests/sim/seeds.h does). Checkers see the world after every turn.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rt/virtual_runtime.h"
#include "sim/host.h"
#include "sim/network.h"
#include "sim/trace.h"

namespace selvage::sim {

struct WorldOptions {
    std::uint64_t seed = 1;
    LinkOptions link;  // of every pair of hosts, until changed
    // Whether the bytes of frames count for the trace hash, beside their sizes. Not for runs with
    // encryption, whose nonces come from the operating system.
    bool hash_payloads = false;
    // False: no trace, and no hash, of runs that are many and long. Repeat one to see it.
    bool trace = true;
    // Log lines of hosts go into the trace from this level on.
    LogLevel log_level = LogLevel::debug;
};

class World {
public:
    // What keeps a violated checker from filling memory; the first ones matter.
    static constexpr std::size_t kViolationsKept = 16;

    explicit World(WorldOptions options = {});
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    ~World();

    // `name` must be new. Hosts live as long as the world.
    Host& add_host(const std::string& name, HostOptions options = {});
    Host& host(const std::string& name) { return *hosts_.at(name); }

    // Both directions; the functions below change one of them, or single properties.
    void link(Host& a, Host& b, const LinkOptions& options);
    Link& link_one_way(Host& from, Host& to) { return network_.link(from.name(), to.name()); }
    void cut(Host& a, Host& b) { set_up(a, b, false); }
    void heal(Host& a, Host& b) { set_up(a, b, true); }
    void cut_one_way(Host& from, Host& to) { link_one_way(from, to).options().up = false; }
    void heal_one_way(Host& from, Host& to) { link_one_way(from, to).options().up = true; }
    // Cuts this host from all others, or joins it again.
    void isolate(Host& host);
    void rejoin(Host& host);

    // What the resolvers of all hosts answer; unknown names are not found.
    void set_name(const std::string& name, Network::Name answer) {
        network_.set_name(name, std::move(answer));
    }

    // False when the limit passed first, or a checker found something.
    bool run_until(const std::function<bool()>& done, Duration limit);
    void run_for(Duration duration);
    // Runs a task of the test itself to its end and returns its value.
    template <class T>
    T run(rt::Task<T> task, Duration limit = std::chrono::hours(1)) {
        return loop_.run(std::move(task), limit);
    }
    void run(rt::Task<> task, Duration limit = std::chrono::hours(1)) {
        loop_.run(std::move(task), limit);
    }

    // `check` returns what is wrong, or nothing. Runs after every turn.
    void add_checker(std::string name, std::function<std::string()> check);
    void remove_checker(const std::string& name);
    const std::vector<std::string>& violations() const { return violations_; }

    rt::VirtualRuntime& loop() { return loop_; }
    TimePoint now() { return loop_.now(); }
    std::uint64_t seed() const { return options_.seed; }
    Network& network() { return network_; }
    Trace& trace() { return trace_; }
    std::uint64_t trace_hash() const { return trace_.hash(); }
    // Adds a line of the test to the trace.
    void note(std::string_view line) { trace_.add(loop_.now(), line); }

private:
    class TraceLog;

    void set_up(Host& a, Host& b, bool up);
    void check();

    WorldOptions options_;
    rt::VirtualRuntime loop_;
    Trace trace_;
    Network network_;
    Log log_;
    std::map<std::string, std::unique_ptr<Host>> hosts_;
    std::vector<std::pair<std::string, std::function<std::string()>>> checkers_;
    std::vector<std::string> violations_;
};

}  // namespace selvage::sim
