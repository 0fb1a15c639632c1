// Two whole stacks over a bad link: what is written on one side is what is read on the other, for
// every seed.
#include <gtest/gtest.h>
#include <malloc.h>

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
        took[algorithm] = exchange(pair, {.there = 10'000'000, .back = 10});
        EXPECT_LE(pair.left.counters().tcp_timeouts, 2u);
        EXPECT_EQ(pair.left.counters().tcp_spurious_losses, 0u);
    }
    EXPECT_LT(took[CongestionAlgorithm::bbr] * 5, took[CongestionAlgorithm::new_reno]);
    EXPECT_LT(took[CongestionAlgorithm::bbr] * 5, took[CongestionAlgorithm::cubic]);
}

// 1 Gb/s over 100 ms holds 12.5 MB: neither window may be what stops it.
TEST(StackPair, OneStreamFillsALongFastPath) {
    StackPair pair(
        21, LinkOptions{.delay = 50ms, .rate = 125'000'000, .queue = 12'500'000},
        with(CongestionAlgorithm::bbr), with(CongestionAlgorithm::bbr)
    );
    const auto listener = pair.right.tcp_listen(80);
    const TcpId client = *pair.left.tcp_connect({kRightAddress, 80}, pair.now);
    std::optional<TcpId> server;
    Bytes buffer(64 * 1024);
    std::uint64_t total = 0;
    const auto pump = [&](Duration span) {
        const TimePoint end = pair.now + span;
        pair.run_until([&] {
            if (!server) server = pair.right.tcp_accept(*listener);
            while (pair.left.tcp_write(client, buffer) > 0) {
            }
            while (const std::size_t got = server ? pair.right.tcp_read(*server, buffer) : 0)
                total += got;
            return pair.now >= end;
        });
    };
    pump(2s);
    total = 0;
    pump(500ms);
    EXPECT_GT(total, 45'000'000u) << "of 62.5 MB, with headers";
}

// A queue below that says when it is full.
class FullQueue final : public PacketOut {
public:
    void from_stack(packet::PacketBatch&& batch) override { packets += batch.size(); }
    bool congested(const IpAddress&) const override { return full; }
    std::size_t packets = 0;
    bool full = false;
};

TEST(Stack, KeepsDataBackWhileTheQueueBelowIsFull) {
    StackPair pair(1);
    const auto listener = pair.right.tcp_listen(80);
    const TcpId client = *pair.left.tcp_connect({kRightAddress, 80}, pair.now);
    ASSERT_TRUE(pair.run_until([&] { return pair.right.tcp_accept(*listener).has_value(); }));
    FullQueue out;
    out.full = true;
    EXPECT_EQ(pair.left.tcp_write(client, Bytes(1000)), 1000u);
    pair.left.poll(pair.now, out);
    EXPECT_EQ(out.packets, 0u);
    EXPECT_EQ(pair.left.counters().tcp_held_back, 1u);
    ASSERT_TRUE(pair.left.next_timeout());
    EXPECT_EQ(*pair.left.next_timeout(), pair.now + 1ms) << "asks again soon";
    out.full = false;
    pair.left.poll(pair.now + 1ms, out);
    EXPECT_EQ(out.packets, 1u);
}

