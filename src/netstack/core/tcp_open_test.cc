// How connections begin: RFC 9293, sections 3.5 and 3.10.7.1 to 3.10.7.4.
#include <set>

#include "netstack/core/tcp_script_test_support.h"

namespace selvage::netstack::testing {
namespace {

TEST(TcpListener, AnswersASynAndGivesTheConnectionWhenItIsAcknowledged) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).receives(syn().seq(0).mss(1360));
    s.at(0ms).sends(syn_ack().seq(0).ack(1).mss(1320).win(65535));
    s.expect_accepted(0);
    s.at(10ms).receives(ack().seq(1).ack(1));
    s.expect_accepted(1);
    s.expect_state(TcpState::established);
    s.expect_silence_until(60s);
}

TEST(TcpListener, RepeatsItsSynAckUntilAnswered) {  // RFC 6298
    TcpScript s{{.listen = 22}};
    s.at(0ms).receives(syn().seq(0).mss(1360));
    s.at(0ms).sends(syn_ack().seq(0).ack(1));
    s.at(1s).sends(syn_ack().seq(0).ack(1));
    s.at(3s).sends(syn_ack().seq(0).ack(1));
    s.at(3s).receives(ack().seq(1).ack(1));
    s.expect_accepted(1);
    s.expect_silence_until(60s);
}

TEST(TcpListener, ForgetsACallerWhoNeverAnswers) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).receives(syn().seq(0).mss(1360));
    for (const Duration when : {0s, 1s, 3s, 7s, 15s, 31s})
        s.at(when).sends(syn_ack().seq(0).ack(1));
    s.expect_silence_until(300s);
    s.expect_accepted(0);
    EXPECT_EQ(s.stack().tcp_connection_count(), 0u);
}

TEST(TcpListener, AnswersARepeatedSynAtOnce) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).receives(syn().seq(0).mss(1360));
    s.sends(syn_ack().seq(0).ack(1));
    s.at(500ms).receives(syn().seq(0).mss(1360));
    s.at(500ms).sends(syn_ack().seq(0).ack(1));
    EXPECT_EQ(s.stack().tcp_connection_count(), 1u);
    s.at(600ms).receives(ack().seq(1).ack(1));
    s.expect_accepted(1);
}

TEST(TcpListener, OffersOnlyTheOptionsThatTheCallerOffered) {  // RFC 7323, 2.2; RFC 2018, 2
    TcpScript s{{.listen = 22}};
    s.at(0ms).receives(syn().seq(0).mss(1360).wscale(2).sack_ok().ts(100, 0));
    s.sends(syn_ack().seq(0).ack(1).mss(1320).wscale(8).sack_ok().ts(0, 100));
    s.at(1ms).receives(ack().seq(1).ack(1).ts(101, 0));
    s.expect_accepted(1);

    TcpScript plain{{.listen = 22}};
    plain.at(0ms).receives(syn().seq(0));
    plain.sends(syn_ack().seq(0).ack(1));
    plain.at(1ms).receives(ack().seq(1).ack(1));
    plain.expect_accepted(1);
    // Without the option the window is what 16 bits can say, and does not move on by crumbs.
    plain.at(2ms).receives(data(10).seq(1).ack(1));
    plain.sends(ack().seq(1).ack(11).win(65525));
}

TEST(TcpListener, OpensItsWindowTo256KiBWhereScalingIsUsed) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1320).wscale(2));
    s.at(1ms).receives(data(100).seq(1).ack(1));
    s.sends(ack().seq(1).ack(101).win(1024));
    s.expect_readable(100);
}

TEST(TcpListener, TakesDataThatComesWithTheLastAckOfTheHandshake) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).receives(syn().seq(0).mss(1320));
    s.sends(syn_ack().seq(0).ack(1));
    s.at(1ms).receives(data(50).seq(1).ack(1));
    s.sends(ack().seq(1).ack(51));
    s.expect_accepted(1);
    s.reads(50);
}

TEST(TcpListener, ResetsAnAckThatBelongsToNothing) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).receives(ack().seq(5).ack(7));
    s.sends(rst().seq(7));
    s.at(1ms).receives(syn_ack().seq(5).ack(9));
    s.sends(rst().seq(9));
    s.expect_silence_until(60s);
}

TEST(TcpListener, ResetsAHandshakeAckWithAWrongNumber) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).receives(syn().seq(0).mss(1320));
    s.sends(syn_ack().seq(0).ack(1));
    s.at(1ms).receives(ack().seq(1).ack(5));
    s.sends(rst().seq(5));
    s.expect_accepted(0);
    s.at(2ms).receives(ack().seq(1).ack(1));
    s.expect_accepted(1);
}

