// Loss recovery and congestion control by themselves: the log of sent segments against a model, and
// what the windows do with what they are told.
#include <gtest/gtest.h>

#include <map>

#include "netstack/core/bbr.h"
#include "netstack/core/loss_recovery.h"
#include "netstack/core/stack_pair_test_support.h"
#include "netstack/core/window_control.h"

namespace selvage::netstack {
namespace {

using testing::Dice;

constexpr TimePoint kStart{std::chrono::hours(1)};

TEST(SentLog, AgreesWithAMapOfSegments) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Dice dice(seed);
        SentLog log;
        std::map<std::uint32_t, SentSegment::State> model;  // by first byte, 10 bytes each
        std::uint32_t next = 1000;
        TimePoint now = kStart;
        for (int step = 0; step < 3000; ++step) {
            now += 1us;
            const auto choice = dice.below(6);
            if (choice <= 1) {
                SentSegment segment;
                segment.begin = SeqNum(next);
                segment.end = SeqNum(next + 10);
                segment.sent_at = now;
                log.push(segment);
                model[next] = SentSegment::State::in_flight;
                next += 10;
            } else if (model.empty()) {
                continue;
            } else if (choice == 2) {
                log.pop_first();
                model.erase(model.begin());
            } else {
                auto at = model.begin();
                std::advance(at, static_cast<long>(dice.below(model.size())));
                const std::uint32_t number = log.find(SeqNum(at->first + 5));
                ASSERT_EQ(log[number].begin.raw(), at->first);
                if (choice == 3) log.mark_lost(number);
                if (choice == 4) log.mark_sacked(number);
                if (choice == 5) log.put_in_flight(number);
                at->second = log[number].state;
            }
            std::map<SentSegment::State, std::uint32_t> bytes;
            for (const auto& [begin, state] : model)
                bytes[state] += 10;
            ASSERT_EQ(log.count(), model.size());
            ASSERT_EQ(log.in_flight_bytes(), bytes[SentSegment::State::in_flight]);
            ASSERT_EQ(log.lost_bytes(), bytes[SentSegment::State::lost]);
            ASSERT_EQ(log.sacked_bytes(), bytes[SentSegment::State::sacked]);
        }
    }
}

TEST(SentLog, CutsSegmentsForANarrowerPath) {
    SentLog log;
    for (std::uint32_t i = 0; i < 3; ++i) {
        SentSegment segment;
        segment.begin = SeqNum(1000 * i);
        segment.end = SeqNum(1000 * (i + 1));
        segment.sent_at = kStart + 1ms * i;
        log.push(segment);
    }
    log.mark_lost(log.first());
    log.mark_sacked(SentLog::after(log.first()));
    log.resegment(400);
    EXPECT_EQ(log.count(), 9u);
    EXPECT_EQ(log.lost_bytes(), 1000u);
    EXPECT_EQ(log.sacked_bytes(), 1000u);
    EXPECT_EQ(log.in_flight_bytes(), 1000u);
    EXPECT_EQ(log[log.first_lost()].size(), 400u);
    EXPECT_EQ(log[log.last()].size(), 200u);
}

TEST(SentLog, JoinsTinySegmentsThatAreLost) {
    SentLog log;
    for (std::uint32_t i = 0; i < 4; ++i) {
        SentSegment segment;
        segment.begin = SeqNum(10 * i);
        segment.end = SeqNum(10 * (i + 1));
        log.push(segment);
    }
    for (std::uint32_t i = 0; i < 3; ++i)
        log.mark_lost(i);
    EXPECT_TRUE(log.merge_first(25));
    EXPECT_FALSE(log.merge_first(25)) << "too long";
    EXPECT_TRUE(log.merge_first(30));
    EXPECT_FALSE(log.merge_first(100)) << "not lost";
    EXPECT_EQ(log.count(), 2u);
    EXPECT_EQ(log.lost_bytes(), 30u);
    EXPECT_EQ(log[log.first_lost()].size(), 30u);
}

AckSample ack_of(std::uint32_t bytes, TimePoint now, std::uint64_t total) {
    AckSample ack;
    ack.now = now;
    ack.delivered = ack.acked = bytes;
    ack.delivered_total = total;
    ack.window_limited = true;
    ack.smoothed_rtt = 100ms;
    ack.rtt = 100ms;
    return ack;
}

