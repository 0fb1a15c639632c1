// The small parts that connections are made of, each against a plain model where there is one.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>

#include "netstack/core/byte_queue.h"
#include "netstack/core/deadline_heap.h"
#include "netstack/core/range_set.h"
#include "netstack/core/rate_limit.h"
#include "netstack/core/rtt_estimator.h"
#include "netstack/core/slot_table.h"
#include "netstack/core/stack_pair_test_support.h"
#include "netstack/core/tcp_segment.h"

namespace selvage::netstack {
namespace {

using testing::Dice;

SeqRange range(std::uint32_t begin, std::uint32_t end) {
    return {SeqNum(begin), SeqNum(end)};
}

TEST(SeqNum, ComparesAcrossTheWrap) {
    const SeqNum before(0xfffffff0), after(16);
    EXPECT_TRUE(before.before(after));
    EXPECT_TRUE(after.after(before));
    EXPECT_EQ(after.since(before), 32u);
    EXPECT_EQ(before + 32, after);
    EXPECT_EQ(later(before, after), after);
    EXPECT_EQ(earlier(before, after), before);
}

TEST(RangeSet, AgreesWithASetOfNumbers) {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        Dice dice(seed);
        const std::uint32_t base = seed % 2 == 0 ? 0xffffff80 : 1000;  // half of them wrap
        RangeSet ranges(1000);
        std::set<std::uint32_t> model;
        std::uint32_t trimmed = 0;
        for (int step = 0; step < 100; ++step) {
            const auto begin = trimmed + static_cast<std::uint32_t>(dice.below(250 - trimmed));
            const auto end = begin + static_cast<std::uint32_t>(dice.below(12));
            ASSERT_TRUE(ranges.insert(range(base + begin, base + end)));
            for (std::uint32_t i = begin; i < end; ++i)
                model.insert(i);
            if (step % 10 == 9) {
                trimmed += static_cast<std::uint32_t>(dice.below(10));
                ranges.trim_before(SeqNum(base + trimmed));
                model.erase(model.begin(), model.lower_bound(trimmed));
            }
            ASSERT_EQ(ranges.total(), model.size()) << seed << " " << step;
            const auto from = static_cast<std::uint32_t>(dice.below(250));
            const auto inside = static_cast<std::uint32_t>(
                std::distance(model.lower_bound(from), model.lower_bound(from + 20))
            );
            ASSERT_EQ(ranges.count_within(range(base + from, base + from + 20)), inside);
        }
        SeqNum last(base);
        for (const SeqRange& r : ranges.ranges()) {
            EXPECT_TRUE(r.begin.before(r.end));
            EXPECT_TRUE(r.begin.after(last) || last == SeqNum(base)) << "joined when they touch";
            last = r.end;
        }
    }
}

TEST(RangeSet, RefusesOneMoreThanItsLimitButJoinsStill) {
    RangeSet ranges(2);
    EXPECT_TRUE(ranges.insert(range(10, 20)));
    EXPECT_TRUE(ranges.insert(range(30, 40)));
    EXPECT_FALSE(ranges.insert(range(50, 60)));
    EXPECT_TRUE(ranges.insert(range(15, 35)));
    EXPECT_EQ(ranges.ranges().size(), 1u);
    EXPECT_TRUE(ranges.covers(range(10, 40)));
    EXPECT_FALSE(ranges.covers(range(10, 41)));
    EXPECT_EQ(ranges.find(SeqNum(39)), range(10, 40));
    EXPECT_FALSE(ranges.find(SeqNum(40)));
}

TEST(ByteQueue, AgreesWithADequeOfBytes) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Dice dice(seed);
        ChunkPool pool(1024 * 1024);
        ByteQueue queue(pool);
        std::deque<std::uint8_t> model;
        for (int step = 0; step < 200; ++step) {
            Bytes bytes(dice.below(20'000));
            for (auto& byte : bytes)
                byte = static_cast<std::uint8_t>(dice.next());
            if (dice.chance(0.5)) {
                const std::size_t done = queue.append(bytes);
                ASSERT_TRUE(done == bytes.size() || pool.in_use() == pool.limit());
                model.insert(
                    model.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(done)
                );
            } else {
                const std::size_t got = queue.read(bytes);
                ASSERT_EQ(got, std::min(bytes.size(), model.size()));
                for (std::size_t i = 0; i < got; ++i)
                    ASSERT_EQ(bytes[i], model[i]);
                model.erase(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(got));
            }
            ASSERT_EQ(queue.size(), model.size());
        }
        queue.clear();
        EXPECT_EQ(pool.in_use(), 0u);
    }
}

TEST(ByteQueue, HoldsNothingWhenItIsEmpty) {
    ChunkPool pool(1024 * 1024);
    ByteQueue queue(pool);
    EXPECT_EQ(queue.append(Bytes(100)), 100u);
    EXPECT_EQ(pool.in_use(), 1u);
    queue.drop_front(100);
    EXPECT_EQ(pool.in_use(), 0u);
}

TEST(ByteQueue, KeepsWhatWasWrittenBeyondItsEndUntilTheGapIsFilled) {
    ChunkPool pool(1024 * 1024);
    ByteQueue queue(pool);
    ASSERT_TRUE(queue.write_at(20'000, as_view("far")));
    EXPECT_EQ(queue.size(), 0u);
    EXPECT_EQ(pool.in_use(), 1u) << "a hole costs no chunk";
    EXPECT_EQ(queue.append(Bytes(20'000, 'x')), 20'000u);
    Bytes read(20'000);
    queue.read(read);
    queue.extend(3);
    Bytes rest(10);
    EXPECT_EQ(queue.read(rest), 3u);
    EXPECT_EQ(as_text(std::span(rest).first(3)), "far");
    EXPECT_EQ(pool.in_use(), 0u);
}

TEST(DeadlineHeap, GivesTheEarliestAndFollowsChanges) {
    Dice dice(5);
    DeadlineHeap heap;
    std::map<std::uint32_t, TimePoint> model;
    for (int step = 0; step < 5000; ++step) {
        const auto index = static_cast<std::uint32_t>(dice.below(100));
        if (dice.chance(0.7)) {
            const TimePoint at{std::chrono::nanoseconds(dice.below(1000))};
            heap.set(index, at);
            model[index] = at;
        } else {
            heap.erase(index);
            model.erase(index);
        }
        ASSERT_EQ(heap.top().has_value(), !model.empty());
        if (model.empty()) continue;
        TimePoint earliest = TimePoint::max();
        for (const auto& [i, at] : model)
            earliest = std::min(earliest, at);
        ASSERT_EQ(heap.top()->at, earliest);
        ASSERT_EQ(heap.deadline_of(heap.top()->index), earliest);
    }
}

TEST(RttEstimator, FollowsRfc6298) {
    RttEstimator rtt;
    EXPECT_EQ(rtt.timeout(0), 1s);
    EXPECT_EQ(rtt.timeout(3), 8s);
    EXPECT_EQ(rtt.timeout(30), 60s);
    rtt.add_sample(100ms);
    EXPECT_EQ(rtt.smoothed(), 100ms);
    EXPECT_EQ(rtt.timeout(0), 300ms);
    rtt.add_sample(180ms);
    EXPECT_EQ(rtt.smoothed(), 110ms);
    EXPECT_EQ(rtt.timeout(0), 110ms + 4 * 57'500us);
    for (int i = 0; i < 100; ++i)
        rtt.add_sample(1ms);
    EXPECT_EQ(rtt.timeout(0), 201ms);
}

TEST(RateLimit, AllowsABurstAndThenARate) {
    RateLimit limit(10, 5);
    TimePoint now{1h};
    int allowed = 0;
    for (int i = 0; i < 20; ++i)
        allowed += limit.allow(now) ? 1 : 0;
    EXPECT_EQ(allowed, 5);
    now += 1s;
    for (int i = 0; i < 20; ++i)
        allowed += limit.allow(now) ? 1 : 0;
    EXPECT_EQ(allowed, 10) << "the burst is the most that is saved up";
    now += 100ms;
    EXPECT_TRUE(limit.allow(now));
    EXPECT_FALSE(limit.allow(now));
}

TEST(SlotTable, AnOldNameNeverFindsANewcomer) {
    SlotTable<int, TcpId> table(2);
    const TcpId first = table.add(std::make_unique<int>(1));
    const TcpId second = table.add(std::make_unique<int>(2));
    EXPECT_FALSE(table.add(std::make_unique<int>(3)));
    table.remove(first.index);
    EXPECT_EQ(table.find(first), nullptr);
    const TcpId third = table.add(std::make_unique<int>(3));
    EXPECT_EQ(third.index, first.index);
    EXPECT_EQ(table.find(first), nullptr);
    EXPECT_EQ(*table.find(third), 3);
    EXPECT_EQ(*table.find(second), 2);
    EXPECT_EQ(table.find(TcpId{}), nullptr);
    EXPECT_EQ(table.find(TcpId{99, 1}), nullptr);
}

TcpOptions parsed_options(std::vector<std::uint8_t> bytes) {
    while (bytes.size() % 4 != 0)
        bytes.push_back(0);
    Bytes segment(20);
    segment[12] = static_cast<std::uint8_t>((5 + bytes.size() / 4) << 4);
    segment.insert(segment.end(), bytes.begin(), bytes.end());
    const auto parsed = parse_tcp_segment(segment);
    EXPECT_TRUE(parsed);
    return parsed->options;
}

TEST(TcpOptions, SurviveAJourney) {
    TcpOptions options;
    options.mss = 1320;
    options.window_scale = 7;
    options.sack_permitted = true;
    options.timestamps = TcpTimestamps{0x01020304, 0x05060708};
    std::array<std::uint8_t, TcpOptions::kBytesMax> bytes;
    const std::size_t size = build_tcp_options(options, bytes);
    EXPECT_EQ(size % 4, 0u);
    const TcpOptions back = parsed_options({bytes.begin(), bytes.begin() + static_cast<int>(size)});
    EXPECT_EQ(back.mss, options.mss);
    EXPECT_EQ(back.window_scale, options.window_scale);
    EXPECT_TRUE(back.sack_permitted);
    EXPECT_EQ(back.timestamps->value, 0x01020304u);
    EXPECT_EQ(back.timestamps->echo, 0x05060708u);

    TcpOptions sack;
    sack.timestamps = TcpTimestamps{1, 2};
    for (std::uint32_t i = 0; i < 4; ++i)
        sack.sack[sack.sack_count++] = range(i * 10, i * 10 + 5);
    const std::size_t sack_size = build_tcp_options(sack, bytes);
    EXPECT_EQ(sack_size, 12u + 4 + 3 * 8) << "three blocks fit beside timestamps";
    const TcpOptions sack_back =
        parsed_options({bytes.begin(), bytes.begin() + static_cast<int>(sack_size)});
    ASSERT_EQ(sack_back.sack_count, 3u);
    EXPECT_EQ(sack_back.sack[2], range(20, 25));
}

TEST(TcpOptions, ThatAreMalformedAreSkipped) {
    EXPECT_EQ(parsed_options({77, 4, 0, 0, 2, 4, 5, 40}).mss, 1320) << "unknown ones too";
    EXPECT_FALSE(parsed_options({2, 3, 5}).mss);
    EXPECT_FALSE(parsed_options({2, 0, 5, 40}).mss) << "a length of zero must not loop";
    EXPECT_FALSE(parsed_options({2, 1, 5, 40}).mss);
    EXPECT_FALSE(parsed_options({2, 44, 5, 40}).mss);
    EXPECT_FALSE(parsed_options({0, 2, 4, 5, 40}).mss) << "behind the end of options";
    EXPECT_EQ(parsed_options({5, 9, 1, 1, 1, 1, 1, 1, 1}).sack_count, 0u);
    EXPECT_EQ(parsed_options({1, 1, 1, 2}).sack_count, 0u);
}

TEST(TcpSegment, WithAWrongHeaderLengthIsRefused) {
    Bytes segment(24);
    segment[12] = 0x40;
    EXPECT_TRUE(parse_tcp_segment(segment).error().is(Errc::bad_length));
    segment[12] = 0x70;
    EXPECT_TRUE(parse_tcp_segment(segment).error().is(Errc::bad_length));
    segment[12] = 0x60;
    EXPECT_TRUE(parse_tcp_segment(segment));
    segment.resize(19);
    EXPECT_TRUE(parse_tcp_segment(segment).error().is(Errc::truncated));
}

}  // namespace
}  // namespace selvage::netstack
