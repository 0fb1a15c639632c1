// How connections end: RFC 9293, sections 3.6 and 3.10.4 to 3.10.7; RFC 1337; RFC 6191.
#include "netstack/core/tcp_script_test_support.h"

namespace selvage::netstack::testing {
namespace {

TEST(TcpClose, WeFinishFirstAndWaitOutTheQuietTime) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.at(1s).shuts_down();
    s.sends(fin().seq(1).ack(1));
    s.expect_state(TcpState::fin_wait_1);
    s.at(1010ms).receives(ack().seq(1).ack(2));
    s.expect_state(TcpState::fin_wait_2);
    // The other direction is still open.
    s.at(2s).receives(data(10).seq(1).ack(2));
    s.sends(ack().seq(2).ack(11));
    s.reads(10);
    s.at(3s).receives(fin().seq(11).ack(2));
    s.sends(ack().seq(2).ack(12));
    s.expect_state(TcpState::time_wait);
    s.releases();
    s.expect_silence_until(62s);
    EXPECT_EQ(s.stack().tcp_connection_count(), 1u);
    s.expect_silence_until(64s);
    EXPECT_EQ(s.stack().tcp_connection_count(), 0u);
}

TEST(TcpClose, ThePeerFinishesFirstAndWeGoOnSending) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.at(1s).receives(fin().seq(1).ack(1));
    s.sends(ack().seq(1).ack(2));
    s.expect_state(TcpState::close_wait);
    EXPECT_TRUE(s.status().read_finished);
    s.at(2s).writes(10);
    s.sends(data(10).seq(1).ack(2));
    s.at(2010ms).receives(ack().seq(2).ack(11));
    s.at(3s).shuts_down();
    s.sends(fin().seq(11).ack(2));
    s.expect_state(TcpState::last_ack);
    s.at(3010ms).receives(ack().seq(2).ack(12));
    s.expect_closed(CloseReason::finished);
    s.releases();
    EXPECT_EQ(s.stack().tcp_connection_count(), 0u);
    s.expect_silence_until(100s);
}

TEST(TcpClose, BothSidesFinishAtOnce) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.at(1s).shuts_down();
    s.sends(fin().seq(1).ack(1));
    s.at(1005ms).receives(fin().seq(1).ack(1));
    s.sends(ack().seq(2).ack(2));
    s.expect_state(TcpState::closing);
    s.at(1010ms).receives(ack().seq(2).ack(2));
    s.expect_state(TcpState::time_wait);
}

TEST(TcpClose, SendsTheFinWithTheLastData) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.writes(0);
    s.writes_unpolled(100);
    s.shuts_down();
    s.sends(fin().seq(1).len(100).ack(1));
    s.at(10ms).receives(fin().seq(1).ack(102));
    s.sends(ack().seq(102).ack(2));
    s.expect_state(TcpState::time_wait);
}

TEST(TcpClose, RepeatsItsFinUntilAcknowledged) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.at(1s).shuts_down();
    s.sends(fin().seq(1).ack(1));
    s.at(1200ms).sends(fin().seq(1).ack(1));
    s.at(1600ms).sends(fin().seq(1).ack(1));
    s.at(1700ms).receives(ack().seq(1).ack(2));
    s.expect_state(TcpState::fin_wait_2);
    s.expect_silence_until(10s);
}

TEST(TcpClose, TakesAFinThatArrivesBeforeItsData) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.at(1ms).receives(fin().seq(101).len(0).ack(1));
    s.sends(ack().seq(1).ack(1));
    s.expect_state(TcpState::established);
    s.at(2ms).receives(data(100).seq(1).ack(1));
    s.sends(ack().seq(1).ack(102));
    s.expect_state(TcpState::close_wait);
    s.reads(100);
    EXPECT_TRUE(s.status().read_finished);
}

TEST(TcpClose, IgnoresDataBehindTheEndOfTheStream) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.at(1ms).receives(fin().seq(101).ack(1));
    s.sends(ack().seq(1).ack(1));
    s.at(2ms).receives(data(100).seq(101).ack(1));
    s.at(3ms).receives(data(100).seq(1).ack(1));
    s.sends(ack().seq(1).ack(102));
    s.reads(100);
    s.expect_readable(0);
}

