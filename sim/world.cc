// The simulated world.
#include "sim/world.h"

#include <cassert>
#include <cstdlib>

#include "base/siphash.h"

namespace selvage::sim {

// Log lines are part of the trace, and so of its hash. SELVAGE_SIM_LOG=1 shows them as they come.
class World::TraceLog final : public LogSink {
public:
    TraceLog(World& world, LogLevel level)
        // NOLINTNEXTLINE(concurrency-mt-unsafe): a world has one thread
        : world_(world), level_(level), shown_(std::getenv("SELVAGE_SIM_LOG") != nullptr) {}
    bool enabled(LogLevel level, std::string_view) const override { return level >= level_; }
    void write(LogLevel level, std::string_view prefix, std::string_view line) override {
        static constexpr std::string_view kNames[] = {"trace", "debug", "info",
                                                      "warn",  "error", "off"};
        const auto text =
            fmt::format("{} {}: {}", kNames[static_cast<std::size_t>(level)], prefix, line);
        world_.note(text);
        if (shown_) {
            const std::chrono::duration<double> at = world_.now().time_since_epoch();
            fmt::print(stderr, "{:14.6f} {}\n", at.count(), text);
        }
    }

private:
    World& world_;
    LogLevel level_;
    bool shown_;
};

World::World(WorldOptions options)
    : options_(options),
      loop_(siphash24({options.seed, 0}, as_view("world"))),
      trace_(loop_.now(), options.trace),
      network_(loop_, trace_, options.seed, options.link, options.hash_payloads),
      log_(std::make_shared<TraceLog>(*this, options.log_level)) {}

World::~World() {
    // Programs of the test first, while their sockets still exist; then the power, which wakes
    // whatever still waits for a socket; the loop goes last.
    for (const auto& [name, host] : hosts_)
        host->tasks().start_closing();
    loop_.run_ready();
    for (const auto& [name, host] : hosts_)
        host->power_off();
    loop_.run_ready();
}

Host& World::add_host(const std::string& name, HostOptions options) {
    assert(!hosts_.contains(name));
    if (options.addresses.empty()) {
        // 198.18.0.0/15 is for tests of networks (RFC 2544), 2001:db8::/32 for documents.
        const auto number = static_cast<std::uint32_t>(hosts_.size() + 1);
        std::array<std::uint8_t, 16> v6{0x20, 0x01, 0x0d, 0xb8};
        v6[14] = static_cast<std::uint8_t>(number >> 8);
        v6[15] = static_cast<std::uint8_t>(number);
        options.addresses = {IpAddress::v4(0xc6120000U + number), IpAddress::v6(v6)};
    }
    auto host = std::make_unique<Host>(
        Host::Parts{loop_, network_, trace_, options_.seed, log_}, name, options
    );
    return *(hosts_[name] = std::move(host));
}

void World::link(Host& a, Host& b, const LinkOptions& options) {
    link_one_way(a, b).options() = options;
    link_one_way(b, a).options() = options;
}

void World::set_up(Host& a, Host& b, bool up) {
    link_one_way(a, b).options().up = up;
    link_one_way(b, a).options().up = up;
}

void World::isolate(Host& host) {
    for (const auto& [name, other] : hosts_) {
        if (other.get() != &host) cut(host, *other);
    }
}

void World::rejoin(Host& host) {
    for (const auto& [name, other] : hosts_) {
        if (other.get() != &host) heal(host, *other);
    }
}

bool World::run_until(const std::function<bool()>& done, Duration limit) {
    const std::size_t before = violations_.size();
    const bool ended = loop_.run_until(
        [&] {
            check();
            return violations_.size() > before || done();
        },
        limit
    );
    return ended && violations_.size() == before;
}

void World::run_for(Duration duration) {
    run_until([] { return false; }, duration);
}

void World::add_checker(std::string name, std::function<std::string()> check) {
    checkers_.emplace_back(std::move(name), std::move(check));
}

void World::remove_checker(const std::string& name) {
    std::erase_if(checkers_, [&](const auto& entry) { return entry.first == name; });
}

void World::check() {
    for (const auto& [name, checker] : checkers_) {
        const std::string wrong = checker();
        if (wrong.empty() || violations_.size() >= kViolationsKept) continue;
        violations_.push_back(fmt::format("{}: {}", name, wrong));
        note("checker " + violations_.back());
    }
}

}  // namespace selvage::sim