TEST(TcpListener, NeverAnswersAReset) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).receives(rst().seq(5));
    s.at(0ms).receives(rst_ack().seq(5).ack(9));
    s.expect_silence_until(60s);
}

TEST(TcpListener, ForgetsAHalfOpenConnectionThatIsReset) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).receives(syn().seq(0).mss(1320));
    s.sends(syn_ack().seq(0).ack(1));
    s.at(1ms).receives(rst().seq(1));
    EXPECT_EQ(s.stack().tcp_connection_count(), 0u);
    s.expect_silence_until(60s);
}

TEST(TcpListener, RemembersNoFurtherCallersAtTheHalfOpenLimit) {
    TcpScript s{{.listen = 22, .listener = {.half_open_limit = 2}}};
    for (std::uint16_t port = 1; port <= 3; ++port)
        s.at(0ms).receives_on(port, syn().seq(0).mss(1320)), s.skip_sent();
    s.expect_counted(&StackCounters::tcp_half_open_full, 1);
    EXPECT_EQ(s.stack().tcp_connection_count(), 2u);
}

TEST(TcpListener, HoldsTheLastAckWhileTheAcceptQueueIsFull) {
    TcpScript s{{.listen = 22, .listener = {.accept_queue_limit = 1}}};
    s.at(0ms).receives_on(1, syn().seq(0).mss(1320));
    s.sends(syn_ack().seq(0).ack(1));
    s.at(0ms).receives_on(1, ack().seq(1).ack(1));
    s.at(1ms).receives_on(2, syn().seq(0).mss(1320));
    s.sends(syn_ack().seq(0).ack(1));
    s.at(2ms).receives_on(2, ack().seq(1).ack(1));
    s.expect_counted(&StackCounters::tcp_accept_queue_full, 1);
    s.expect_accepted(1);
    // The caller sends data, and repeats it: by then there is room.
    s.at(300ms).receives_on(2, data(10).seq(1).ack(1));
    s.sends(ack().seq(1).ack(11));
    s.expect_accepted(1);
    s.reads(10);
}

TEST(TcpListener, ResetsWhatWaitsInItsQueueWhenItCloses) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).receives(syn().seq(0).mss(1320));
    s.sends(syn_ack().seq(0).ack(1));
    s.at(0ms).receives(ack().seq(1).ack(1));
    s.closes_listener();
    s.sends(rst_ack().seq(1).ack(1));
    EXPECT_EQ(s.stack().tcp_connection_count(), 0u);
    s.at(1s).receives(syn().seq(9).mss(1320));
    s.sends(rst_ack().seq(0 - s.our_isn()).ack(10));
}

TEST(TcpClosedPort, ResetsASyn) {  // RFC 9293, 3.10.7.1
    TcpScript s{{.listen = 22}};
    s.closes_listener();
    s.at(0ms).receives(syn().seq(0).mss(1360));
    s.sends(rst_ack().seq(0).ack(1));
    s.at(1ms).receives(bare().seq(7).len(3));
    s.sends(rst_ack().seq(0).ack(10));
    s.expect_silence_until(10s);
}

TEST(TcpConnect, OpensWithEveryOptionAndAcknowledges) {
    TcpScript s;
    s.at(0ms).connects();
    s.sends(syn().seq(0).mss(1320).wscale(8).sack_ok().ts(0, 0).win(65535));
    s.expect_state(TcpState::syn_sent);
    s.at(20ms).receives(syn_ack().seq(0).ack(1).mss(1320).wscale(3).sack_ok().ts(7, 0));
    s.sends(ack().seq(1).ack(1).ts(0, 7).win(1024));
    s.expect_state(TcpState::established);
    s.expect_silence_until(100s);
}

TEST(TcpConnect, GivesUpAfterSixRepetitions) {
    TcpScript s;
    s.at(0ms).connects();
    for (const Duration when : {0s, 1s, 3s, 7s, 15s, 31s, 63s})
        s.at(when).sends(syn().seq(0));
    s.expect_silence_until(122s);
    s.expect_state(TcpState::syn_sent);
    s.expect_silence_until(200s);
    s.expect_closed(CloseReason::timed_out);
}

TEST(TcpConnect, IsRefusedByAResetThatAcknowledgesItsSyn) {
    TcpScript s;
    s.at(0ms).connects();
    s.sends(syn().seq(0));
    s.at(10ms).receives(rst_ack().seq(0).ack(1));
    s.expect_closed(CloseReason::refused);
    s.expect_silence_until(100s);
}

