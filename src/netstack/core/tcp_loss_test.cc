// What is sent again, and when: RFC 6298, RFC 5681, RFC 6582, RFC 2018, RFC 6675.
#include "netstack/core/tcp_script_test_support.h"

namespace selvage::netstack::testing {
namespace {

// `count` segments of 1000 bytes, written and sent at once.
void send_segments(TcpScript& s, std::uint32_t count, std::uint32_t first = 1) {
    s.writes(count * 1000);
    for (std::uint32_t i = 0; i < count; ++i)
        s.sends(data(1000).seq(first + i * 1000).ack(1));
    s.expect_silence();
}

// A connection with selective acknowledgements and a round trip of 10 ms, at 10 ms.
void accept_over_10ms(TcpScript& s, const Seg& peer = syn().mss(1000).sack_ok()) {
    s.at(0ms).receives(peer.seq(0));
    s.sends(syn_ack().seq(0).ack(1));
    const Seg last = ack().seq(1).ack(1);
    s.at(10ms).receives(peer.ts_ ? last.ts(peer.ts_->value, 0) : last);
    s.expect_accepted(1);
}

TEST(TcpTimeout, SendsTheFirstSegmentAgainAndDoublesTheWait) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    send_segments(s, 3);
    s.at(200ms).sends(data(1000).seq(1).ack(1));
    s.at(600ms).sends(data(1000).seq(1).ack(1));
    s.at(1400ms).sends(data(1000).seq(1).ack(1));
    s.expect_counted(&StackCounters::tcp_timeouts, 3);
    // The peer had the others: only the first was missing.
    s.at(1500ms).receives(ack().seq(1).ack(3001));
    s.expect_silence_until(60s);
}

TEST(TcpTimeout, GoesOnInSlowStartWithWhatElseIsMissing) {  // RFC 5681, 3.1
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    send_segments(s, 5);
    s.at(200ms).sends(data(1000).seq(1).ack(1));
    s.at(210ms).receives(ack().seq(1).ack(1001));
    s.sends(data(1000).seq(1001).ack(1));
    s.sends(data(1000).seq(2001).ack(1));
    s.at(220ms).receives(ack().seq(1).ack(3001));
    s.sends(data(1000).seq(3001).ack(1));
    s.sends(data(1000).seq(4001).ack(1));
    s.at(230ms).receives(ack().seq(1).ack(5001));
    s.expect_silence_until(60s);
}

TEST(TcpTimeout, GivesUpAfterTheUserTimeout) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    send_segments(s, 1);
    s.at(119s);
    EXPECT_EQ(s.skip_sent(), 9u);
    s.expect_state(TcpState::established);
    s.expect_silence_until(300s);
    s.expect_closed(CloseReason::timed_out);
}

TEST(TcpTimeout, MeasuresTheRoundTripAndWaitsLongerOnALongPath) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).receives(syn().seq(0).mss(1000));
    s.sends(syn_ack().seq(0).ack(1));
    s.at(400ms).receives(ack().seq(1).ack(1));
    s.expect_accepted(1);
    EXPECT_EQ(s.stack().tcp_connection(s.id())->smoothed_rtt(), 400ms);
    // First sample R: RTO = R + 4 * R / 2.
    send_segments(s, 1);
    s.expect_silence_until(1599ms);
    s.at(1600ms).sends(data(1000).seq(1).ack(1));
}

TEST(TcpTimeout, DoesNotMeasureWhatWasSentTwice) {  // Karn
    TcpScript s{{.listen = 22}};
    s.at(0ms).receives(syn().seq(0).mss(1000));
    s.sends(syn_ack().seq(0).ack(1));
    s.at(100ms).receives(ack().seq(1).ack(1));
    s.expect_accepted(1);
    send_segments(s, 1);
    s.at(400ms).sends(data(1000).seq(1).ack(1));
    s.at(401ms).receives(ack().seq(1).ack(1001));
    EXPECT_EQ(s.stack().tcp_connection(s.id())->smoothed_rtt(), 100ms);
}

