// SYN cookies: what they hold, who can bring one back, and that a caller gets through a flood.
#include <gtest/gtest.h>

#include "netstack/core/syn_cookies.h"
#include "netstack/core/tcp_script_test_support.h"

namespace selvage::netstack::testing {
namespace {

constexpr TimePoint kNow{std::chrono::hours(5)};
const FlowKey kFlow{kLeftAddress, kRightAddress, 22, 40000};

TEST(SynCookies, KeepTheMssRoundedDown) {
    const SynCookies cookies({1, 2});
    const auto kept = [&](std::uint16_t mss) {
        const auto cookie = cookies.make(kFlow, SeqNum(7), mss, kNow);
        return cookies.check(kFlow, SeqNum(7), *cookie, kNow);
    };
    EXPECT_EQ(kept(1320), 1320);
    EXPECT_EQ(kept(1319), 1300);
    EXPECT_EQ(kept(9000), 1440);
    EXPECT_EQ(kept(536), 536);
    EXPECT_EQ(kept(216), 216);
    EXPECT_FALSE(cookies.make(kFlow, SeqNum(7), 215, kNow));
}

TEST(SynCookies, AreGoodForTheirEpochAndTheNext) {
    const SynCookies cookies({1, 2});
    for (int second = 0; second < 128; second += 7) {
        const TimePoint made = kNow + std::chrono::seconds(second);
        const auto cookie = cookies.make(kFlow, SeqNum(7), 1320, made);
        EXPECT_TRUE(cookies.check(kFlow, SeqNum(7), *cookie, made + SynCookies::kEpoch));
        EXPECT_FALSE(cookies.check(kFlow, SeqNum(7), *cookie, made + SynCookies::kLife));
    }
}

TEST(SynCookies, BelongToOneFlowOneSynAndOneStack) {
    const SynCookies cookies({1, 2});
    const auto cookie = *cookies.make(kFlow, SeqNum(7), 1320, kNow);
    FlowKey other = kFlow;
    other.remote_port = 40001;
    EXPECT_FALSE(cookies.check(other, SeqNum(7), cookie, kNow));
    EXPECT_FALSE(cookies.check(kFlow, SeqNum(8), cookie, kNow));
    EXPECT_FALSE(SynCookies({1, 3}).check(kFlow, SeqNum(7), cookie, kNow));
    for (int bit = 0; bit < 32; ++bit)
        EXPECT_FALSE(cookies.check(kFlow, SeqNum(7), SeqNum(cookie.raw() ^ 1U << bit), kNow));
}

TEST(SynCookies, KeepOptionsInATimestampThatIsNeverFromTheFuture) {
    for (std::uint32_t clock = 1000; clock < 1200; ++clock) {
        TcpOptions asked;
        asked.window_scale = 14;
        asked.sack_permitted = true;
        const std::uint32_t value = SynCookies::put_options(clock, asked, true);
        EXPECT_LE(value, clock);
        EXPECT_GE(value + 128, clock);
        TcpOptions kept;
        EXPECT_TRUE(SynCookies::take_options(value, kept));
        EXPECT_EQ(kept.window_scale, 14);
        EXPECT_TRUE(kept.sack_permitted);
    }
    TcpOptions kept;
    EXPECT_FALSE(SynCookies::take_options(SynCookies::put_options(5000, {}, false), kept));
    EXPECT_FALSE(kept.window_scale);
    EXPECT_FALSE(kept.sack_permitted);
}

// The half-open limit is used up by a caller that never answers.
ScriptOptions full_listener() {
    return {.listen = 22, .listener = {.half_open_limit = 1, .accept_queue_limit = 1}};
}

void fill(TcpScript& s) {
    s.at(0ms).receives_on(1, syn().seq(0).mss(1320));
    s.sends(syn_ack().seq(0).ack(1));
}

TEST(TcpListener, RemembersNothingOfACallerBeyondTheLimitUntilHeAnswers) {  // RFC 4987, 3.6
    TcpScript s{full_listener()};
    fill(s);
    s.at(10ms).receives(syn().seq(0).mss(1320));
    s.sends(syn_ack().seq(0).ack(1).mss(1320).win(65535));
    EXPECT_EQ(s.stack().tcp_connection_count(), 1u);
    // A lost answer is the caller's to repair: nothing is remembered that could be sent again.
    s.at(20ms).receives(ack().seq(1).ack(1));
    s.expect_accepted(1);
    s.expect_state(TcpState::established);
    s.expect_counted(&StackCounters::tcp_cookies_out, 1);
    s.expect_counted(&StackCounters::tcp_cookies_accepted, 1);
    s.writes(1320);
    s.sends(data(1320).seq(1).ack(1));
    s.at(30ms).receives(data(10).seq(1).ack(1321));
    s.sends(ack().seq(1321).ack(11));
    s.reads(10);
}

TEST(TcpListener, RepeatsNoAnswerThatItDoesNotRemember) {
    TcpScript s{full_listener()};
    fill(s);
    s.at(10ms).receives(syn().seq(0).mss(1320));
    s.sends(syn_ack().seq(0).ack(1));
    // Only the remembered half-open connection repeats its own.
    s.at(1s).sends(syn_ack().seq(0).ack(1));
    s.expect_silence_until(2900ms);
}

TEST(TcpListener, FindsWindowScaleAndSackAgainInTheTimestamp) {
    TcpScript s{full_listener()};
    fill(s);
    s.at(10ms).receives(syn().seq(0).mss(1320).wscale(3).sack_ok().ts(100, 0));
    s.sends(syn_ack().seq(0).ack(1).mss(1320).wscale(8).sack_ok().ts(0, 100));
    const std::uint32_t echo = s.last_timestamp();
    s.at(20ms).receives(ack().seq(1).ack(1).win(1000).ts(110, echo));
    s.expect_accepted(1);
    // A window of 8,000 bytes, not of 1,000.
    s.writes(10'000);
    for (std::uint32_t i = 0; i < 6; ++i)
        s.sends(data(1308).seq(1 + i * 1308).ack(1).ts(0, 110));
    s.at(30ms).receives(data(100).seq(101).ack(1).win(1000).ts(120, echo));
    s.sends(ack().seq(7849).ack(1).sack({{101, 201}}));
}

TEST(TcpListener, OffersWithoutTimestampsOnlyWhatACookieHolds) {
    TcpScript s{full_listener()};
    fill(s);
    s.at(10ms).receives(syn().seq(0).mss(1320).wscale(3).sack_ok());
    s.sends(syn_ack().seq(0).ack(1).mss(1320));
    s.at(20ms).receives(ack().seq(1).ack(1).win(1000));
    s.expect_accepted(1);
    s.writes(2000);
    s.sends(data(1000).seq(1).ack(1));
}

TEST(TcpListener, TakesACookieThatComesWithData) {
    TcpScript s{full_listener()};
    fill(s);
    s.at(10ms).receives(syn().seq(0).mss(1320));
    s.sends(syn_ack().seq(0).ack(1));
    s.at(20ms).receives(data(5).seq(1).ack(1));
    s.sends(ack().seq(1).ack(6));
    s.expect_accepted(1);
    s.reads(5);
}

TEST(TcpListener, WaitsForTheFirstDataWhenLaterDataComesBeforeIt) {
    TcpScript s{full_listener()};
    fill(s);
    s.at(10ms).receives(syn().seq(0).mss(1320));
    s.sends(syn_ack().seq(0).ack(1));
    // The ACK and the first segment were lost.
    s.at(20ms).receives(data(100).seq(101).ack(1));
    s.expect_silence();
    s.at(220ms).receives(data(100).seq(1).ack(1));
    s.sends(ack().seq(1).ack(101));
    s.expect_accepted(1);
    s.reads(100);
}

TEST(TcpListener, IgnoresAWrongCookieWhileOthersAreOut) {
    TcpScript s{full_listener()};
    fill(s);
    s.at(10ms).receives(syn().seq(0).mss(1320));
    s.sends(syn_ack().seq(0).ack(1));
    // Of another number, of another SYN, as a reset: nothing is made, and nothing said, because it
    // could be a caller whose first segment was lost.
    s.at(20ms).receives(ack().seq(1).ack(2));
    s.at(20ms).receives(ack().seq(2).ack(1));
    s.at(20ms).receives(rst_ack().seq(1).ack(1));
    s.expect_silence();
    s.expect_accepted(0);
    s.expect_counted(&StackCounters::tcp_no_connection, 3);
    EXPECT_EQ(s.stack().tcp_connection_count(), 1u);
}

TEST(TcpListener, ResetsWhoBringsAnOldCookie) {
    TcpScript s{full_listener()};
    fill(s);
    s.at(10ms).receives(syn().seq(0).mss(1320));
    s.sends(syn_ack().seq(0).ack(1));
    s.at(200s).skip_sent();
    s.receives(ack().seq(1).ack(1));
    s.sends(rst().seq(1));
    s.expect_accepted(0);
}

TEST(TcpListener, TakesNoCookieWhenItHasGivenNone) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).receives(ack().seq(1).ack(1));
    s.sends(rst().seq(1));
    s.expect_counted(&StackCounters::tcp_cookies_accepted, 0);
}

TEST(TcpListener, HoldsAnAnsweredCookieWhileTheAcceptQueueIsFull) {
    TcpScript s{full_listener()};
    fill(s);
    for (std::uint16_t port = 2; port <= 3; ++port) {
        s.receives_on(port, syn().seq(0).mss(1320));
        s.sends(syn_ack().seq(0).ack(1));
    }
    s.receives_on(2, ack().seq(1).ack(1));
    s.receives_on(3, ack().seq(1).ack(1));
    s.expect_counted(&StackCounters::tcp_accept_queue_full, 1);
    s.expect_accepted(1);
    s.at(500ms).receives_on(3, data(5).seq(1).ack(1));
    s.sends(ack().seq(1).ack(6));
    s.expect_accepted(1);
}

TEST(TcpListener, CanBeToldToGiveNoCookies) {
    ScriptOptions options = full_listener();
    options.listener.syn_cookies = false;
    TcpScript s{options};
    fill(s);
    s.at(10ms).receives(syn().seq(0).mss(1320));
    s.expect_silence_until(900ms);
}

}  // namespace
}  // namespace selvage::netstack::testing