TEST(TcpClose, AcknowledgesARepeatedFinInTimeWaitAndStartsTheQuietTimeAgain) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.shuts_down();
    s.sends(fin().seq(1).ack(1));
    s.at(10ms).receives(fin().seq(1).ack(2));
    s.sends(ack().seq(2).ack(2));
    s.releases();
    s.at(31s).receives(fin().seq(1).ack(2));
    s.sends(ack().seq(2).ack(2));
    s.expect_silence_until(90s);
    EXPECT_EQ(s.stack().tcp_connection_count(), 1u);
    s.expect_silence_until(92s);
    EXPECT_EQ(s.stack().tcp_connection_count(), 0u);
}

TEST(TcpClose, AResetDoesNotEndTimeWait) {  // RFC 1337
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.shuts_down();
    s.sends(fin().seq(1).ack(1));
    s.at(10ms).receives(fin().seq(1).ack(2));
    s.sends(ack().seq(2).ack(2));
    s.at(2s).receives(rst().seq(2));
    s.expect_state(TcpState::time_wait);
}

TEST(TcpClose, ANewSynMayReplaceAConnectionInTimeWait) {  // RFC 9293, 3.10.7.4; RFC 6191
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.shuts_down();
    s.sends(fin().seq(1).ack(1));
    s.at(10ms).receives(fin().seq(1).ack(2));
    s.sends(ack().seq(2).ack(2));
    s.releases();
    // Not with a number that the old connection has used.
    s.at(2s).receives(syn().seq(0).mss(1320));
    s.sends(ack().seq(2).ack(2));
    s.at(3s).receives(syn().seq(1000).mss(1320));
    s.sends(syn_ack().seq(0).ack(1001));
    s.expect_counted(&StackCounters::tcp_time_wait_reused, 1);
    EXPECT_EQ(s.stack().tcp_connection_count(), 1u);
}

TEST(TcpClose, TheOldestLeavesTimeWaitWhenThereAreTooMany) {
    StackOptions stack;
    stack.time_wait_max = 2;
    TcpScript s{{.listen = 22, .stack = stack}};
    for (std::uint16_t port = 1; port <= 3; ++port) {
        s.at(port * 1s).receives_on(port, syn().seq(0).mss(1320));
        s.sends(syn_ack().seq(0).ack(1));
        s.receives_on(port, ack().seq(1).ack(1));
        s.expect_accepted(1);
        s.shuts_down();
        s.sends(fin().seq(1).ack(1));
        s.receives_on(port, fin().seq(1).ack(2));
        s.sends(ack().seq(2).ack(2));
        s.releases();
    }
    s.expect_counted(&StackCounters::tcp_time_wait_evicted, 1);
    EXPECT_EQ(s.stack().tcp_connection_count(), 2u);
}

TEST(TcpAbort, SendsAResetThatThePeerBelieves) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.at(1s).aborts();
    s.sends(rst_ack().seq(1).ack(1));
    s.expect_closed(CloseReason::aborted);
    s.expect_silence_until(100s);
}

TEST(TcpAbort, SaysNothingBeforeThereIsAnAnswer) {
    TcpScript s;
    s.at(0ms).connects();
    s.sends(syn().seq(0));
    s.aborts();
    s.expect_closed(CloseReason::aborted);
    s.expect_silence_until(100s);
    s.at(101s).receives(syn_ack().seq(0).ack(1));
    s.sends(rst().seq(1));
}

TEST(TcpRelease, WithoutShutdownDeliversWhatWasWrittenAndThenTheEnd) {  // RFC 9293, 3.6
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    s.writes(2);
    s.sends(data(2).seq(1).ack(1));
    s.releases();
    s.sends(fin().seq(3).ack(1));
    // The answer was lost: it goes again, although nobody holds the connection any more.
    s.run_until_sent(1s);
    s.sends(fin().seq(1).len(2).ack(1));
    s.receives(fin().seq(1).ack(4));
    s.sends(ack().seq(4).ack(2));
    EXPECT_EQ(s.stack().counters().tcp_resets_out, 0u);
}