TEST(TcpConnect, IgnoresAResetThatDoesNot) {  // RFC 9293, 3.10.7.3
    TcpScript s;
    s.at(0ms).connects();
    s.sends(syn().seq(0));
    s.at(10ms).receives(rst().seq(0));
    s.at(10ms).receives(rst_ack().seq(0).ack(2));
    s.expect_state(TcpState::syn_sent);
    s.at(20ms).receives(syn_ack().seq(0).ack(9));
    s.sends(rst().seq(9));
    s.expect_state(TcpState::syn_sent);
    s.at(30ms).receives(syn_ack().seq(0).ack(1));
    s.sends(ack().seq(1).ack(1));
    s.expect_state(TcpState::established);
}

TEST(TcpConnect, BothSidesAtOnceMakeOneConnection) {  // RFC 9293, figure 8
    TcpScript s;
    s.at(0ms).connects();
    s.sends(syn().seq(0));
    s.at(5ms).receives(syn().seq(0).mss(1320));
    s.sends(syn_ack().seq(0).ack(1));
    s.expect_state(TcpState::syn_received);
    s.at(10ms).receives(syn_ack().seq(0).ack(1).mss(1320));
    s.expect_state(TcpState::established);
    s.at(20ms).writes(5);
    s.sends(data(5).seq(1).ack(1));
}

TEST(TcpConnect, TakesItsPortsFromTheRangeAndAsksForEach) {
    std::vector<std::uint16_t> asked;
    StackOptions options;
    options.ephemeral_first = 50000;
    options.ephemeral_last = 50003;
    options.may_use_port = [&](packet::IpProtocol, std::uint16_t port) {
        asked.push_back(port);
        return port != 50001;
    };
    packet::PacketPool pool;
    Stack stack(std::move(options), pool, {});
    stack.set_addresses({Prefix{kLeftAddress, 24}});
    const TimePoint now{1h};
    std::set<std::uint16_t> used;
    for (int i = 0; i < 3; ++i) {
        const auto id = stack.tcp_connect({kRightAddress, 80}, now);
        ASSERT_TRUE(id);
        used.insert(stack.tcp_status(*id).flow.local_port);
    }
    EXPECT_EQ(used, (std::set<std::uint16_t>{50000, 50002, 50003}));
    EXPECT_TRUE(stack.tcp_connect({kRightAddress, 80}, now).error().is(Errc::in_use));
    // Another destination may use the same ports.
    EXPECT_TRUE(stack.tcp_connect({kRightAddress, 81}, now));
    EXPECT_FALSE(asked.empty());
}

TEST(TcpConnect, RefusesAddressesThatAreNotOfOneHost) {
    packet::PacketPool pool;
    Stack stack(StackOptions{}, pool, {});
    stack.set_addresses({Prefix{kLeftAddress, 24}});
    const TimePoint now{1h};
    for (const char* text : {"10.0.0.255:80", "255.255.255.255:80", "224.0.0.1:80", "10.0.0.2:0"}) {
        const auto id = stack.tcp_connect(*Endpoint::parse(text), now);
        ASSERT_FALSE(id) << text;
        EXPECT_TRUE(id.error().is(Errc::bad_argument)) << text;
    }
    EXPECT_TRUE(
        stack.tcp_connect(*Endpoint::parse("[fd00::1]:80"), now).error().is(Errc::unreachable)
    );
}

TEST(TcpIsn, DiffersByFlowAndGrowsWithTime) {  // RFC 6528
    const auto isn_of = [](std::uint16_t peer, Duration when) {
        TcpScript s{{.listen = 22}};
        s.at(when).receives_on(peer, syn().seq(0));
        s.skip_sent();
        return s.our_isn(peer);
    };
    EXPECT_NE(isn_of(1000, 0s), isn_of(1001, 0s));
    EXPECT_EQ(isn_of(1000, 4s) - isn_of(1000, 0s), 1'000'000u);
}

TEST(TcpIpv6, OpensAndCarriesData) {
    TcpScript s{{.listen = 22, .v6 = true}};
    s.at(0ms).receives(syn().seq(0).mss(1400));
    s.sends(syn_ack().seq(0).ack(1).mss(1300));
    s.at(1ms).receives(ack().seq(1).ack(1));
    s.expect_accepted(1);
    s.at(2ms).writes(2000);
    s.sends(data(1300).seq(1).ack(1));
    s.at(2ms).receives(ack().seq(1).ack(1301));
    s.sends(data(700).seq(1301).ack(1));
}

}  // namespace
}  // namespace selvage::netstack::testing