TEST(NewReno, CountsBytesAndHalvesOnLoss) {  // RFC 5681, RFC 3465
    WindowControl reno(WindowControl::Growth::reno, 1000);
    EXPECT_EQ(reno.window(), 10'000u);
    reno.on_ack(ack_of(2000, kStart, 2000));
    EXPECT_EQ(reno.window(), 12'000u);
    reno.on_recovery_start(12'000, kStart);
    reno.on_recovery_end(false, kStart);
    EXPECT_EQ(reno.window(), 6000u);
    for (int i = 0; i < 6; ++i)
        reno.on_ack(ack_of(1000, kStart, 2000));
    EXPECT_EQ(reno.window(), 7000u) << "one segment a round";
    reno.on_timeout({.outstanding = 7000}, kStart);
    EXPECT_EQ(reno.window(), 1000u);
    EXPECT_EQ(reno.slow_start_threshold(), 3500u);
    reno.on_timeout({.outstanding = 1000, .again = true}, kStart);
    EXPECT_EQ(reno.slow_start_threshold(), 3500u) << "a repeated timeout says nothing new";
}

TEST(NewReno, SendsInProportionToWhatArrivesWhileItShrinks) {  // RFC 9937, 6
    WindowControl reno(WindowControl::Growth::reno, 1000);
    reno.on_recovery_start(20'000, kStart);
    std::uint32_t flight = 16'000;  // four segments have arrived or are lost
    std::uint32_t sent = 0;
    for (int i = 0; i < 16; ++i) {
        AckSample ack = ack_of(1000, kStart, 0);
        ack.acked = 0;
        ack.recovering = true;
        flight -= 1000;
        ack.in_flight = flight;
        reno.on_ack(ack);
        while (reno.window() >= flight + 1000) {
            reno.on_sent(1000);
            flight += 1000;
            sent += 1000;
        }
    }
    EXPECT_GE(sent, 8000u);
    EXPECT_LE(flight, 10'000u);
}

TEST(NewReno, TakesALossBack) {  // RFC 4015
    WindowControl reno(WindowControl::Growth::reno, 1000);
    reno.on_recovery_start(10'000, kStart);
    reno.on_recovery_end(false, kStart);
    EXPECT_EQ(reno.window(), 5000u);
    reno.on_spurious_loss();
    EXPECT_EQ(reno.window(), 10'000u);
    EXPECT_TRUE(reno.in_slow_start());
}

TEST(Cubic, IsBackWhereTheLossWasAfterTheTimeOfItsCurve) {  // RFC 9438, 4.2
    WindowControl cubic(WindowControl::Growth::cubic, 1000);
    while (cubic.window() < 400'000)
        cubic.on_ack(ack_of(1000, kStart, 0));
    // The window counts, and not what is under way: it was used (RFC 9438, 4.6).
    cubic.on_recovery_start(390'000, kStart);
    cubic.on_recovery_end(false, kStart);
    EXPECT_EQ(cubic.window(), 280'000u);
    // K = cbrt(400 * 0.3 / 0.4) = 6.7 s.
    TimePoint now = kStart;
    std::uint32_t before = cubic.window();
    std::uint32_t at_three = 0;
    for (int i = 0; i < 66; ++i) {
        cubic.on_ack(ack_of(cubic.window(), now, 0));
        EXPECT_GE(cubic.window(), before);
        before = cubic.window();
        if (i == 30) at_three = cubic.window();
        now += 100ms;
    }
    EXPECT_GT(at_three, 330'000u) << "steep at first";
    EXPECT_NEAR(cubic.window(), 400'000, 8000) << "flat where the loss was";
}

TEST(Cubic, IsNotSlowerThanRenoOnAShortPath) {  // RFC 9438, 4.3
    WindowControl cubic(WindowControl::Growth::cubic, 1000);
    cubic.on_recovery_start(20'000, kStart);
    cubic.on_recovery_end(false, kStart);
    const std::uint32_t start = cubic.window();
    TimePoint now = kStart;
    for (int i = 0; i < 100; ++i, now += 1ms) {
        AckSample ack = ack_of(cubic.window(), now, 0);
        ack.smoothed_rtt = 1ms;
        cubic.on_ack(ack);
    }
    // In 0.1 s the curve alone would not have moved.
    EXPECT_GT(cubic.window(), start + 40'000);
}

TEST(HyStart, LeavesSlowStartWhenRoundTripsGrow) {  // RFC 9406
    HyStart start;
    std::uint64_t total = 0;
    const auto round = [&](Duration rtt) {
        bool over = false;
        for (int i = 0; i < 10; ++i) {
            AckSample ack = ack_of(1000, kStart, total += 1000);
            ack.in_flight = 10'000;
            ack.rtt = rtt;
            over |= start.on_ack(ack);
        }
        return over;
    };
    EXPECT_FALSE(round(40ms));
    EXPECT_FALSE(round(40ms));
    EXPECT_EQ(start.growth(1000), 1000u);
    EXPECT_FALSE(round(50ms));
    EXPECT_EQ(start.growth(1000), 250u) << "slower, in case it was nothing";
    bool over = false;
    for (int i = 0; i < 6; ++i)
        over |= round(52ms);
    EXPECT_TRUE(over);
}

}  // namespace
}  // namespace selvage::netstack