TEST(TcpTimeout, MeasuresItAllTheSameWithTimestamps) {  // RFC 7323, 4.1
    TcpScript s{{.listen = 22}};
    s.at(0ms).receives(syn().seq(0).mss(1012).ts(1, 0));
    s.sends(syn_ack().seq(0).ack(1));
    s.at(100ms).receives(ack().seq(1).ack(1).ts(2, 0));
    s.expect_accepted(1);
    s.writes(1000);
    s.sends(data(1000).seq(1).ack(1));
    s.at(400ms).sends(data(1000).seq(1).ack(1));
    const std::uint32_t stamp = s.last_timestamp();
    s.at(500ms).receives(ack().seq(1).ack(1001).ts(3, stamp));
    EXPECT_EQ(s.stack().tcp_connection(s.id())->smoothed_rtt(), 100ms);
    s.writes(1000);
    s.sends(data(1000).seq(1001).ack(1));
    s.at(540ms).receives(ack().seq(1).ack(2001).ts(4, stamp));
    EXPECT_LT(s.stack().tcp_connection(s.id())->smoothed_rtt(), 100ms);
}

TEST(TcpFastRetransmit, TheThirdDuplicateAckSendsTheFirstSegmentAgain) {  // RFC 5681, 3.2
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    send_segments(s, 6);
    s.at(10ms).receives(ack().seq(1).ack(1));
    s.at(11ms).receives(ack().seq(1).ack(1));
    s.expect_silence();
    s.at(12ms).receives(ack().seq(1).ack(1));
    s.sends(data(1000).seq(1).ack(1));
    s.at(13ms).receives(ack().seq(1).ack(1));
    s.at(14ms).receives(ack().seq(1).ack(1));
    s.expect_silence();
    s.at(20ms).receives(ack().seq(1).ack(6001));
    // Half of the six segments that were under way.
    EXPECT_EQ(s.stack().tcp_connection(s.id())->congestion_window(), 3000u);
    s.expect_silence_until(60s);
    s.expect_counted(&StackCounters::tcp_timeouts, 0);
}

