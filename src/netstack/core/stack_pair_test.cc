// Two whole stacks over a bad link: what is written on one side is what is read on the other, for
// every seed.
#include <gtest/gtest.h>

#include <map>

#include "netstack/core/stack_pair_test_support.h"

namespace selvage::netstack {
namespace {

using testing::kRightAddress;
using testing::LinkOptions;
using testing::PatternReader;
using testing::PatternWriter;
using testing::StackPair;

struct Exchange {
    std::uint64_t there = 300'000;
    std::uint64_t back = 200'000;
    std::size_t read_at_a_time = SIZE_MAX;
};

// Both directions at once, then an orderly end. Gives the virtual time that it took.
Duration exchange(StackPair& pair, Exchange what = {}) {
    const auto listener = pair.right.tcp_listen(80);
    EXPECT_TRUE(listener);
    const TimePoint started = pair.now;
    const auto client = pair.left.tcp_connect({kRightAddress, 80}, pair.now);
    EXPECT_TRUE(client);
    std::optional<TcpId> server;
    PatternWriter there(1, what.there), back(2, what.back);
    PatternReader at_server(1), at_client(2);
    const bool done = pair.run_until(
        [&] {
            if (!server) server = pair.right.tcp_accept(*listener);
            there.pump(pair.left, *client);
            at_client.pump(pair.left, *client, what.read_at_a_time);
            if (server) {
                back.pump(pair.right, *server);
                at_server.pump(pair.right, *server, what.read_at_a_time);
            }
            return server && pair.left.tcp_status(*client).read_finished &&
                   pair.right.tcp_status(*server).read_finished;
        },
        std::chrono::hours(2)
    );
    EXPECT_TRUE(done) << "client wrote " << there.written() << " read " << at_client.read()
                      << ", server wrote " << back.written() << " read " << at_server.read();
    const Duration took = pair.now - started;
    EXPECT_EQ(at_server.read(), what.there);
    EXPECT_EQ(at_client.read(), what.back);
    EXPECT_EQ(at_server.wrong() + at_client.wrong(), 0u);
    pair.left.tcp_release(*client);
    if (server) pair.right.tcp_release(*server);
    pair.right.tcp_close_listener(*listener);
    pair.run_for(std::chrono::minutes(10));
    EXPECT_EQ(pair.left.tcp_connection_count(), 0u);
    EXPECT_EQ(pair.right.tcp_connection_count(), 0u);
    EXPECT_EQ(pair.left.buffer_bytes() + pair.right.buffer_bytes(), 0u);
    EXPECT_EQ(pair.pool.in_use(), 0u);
    return took;
}

TEST(StackPair, CarriesBothDirectionsOverAGoodLink) {
    StackPair pair(1);
    exchange(pair);
    EXPECT_EQ(pair.left.counters().tcp_retransmits, 0u);
    EXPECT_EQ(pair.right.counters().tcp_retransmits, 0u);
}

StackOptions with(CongestionAlgorithm algorithm) {
    StackOptions options;
    options.congestion = algorithm;
    return options;
}

constexpr CongestionAlgorithm kAlgorithms[] = {
    CongestionAlgorithm::new_reno, CongestionAlgorithm::cubic, CongestionAlgorithm::bbr
};

TEST(StackPair, CarriesBothDirectionsOverABadLinkForManySeeds) {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE(seed);
        const CongestionAlgorithm algorithm = kAlgorithms[seed % 3];
        StackPair pair(
            seed,
            LinkOptions{
                .delay = 10ms,
                .jitter = seed % 4 == 0 ? 15ms : 0ms,
                .loss = 0.01 * static_cast<double>(seed % 10),
                .duplicate = 0.02,
                .corrupt = 0.01
            },
            with(algorithm), with(algorithm)
        );
        exchange(pair, {.there = 120'000, .back = 80'000});
        if (HasFailure()) break;
    }
}

TEST(StackPair, EqualSeedsGiveEqualRuns) {
    const auto run = [](std::uint64_t seed) {
        StackPair pair(seed, LinkOptions{.jitter = 3ms, .loss = 0.03, .duplicate = 0.01});
        exchange(pair);
        return std::tuple(pair.now, pair.to_left.packets, pair.to_right.packets);
    };
    EXPECT_EQ(run(7), run(7));
}

TEST(StackPair, ASlowReaderSlowsTheWriterDownAndLosesNothing) {
    StackPair pair(3);
    exchange(pair, {.there = 2'000'000, .back = 10, .read_at_a_time = 700});
    EXPECT_EQ(pair.left.counters().tcp_retransmits, 0u);
}

TEST(StackPair, OnePercentLossCostsFewTimeouts) {
    StackPair pair(5, LinkOptions{.delay = 10ms, .loss = 0.01});
    exchange(pair, {.there = 4'000'000, .back = 10});
    EXPECT_LT(pair.left.counters().tcp_timeouts, 8u);
    EXPECT_GT(pair.left.counters().tcp_fast_recoveries, 2u);
}

// 100 Mbit/s, 40 ms, 1 % loss: what every rule that takes a loss for congestion fails at.
TEST(StackPair, RandomLossStopsRenoAndNotBbr) {
    std::map<CongestionAlgorithm, Duration> took;
    for (const CongestionAlgorithm algorithm : kAlgorithms) {
        SCOPED_TRACE(static_cast<int>(algorithm));
        StackPair pair(
            11, LinkOptions{.delay = 20ms, .loss = 0.01, .rate = 12'500'000, .queue = 500'000},
            with(algorithm), with(algorithm)
        );
        took[algorithm] = exchange(pair, {.there = 30'000'000, .back = 10});
        EXPECT_EQ(pair.left.counters().tcp_timeouts, 0u);
        EXPECT_EQ(pair.left.counters().tcp_spurious_losses, 0u);
    }
    EXPECT_LT(took[CongestionAlgorithm::bbr] * 10, took[CongestionAlgorithm::new_reno]);
    EXPECT_LT(took[CongestionAlgorithm::bbr] * 10, took[CongestionAlgorithm::cubic]);
}

}  // namespace
}  // namespace selvage::netstack
