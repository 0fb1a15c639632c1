// Seeds and the comparison of runs.
#include "seeds.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "sim/pcap.h"

namespace selvage::sim {
namespace {

constexpr std::size_t kReportLines = 60;

std::optional<std::uint64_t> wanted_seed() {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): a world has one thread
    const char* text = std::getenv("SELVAGE_SIM_SEED");
    if (!text || *text == '\0') return std::nullopt;
    return std::strtoull(text, nullptr, 0);
}

std::string test_name() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    return info ? fmt::format("{}.{}", info->test_suite_name(), info->name()) : "sim";
}

void report(World& world) {
    const std::string name = test_name();
    fmt::print(
        stderr,
        "--- {} failed with seed {}; repeat with SELVAGE_SIM_SEED={} and --gtest_filter={}\n"
        "--- the last of {} events:\n{}",
        name, world.seed(), world.seed(), name, world.trace().count(),
        world.trace().tail(kReportLines)
    );
    // NOLINTNEXTLINE(concurrency-mt-unsafe): a world has one thread
    const char* folder = std::getenv("SELVAGE_SIM_PCAP");
    if (!folder) return;
    const std::string path = fmt::format("{}/{}-{}.pcap", folder, name, world.seed());
    const auto written = write_pcap(world.network(), path);
    if (written) fmt::print(stderr, "--- last frames: {}\n", path);
    if (!written) fmt::print(stderr, "--- {}\n", written.error().message());
}

// The hash of one run; reports when the body or a checker failed.
struct Run {
    std::uint64_t hash = 0;
    std::string tail;
};
Run run_once(const std::function<void(World&)>& body, const WorldOptions& options) {
    World world(options);
    body(world);
    for (const std::string& violation : world.violations())
        ADD_FAILURE() << "seed " << options.seed << ": " << violation;
    if (testing::Test::HasFailure()) report(world);
    return {world.trace_hash(), world.trace().tail(kReportLines)};
}

std::vector<std::uint64_t> seed_range(std::size_t count) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): a world has one thread
    const char* text = std::getenv("SELVAGE_SIM_SEEDS");
    if (!text || *text == '\0') return test_seeds(count);
    char* rest = nullptr;
    const std::uint64_t first = std::strtoull(text, &rest, 0);
    const std::uint64_t wanted = *rest == ':' ? std::strtoull(rest + 1, nullptr, 0) : 1;
    std::vector<std::uint64_t> seeds;
    for (std::uint64_t i = 0; i < wanted; ++i)
        seeds.push_back(first + i);
    return seeds;
}

}  // namespace

std::uint64_t test_seed() {
    return wanted_seed().value_or(20);
}

std::vector<std::uint64_t> test_seeds(std::size_t count) {
    if (const auto seed = wanted_seed()) return {*seed};
    std::vector<std::uint64_t> seeds;
    for (std::size_t i = 0; i < count; ++i)
        seeds.push_back(20 + i * 1009);
    return seeds;
}

void for_seeds(const std::function<void(World&)>& body, SeedsOptions options) {
    for (const std::uint64_t seed : test_seeds(options.seeds)) {
        options.world.seed = seed;
        const Run first = run_once(body, options.world);
        if (testing::Test::HasFailure()) return;
        const Run second = run_once(body, options.world);
        if (testing::Test::HasFailure()) return;
        EXPECT_EQ(first.hash, second.hash)
            << "two runs with seed " << seed
            << " differ: something is not deterministic\n--- first:\n"
            << first.tail << "--- second:\n"
            << second.tail;
        if (testing::Test::HasFailure()) return;
    }
}

void for_seed_range(const std::function<void(World&)>& body, SeedsOptions options) {
    const auto failures = [] {
        return testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count();
    };
    for (const std::uint64_t seed : seed_range(options.seeds)) {
        const int before = failures();
        const testing::ScopedTrace where(__FILE__, __LINE__, fmt::format("seed {}", seed));
        {
            WorldOptions quiet = options.world;
            quiet.seed = seed;
            quiet.log_level = LogLevel::off;
            quiet.trace = false;
            World world(quiet);
            body(world);
            for (const std::string& violation : world.violations())
                ADD_FAILURE() << violation;
        }
        if (failures() == before) continue;
        fmt::print(stderr, "--- seed {} failed: {}\n", seed, test_name());
        WorldOptions loud = options.world;
        loud.seed = seed;
        run_once(body, loud);  // equal seed, equal run: now with its last events
    }
}

}  // namespace selvage::sim
