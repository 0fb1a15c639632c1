// How a network grows: what a node sends and computes with 10, 50, ... of them, and how soon all
// agree after the last change. The figures are printed; what is asserted is the time, which is
// virtual. Unless SELVAGE_SIM_NODES=N asks for another number, only the small networks are
// measured: 200 nodes take minutes without optimisation.
#include <gtest/gtest.h>

#include <ctime>

#include "seeds.h"
#include "selvage_host.h"

namespace selvage::sim {
namespace {

// After the last change; the route exchange's own pauses grow to 5 s (2-control.md section 3.2).
constexpr Duration kConvergeTime = 10s;
constexpr Duration kQuietTime = 60s;

struct Cost {
    std::uint64_t bytes = 0;
    double cpu_seconds = 0;
};

class Crowd {
public:
    Crowd(World& world, std::size_t count) : world_(world), rng_(world.seed()) {
        for (std::size_t i = 0; i < count; ++i) {
            SelvageOptions options{
                .name = fmt::format("n{}", i),
                .address = fmt::format("10.144.{}.{}/16", i / 250, i % 250 + 1),
                .watched = false,
                .allow = {}
            };
            // Everybody dials two who were there before, so the network is neither a line nor a
            // star.
            for (std::size_t k = 0; k < std::min<std::size_t>(i, 2); ++k) {
                options.peers.push_back(nodes_[rng_.below(i)]->url("tcp"));
            }
            nodes_.push_back(std::make_unique<SelvageHost>(world, std::move(options)));
        }
        for (const auto& node : nodes_)
            node->start();
    }
    bool is_whole() const {
        std::size_t running = 0;
        for (const auto& node : nodes_)
            running += node->running() ? 1 : 0;
        for (const auto& node : nodes_) {
            if (!node->running()) continue;
            std::size_t reached = 0;
            for (const route::RouteEntry& entry : node->node().routes().table()->entries())
                reached += entry.least_hop ? 1 : 0;
            if (reached != running) return false;
        }
        return true;
    }
    // Runs until everybody reaches everybody, looking ten times a second.
    bool converge(Duration limit) {
        const TimePoint end = world_.now() + limit;
        while (!is_whole()) {
            if (world_.now() >= end) return false;
            world_.run_for(100ms);
        }
        return true;
    }
    Cost spent() const {
        return {
            .bytes = world_.network().bytes_sent(),
            .cpu_seconds = static_cast<double>(std::clock()) / CLOCKS_PER_SEC
        };
    }
    std::vector<SelvageHost*> all() const {
        std::vector<SelvageHost*> out;
        for (const auto& node : nodes_)
            out.push_back(node.get());
        return out;
    }
    SelvageHost& leaf() { return *nodes_.back(); }

private:
    World& world_;
    rt::Rng rng_;
    std::vector<std::unique_ptr<SelvageHost>> nodes_;
};

void measure(std::size_t count) {
    World world{
        {.seed = test_seed(), .link = {.delay = 10ms}, .trace = false, .log_level = LogLevel::off}
    };
    Crowd crowd(world, count);
    const TimePoint started = world.now();
    ASSERT_TRUE(crowd.converge(kConvergeTime)) << count << " nodes that start at once";
    const Duration joined = world.now() - started;
    const Cost start = crowd.spent();

    // One node dies, which its neighbours' connections tell them, and comes back as another.
    crowd.leaf().kill();
    crowd.leaf().start();
    const TimePoint changed = world.now();
    ASSERT_TRUE(crowd.converge(kConvergeTime)) << "a node comes back among " << count;
    const Duration rejoined = world.now() - changed;
    world.run_for(kQuietTime);
    const Cost before = crowd.spent();
    world.run_for(kQuietTime);
    const Cost after = crowd.spent();
    EXPECT_EQ(check_agreement(crowd.all()), "");

    const auto nodes = static_cast<double>(count);
    const auto seconds = [](Duration d) { return std::chrono::duration<double>(d).count(); };
    fmt::print(
        "{:5} nodes: whole after {:.1f} s and {:.0f} KiB and {:.1f} ms of CPU a node; again after "
        "{:.1f} s; at rest {:.0f} B/s and {:.2f} ms/s of CPU a node\n",
        count, seconds(joined), static_cast<double>(start.bytes) / nodes / 1024,
        start.cpu_seconds * 1000 / nodes, seconds(rejoined),
        static_cast<double>(after.bytes - before.bytes) / nodes / seconds(kQuietTime),
        (after.cpu_seconds - before.cpu_seconds) * 1000 / nodes / seconds(kQuietTime)
    );
}

TEST(Scale, ManyNodesAgreeSoonAfterTheLastChange) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): a world has one thread
    const char* only = std::getenv("SELVAGE_SIM_NODES");
    if (only != nullptr) return measure(std::strtoul(only, nullptr, 10));
    for (const std::size_t count : {10U, 50U}) {
        measure(count);
        if (testing::Test::HasFailure()) return;
    }
}

}  // namespace
}  // namespace selvage::sim