TEST(TcpRelease, WithUnreadDataIsAReset) {  // RFC 2525, section 2.17
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.receives(data(10).seq(1).ack(1));
    s.sends(ack().seq(1).ack(11));
    s.releases();
    s.sends(rst_ack().seq(1).ack(11));
    EXPECT_EQ(s.stack().tcp_connection_count(), 0u);
}

TEST(TcpRelease, WithUnreadDataBehindAGapIsAReset) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.receives(data(10).seq(11).ack(1));
    s.sends(ack().seq(1).ack(1));
    s.releases();
    s.sends(rst_ack().seq(1).ack(1));
    EXPECT_EQ(s.stack().tcp_connection_count(), 0u);
}

TEST(TcpRelease, DataThatComesWhenOnlyOurFinIsUnderWayIsReset) {  // RFC 9293, 3.10.7.4
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.releases();
    s.sends(fin().seq(1).ack(1));
    s.at(10ms).receives(data(10).seq(1).ack(1));
    s.sends(rst().seq(1));
    EXPECT_EQ(s.stack().tcp_connection_count(), 0u);
}

TEST(TcpReset, CarriesTimestampsWhereTheConnectionDoes) {  // RFC 7323, section 3.2
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000).ts(70, 0));
    s.aborts();
    s.sends(rst_ack().seq(1).ack(1).ts(0, 70));
}

TEST(TcpRelease, AfterShutdownStillDeliversWhatWasWritten) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000).win(1000));
    s.writes(2000);
    s.shuts_down();
    s.releases();
    s.sends(data(1000).seq(1).ack(1));
    // The peer had more to say; it is acknowledged and thrown away.
    s.at(5ms).receives(data(100).seq(1).ack(1).win(1000));
    s.sends(ack().seq(1001).ack(101));
    s.at(10ms).receives(ack().seq(101).ack(1001).win(2000));
    s.sends(fin().seq(1001).len(1000).ack(101));
    s.at(20ms).receives(ack().seq(101).ack(2002));
    // Now it has everything, and goes on talking to nobody: it should know.
    s.at(30ms).receives(data(100).seq(101).ack(2002));
    s.sends(rst().seq(2002));
    EXPECT_EQ(s.stack().tcp_connection_count(), 0u);
}

TEST(TcpRelease, APeerThatNeverFinishesIsForgotten) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.shuts_down();
    s.sends(fin().seq(1).ack(1));
    s.at(10ms).receives(ack().seq(1).ack(2));
    s.releases();
    s.expect_silence_until(59s);
    EXPECT_EQ(s.stack().tcp_connection_count(), 1u);
    s.expect_silence_until(61s);
    EXPECT_EQ(s.stack().tcp_connection_count(), 0u);
}

TEST(TcpRelease, APeerThatOnlyPromisesToReadIsForgottenToo) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000).win(0));
    s.writes(2000);
    s.shuts_down();
    s.releases();
    for (int i = 0; i < 20 && s.stack().tcp_connection_count() > 0; ++i) {
        s.run_until_sent(61s);
        if (s.skip_sent() > 0) s.receives(ack().seq(1).ack(1).win(0));
    }
    EXPECT_EQ(s.stack().tcp_connection_count(), 0u);
    EXPECT_LE(s.elapsed(), 122s);
}

TEST(TcpReset, EndsTheConnectionAndKeepsWhatWasReceived) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.at(1ms).receives(data(10).seq(1).ack(1));
    s.sends(ack().seq(1).ack(11));
    s.at(2ms).receives(rst().seq(11));
    s.expect_closed(CloseReason::reset);
    s.reads(10);
    EXPECT_TRUE(s.status().read_finished);
    EXPECT_FALSE(s.status().peer_finished);
    s.expect_silence_until(100s);
}

TEST(TcpAddress, GoneEndsItsConnections) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.stack().set_addresses({Prefix{IpAddress::v4(10, 0, 0, 77), 24}});
    s.expect_closed(CloseReason::unreachable);
    s.expect_silence_until(100s);
}

}  // namespace
}  // namespace selvage::netstack::testing