TEST(TcpFastRetransmit, TheFirstTwoDuplicatesSendSomethingNew) {  // RFC 3042
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    s.writes(20'000);
    for (std::uint32_t i = 0; i < 10; ++i)
        s.sends(data(1000).seq(1 + i * 1000).ack(1));
    s.at(10ms).receives(ack().seq(1).ack(1));
    s.sends(data(1000).seq(10'001).ack(1));
    s.at(11ms).receives(ack().seq(1).ack(1));
    s.sends(data(1000).seq(11'001).ack(1));
    s.at(12ms).receives(ack().seq(1).ack(1));
    s.sends(data(1000).seq(1).ack(1));
    s.expect_silence();
}

TEST(TcpFastRetransmit, APartialAckSendsTheNextMissingSegment) {  // RFC 6582, 3.2 step 3
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    send_segments(s, 8);
    for (int i = 0; i < 3; ++i)
        s.at(10ms).receives(ack().seq(1).ack(1));
    s.sends(data(1000).seq(1).ack(1));
    s.at(20ms).receives(ack().seq(1).ack(3001));
    s.sends(data(1000).seq(3001).ack(1));
    s.at(30ms).receives(ack().seq(1).ack(6001));
    s.sends(data(1000).seq(6001).ack(1));
    s.at(40ms).receives(ack().seq(1).ack(8001));
    s.expect_silence_until(60s);
    s.expect_counted(&StackCounters::tcp_fast_recoveries, 1);
    s.expect_counted(&StackCounters::tcp_timeouts, 0);
}

TEST(TcpFastRetransmit, AnAckWithDataOrANewWindowIsNoDuplicate) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    send_segments(s, 6);
    for (std::uint16_t i = 1; i <= 4; ++i)
        s.at(10ms).receives(ack().seq(1).ack(1).win(static_cast<std::uint16_t>(60'000 + i)));
    s.expect_silence();
    for (std::uint32_t i = 0; i < 4; ++i) {
        s.receives(data(1).seq(1 + i).ack(1).win(60'004));
        s.sends(ack().seq(6001).ack(2 + i));
    }
    s.expect_counted(&StackCounters::tcp_fast_recoveries, 0);
}

TEST(TcpFastRetransmit, DuplicatesOfOurOwnRepetitionsStartNothing) {  // RFC 6582, 3.2 step 2
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    send_segments(s, 4);
    s.at(200ms).sends(data(1000).seq(1).ack(1));
    for (int i = 0; i < 5; ++i)
        s.at(210ms).receives(ack().seq(1).ack(1));
    s.expect_silence();
    s.expect_counted(&StackCounters::tcp_fast_recoveries, 0);
}

TEST(TcpSack, SendsOnlyWhatIsMissing) {  // RFC 6675, RFC 8985 6.2
    TcpScript s{{.listen = 22}};
    accept_over_10ms(s);
    send_segments(s, 10);
    // 2 and 5 are missing.
    s.at(20ms).receives(ack().seq(1).ack(1001).sack({{2001, 3001}}));
    s.at(21ms).receives(ack().seq(1).ack(1001).sack({{2001, 4001}}));
    s.expect_silence();
    s.at(22ms).receives(ack().seq(1).ack(1001).sack({{5001, 6001}, {2001, 4001}}));
    s.sends(data(1000).seq(1001).ack(1));
    s.at(23ms).receives(ack().seq(1).ack(1001).sack({{5001, 8001}, {2001, 4001}}));
    s.sends(data(1000).seq(4001).ack(1));
    s.at(24ms).receives(ack().seq(1).ack(1001).sack({{5001, 10'001}, {2001, 4001}}));
    s.expect_silence();
    s.at(32ms).receives(ack().seq(1).ack(4001).sack({{5001, 10'001}}));
    s.at(33ms).receives(ack().seq(1).ack(10'001));
    s.expect_silence_until(60s);
    s.expect_counted(&StackCounters::tcp_retransmits, 2);
    s.expect_counted(&StackCounters::tcp_timeouts, 0);
}

TEST(TcpSack, APeerThatAgreedAndSendsNoneIsServedAsOneWithout) {
    TcpScript s{{.listen = 22}};
    accept_over_10ms(s);
    send_segments(s, 8);
    for (int i = 0; i < 3; ++i)
        s.at(20ms).receives(ack().seq(1).ack(1));
    s.sends(data(1000).seq(1).ack(1));
    s.at(30ms).receives(ack().seq(1).ack(3001));
    s.sends(data(1000).seq(3001).ack(1));
    s.at(40ms).receives(ack().seq(1).ack(8001));
    s.expect_silence_until(60s);
    s.expect_counted(&StackCounters::tcp_timeouts, 0);
}

TEST(TcpSack, ForgetsWhatThePeerHasThrownAway) {  // RFC 2018, 8
    TcpScript s{{.listen = 22}};
    accept_over_10ms(s);
    send_segments(s, 4);
    s.at(20ms).receives(ack().seq(1).ack(1).sack({{1001, 3001}}));
    // It acknowledges the first alone although it had said it held the next two.
    s.at(21ms).receives(ack().seq(1).ack(1001));
    s.run_until_sent(1s);
    s.sends(data(1000).seq(1001).ack(1));
    s.at(s.elapsed() + 10ms).receives(ack().seq(1).ack(2001));
    s.sends(data(1000).seq(2001).ack(1));
    s.sends(data(1000).seq(3001).ack(1));
}

TEST(TcpSack, IgnoresBlocksThatCannotBe) {
    TcpScript s{{.listen = 22}};
    accept_over_10ms(s);
    send_segments(s, 4);
    for (int i = 0; i < 5; ++i) {
        s.at(20ms).receives(
            ack().seq(1).ack(1).sack({{9001, 10'001}, {3001, 2001}, {4'000'000'000U, 2}})
        );
    }
    s.expect_silence();
    s.expect_counted(&StackCounters::tcp_fast_recoveries, 0);
}

TEST(TcpRack, WaitsForAQuarterOfTheRoundTripBeforeItCallsOneLost) {  // RFC 8985, 6.2 step 4
    TcpScript s{{.listen = 22}};
    accept_over_10ms(s);
    send_segments(s, 4);
    // One segment has overtaken the first, or the first is lost: too few to tell.
    s.at(20ms).receives(ack().seq(1).ack(1).sack({{1001, 2001}}));
    s.expect_silence_until(22ms);
    s.at(22'500us).sends(data(1000).seq(1).ack(1));
    s.at(30ms).receives(ack().seq(1).ack(4001));
    s.expect_silence_until(60s);
    s.expect_counted(&StackCounters::tcp_timeouts, 0);
}

TEST(TcpRack, DoesNotSendAgainWhatOnlyCameLate) {  // RFC 8985, 6.2 step 4
    TcpScript s{{.listen = 22}};
    accept_over_10ms(s);
    send_segments(s, 4);
    s.at(20ms).receives(ack().seq(1).ack(1).sack({{1001, 2001}}));
    s.at(21ms).receives(ack().seq(1).ack(2001));
    s.at(22ms).receives(ack().seq(1).ack(4001));
    s.expect_silence_until(60s);
    s.expect_counted(&StackCounters::tcp_retransmits, 0);
}

TEST(TcpRack, NoticesThatARepetitionWasLost) {  // RFC 8985, 3.1
    TcpScript s{{.listen = 22}};
    accept_over_10ms(s);
    send_segments(s, 6);
    s.at(20ms).receives(ack().seq(1).ack(1).sack({{1001, 4001}}));
    s.sends(data(1000).seq(1).ack(1));
    s.writes(2000);
    s.at(21ms).receives(ack().seq(1).ack(1).sack({{1001, 6001}}));
    s.sends(data(1000).seq(6001).ack(1));
    s.sends(data(1000).seq(7001).ack(1));
    // What was sent after the repetition has arrived, and it has not.
    s.at(31ms).receives(ack().seq(1).ack(1).sack({{1001, 8001}}));
    s.sends(data(1000).seq(1).ack(1));
    s.at(41ms).receives(ack().seq(1).ack(8001));
    s.expect_silence_until(60s);
    s.expect_counted(&StackCounters::tcp_timeouts, 0);
}

TEST(TcpRack, ALostRepetitionOfTheLastIsRepeatedAfterATimeout) {
    TcpScript s{{.listen = 22}};
    accept_over_10ms(s);
    send_segments(s, 5);
    s.at(20ms).receives(ack().seq(1).ack(1).sack({{1001, 5001}}));
    s.sends(data(1000).seq(1).ack(1));
    s.at(230ms).sends(data(1000).seq(1).ack(1));
    s.at(240ms).receives(ack().seq(1).ack(5001));
    s.expect_silence_until(60s);
}

TEST(TcpTailProbe, SendsTheLastSegmentAgainAfterTwoRoundTrips) {  // RFC 8985, 7.3
    TcpScript s{{.listen = 22}};
    accept_over_10ms(s);
    send_segments(s, 3);
    s.expect_silence_until(29ms);
    s.at(30ms).sends(data(1000).seq(2001).ack(1));
    s.expect_counted(&StackCounters::tcp_tail_probes, 1);
    // The answer shows that the second is missing, without a timeout.
    s.at(40ms).receives(ack().seq(1).ack(1001).sack({{2001, 3001}}));
    s.sends(data(1000).seq(1001).ack(1));
    s.at(50ms).receives(ack().seq(1).ack(3001));
    s.expect_silence_until(60s);
    s.expect_counted(&StackCounters::tcp_timeouts, 0);
}

TEST(TcpTailProbe, SendsSomethingNewIfThereIsSome) {  // RFC 8985, 7.3
    TcpScript s{{.listen = 22}};
    accept_over_10ms(s);
    s.writes(11'000);
    for (std::uint32_t i = 0; i < 10; ++i)
        s.sends(data(1000).seq(1 + i * 1000).ack(1));
    s.at(30ms).sends(data(1000).seq(10'001).ack(1));
    s.at(40ms).receives(ack().seq(1).ack(11'001));
    s.expect_silence_until(60s);
    s.expect_counted(&StackCounters::tcp_retransmits, 0);
}

TEST(TcpTailProbe, IsSentOnce) {  // RFC 8985, 7.3
    TcpScript s{{.listen = 22}};
    accept_over_10ms(s);
    send_segments(s, 3);
    s.at(30ms).sends(data(1000).seq(2001).ack(1));
    // And then the timeout, measured from the probe.
    s.expect_silence_until(239ms);
    s.at(240ms).sends(data(1000).seq(1).ack(1));
    s.at(250ms).receives(ack().seq(1).ack(3001));
}

TEST(TcpTailProbe, ThatRepairedALossSlowsDown) {  // RFC 8985, 7.4.2
    TcpScript s{{.listen = 22}};
    accept_over_10ms(s);
    send_segments(s, 3);
    s.at(20ms).receives(ack().seq(1).ack(2001));
    s.at(240ms).skip_sent();  // 2 * 10 ms, and 200 ms because one segment is answered late
    s.expect_counted(&StackCounters::tcp_tail_probes, 1);
    s.at(250ms).receives(ack().seq(1).ack(3001));
    s.writes(1000);
    s.sends(data(1000).seq(3001).ack(1));
    s.at(260ms).receives(ack().seq(1).ack(4001));
    EXPECT_LT(s.stack().tcp_connection(s.id())->congestion_window(), 10'000u);
}

TEST(TcpTailProbe, ThatWasNeedlessChangesNothing) {  // RFC 8985, 7.4.2
    TcpScript s{{.listen = 22}};
    accept_over_10ms(s);
    send_segments(s, 3);
    s.at(30ms).sends(data(1000).seq(2001).ack(1));
    s.at(35ms).receives(ack().seq(1).ack(3001));
    s.at(40ms).receives(ack().seq(1).ack(3001).sack({{2001, 3001}}));
    s.writes(1000);
    s.sends(data(1000).seq(3001).ack(1));
    s.at(50ms).receives(ack().seq(1).ack(4001));
    EXPECT_GE(s.stack().tcp_connection(s.id())->congestion_window(), 10'000u);
}

TEST(TcpUndo, ATimeoutThatWasTooEarlyIsTakenBack) {  // RFC 3522, RFC 4015
    TcpScript s{{.listen = 22}};
    accept_over_10ms(s, syn().mss(1012).sack_ok().ts(1, 0));
    send_segments(s, 6);
    const std::uint32_t stamp = s.last_timestamp();
    s.at(30ms).sends(data(1000).seq(5001).ack(1));
    s.at(240ms).sends(data(1000).seq(1).ack(1));
    // The path had only stopped for a while: the answer is to the first copy.
    s.at(250ms).receives(ack().seq(1).ack(1001).ts(2, stamp));
    s.expect_silence();
    s.at(251ms).receives(ack().seq(1).ack(6001).ts(3, stamp));
    EXPECT_GT(s.stack().tcp_connection(s.id())->congestion_window(), 10'000u);
    s.expect_silence_until(60s);
    s.expect_counted(&StackCounters::tcp_spurious_losses, 1);
    s.expect_counted(&StackCounters::tcp_retransmits, 2);
}

TEST(TcpUndo, ALossThatWasReorderingIsTakenBack) {  // RFC 2883, RFC 3708
    TcpScript s{{.listen = 22}};
    accept_over_10ms(s);
    send_segments(s, 6);
    s.at(20ms).receives(ack().seq(1).ack(1).sack({{1001, 4001}}));
    s.sends(data(1000).seq(1).ack(1));
    s.at(21ms).receives(ack().seq(1).ack(6001));
    s.at(30ms).receives(ack().seq(1).ack(6001).sack({{1, 1001}}));
    s.expect_counted(&StackCounters::tcp_spurious_losses, 1);
    EXPECT_EQ(s.stack().tcp_connection(s.id())->congestion_window(), 10'000u);
    s.expect_silence_until(60s);
}

TEST(TcpCongestion, GrowsByOneSegmentARoundAfterALoss) {  // RFC 5681, 3.1
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    send_segments(s, 8);
    for (int i = 0; i < 3; ++i)
        s.at(10ms).receives(ack().seq(1).ack(1));
    s.sends(data(1000).seq(1).ack(1));
    s.at(20ms).receives(ack().seq(1).ack(8001));
    const auto window = [&] { return s.stack().tcp_connection(s.id())->congestion_window(); };
    EXPECT_EQ(window(), 4000u);
    s.writes(9000);
    for (std::uint32_t i = 0; i < 4; ++i)
        s.sends(data(1000).seq(8001 + i * 1000).ack(1));
    s.expect_silence();
    s.at(30ms).receives(ack().seq(1).ack(12'001));
    EXPECT_EQ(window(), 5000u);
    for (std::uint32_t i = 0; i < 5; ++i)
        s.sends(data(1000).seq(12'001 + i * 1000).ack(1));
    s.expect_silence();
}

TEST(TcpCongestion, DoesNotGrowWithoutNeed) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    for (std::uint32_t i = 0; i < 50; ++i) {
        s.at(10ms * (i + 1)).writes(1000);
        s.sends(data(1000).seq(1 + i * 1000).ack(1));
        s.receives(ack().seq(1).ack(1001 + i * 1000));
    }
    EXPECT_EQ(s.stack().tcp_connection(s.id())->congestion_window(), 10'000u);
}

}  // namespace
}  // namespace selvage::netstack::testing