// RFC 4821: nobody says that the path is narrow. And when it is not any more, full segments come
// back.
TEST(StackPair, ComesThroughAPathThatSwallowsLargePackets) {
    for (const auto algorithm : {CongestionAlgorithm::bbr, CongestionAlgorithm::cubic}) {
        SCOPED_TRACE(static_cast<int>(algorithm));
        StackOptions options{.congestion = algorithm};
        StackPair pair(7, {.delay = 20ms, .mtu = 1200}, options, options);
        const auto listener = pair.right.tcp_listen(80);
        const auto client = pair.left.tcp_connect({kRightAddress, 80}, pair.now);
        std::optional<TcpId> server;
        PatternWriter writer(1, 3'000'000);
        PatternReader reader(1);
        const auto have_read = [&](std::uint64_t bytes) {
            return [&, bytes] {
                if (!server) server = pair.right.tcp_accept(*listener);
                writer.pump(pair.left, *client);
                if (server) reader.pump(pair.right, *server);
                return reader.read() >= bytes;
            };
        };
        ASSERT_TRUE(pair.run_until(have_read(1'000'000), 30s));
        EXPECT_GE(pair.left.tcp_connection(*client)->info().mss, 1100u) << "and not more than need";
        pair.to_right.options.mtu = SIZE_MAX;
        pair.run_for(std::chrono::minutes(11));
        EXPECT_TRUE(pair.run_until(have_read(3'000'000)));
        EXPECT_EQ(reader.wrong(), 0u);
        EXPECT_EQ(pair.left.counters().tcp_black_holes, 1u);
        EXPECT_GE(pair.left.tcp_connection(*client)->info().mss, 1300u);
    }
}

// Heap bytes of one end of a connection that has moved `bytes` each way, over whatever link, and
// then said nothing for a while.
std::size_t idle_bytes(StackPair& pair, std::size_t connections, std::size_t bytes) {
    TcpListenOptions options;
    options.half_open_limit = options.accept_queue_limit = connections;
    const auto listener = pair.right.tcp_listen(80, options);
    {
        // The packets' blocks are the pool's; all it may need are made now.
        std::vector<packet::PacketBuf> blocks;
        while (pair.pool.available() > 0)
            blocks.push_back(pair.pool.take());
    }
    const std::size_t before = ::mallinfo2().uordblks;
    Bytes buffer(bytes);
    for (std::size_t i = 0; i < connections; ++i) {
        const TcpId client = *pair.left.tcp_connect({kRightAddress, 80}, pair.now);
        std::optional<TcpId> server;
        std::size_t written[2] = {}, read[2] = {};
        const auto pump = [&](Stack& stack, TcpId id, int side) {
            written[side] += stack.tcp_write(id, ByteView(buffer).subspan(written[side]));
            read[side] += stack.tcp_read(id, buffer);
        };
        const auto exchanged = [&] {
            if (!server) server = pair.right.tcp_accept(*listener);
            pump(pair.left, client, 0);
            if (server) pump(pair.right, *server, 1);
            return read[0] + read[1] == 2 * bytes;
        };
        EXPECT_TRUE(pair.run_until(exchanged));
    }
    pair.run_for(30s);
    EXPECT_EQ(pair.left.buffer_bytes() + pair.right.buffer_bytes(), 0u);
    // What the pools keep for the next burst belongs to the stack and not to its connections.
    const std::size_t kept = pair.left.kept_bytes() + pair.right.kept_bytes();
    const std::size_t after = ::mallinfo2().uordblks;
    return (after - before - std::min(kept + bytes, after - before)) / (2 * connections);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SELVAGE_SKIP_WITHOUT_HEAP() GTEST_SKIP() << "the sanitizer's heap does not tell"
#endif
#endif
#ifndef SELVAGE_SKIP_WITHOUT_HEAP
#define SELVAGE_SKIP_WITHOUT_HEAP() static_cast<void>(0)
#endif

TEST(Stack, AnIdleConnectionCostsLittle) {
    SELVAGE_SKIP_WITHOUT_HEAP();
    StackPair pair(1);
    const std::size_t each = idle_bytes(pair, 1000, 2000);
    RecordProperty("bytes", static_cast<int>(each));
    EXPECT_LE(each, 1024u);
}

// Buffers, gaps and the record of what was under way have grown, and are given back.
TEST(Stack, AConnectionThatWasBusyOnceCostsLittleWhenItIsIdle) {
    SELVAGE_SKIP_WITHOUT_HEAP();
    StackPair pair(1, {.delay = 20ms, .loss = 0.01, .rate = 10'000'000, .queue = 200'000});
    const std::size_t each = idle_bytes(pair, 100, 500'000);
    RecordProperty("bytes", static_cast<int>(each));
    EXPECT_LE(each, 1024u);
}

}  // namespace
}  // namespace selvage::netstack
