// Data in both directions without loss: acknowledgements, windows, Nagle, probes, keep-alive.
#include "netstack/core/tcp_script_test_support.h"

namespace selvage::netstack::testing {
namespace {

// Past the first segments, which are acknowledged one by one; the peer's next byte is 17.
void use_up_quick_acks(TcpScript& s) {
    for (std::uint32_t i = 1; i <= 15; ++i) {
        s.receives(data(1).seq(i).ack(1));
        s.sends(ack().seq(1).ack(i + 1));
    }
    s.receives(data(1).seq(16).ack(1));
    s.expect_silence();
    s.reads(16);
    s.at(s.elapsed() + 40ms).sends(ack().seq(1).ack(17));
}

TEST(TcpReceive, AcknowledgesTheFirstSegmentsAtOnce) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.at(1ms).receives(data(100).seq(1).ack(1));
    s.sends(ack().seq(1).ack(101));
    s.reads(100);
    s.expect_silence_until(10s);
}

TEST(TcpReceive, DelaysTheAckOfOneSegmentAndAnswersTwoAtOnce) {  // RFC 9293, 3.8.6.3
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    use_up_quick_acks(s);
    s.at(1s).receives(data(100).seq(17).ack(1));
    s.at(1040ms).sends(ack().seq(1).ack(117));
    s.at(2s).receives(data(100).seq(117).ack(1));
    s.at(2010ms).receives(data(100).seq(217).ack(1));
    s.at(2010ms).sends(ack().seq(1).ack(317));
    s.reads(300);
    s.expect_silence_until(10s);
}

TEST(TcpReceive, SendsTheAckWithDataIfThereIsSome) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    use_up_quick_acks(s);
    s.at(1s).receives(data(100).seq(17).ack(1));
    s.at(1010ms).writes(5);
    s.sends(data(5).seq(1).ack(117));
    s.at(1020ms).receives(ack().seq(117).ack(6));
    s.expect_silence_until(10s);
}

TEST(TcpReceive, AnswersOneTrainWithOneAck) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    for (std::uint32_t i = 0; i < 10; ++i)
        s.receives_unpolled(data(1000).seq(1 + i * 1000).ack(1));
    s.poll();
    s.sends(ack().seq(1).ack(10'001));
    s.reads(10'000);
    s.expect_silence_until(10s);
}

TEST(TcpReceive, PutsSegmentsInOrderAndSaysWhichItHas) {  // RFC 2018, 4
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1320).sack_ok());
    s.at(1ms).receives(data(100).seq(201).ack(1));
    s.sends(ack().seq(1).ack(1).sack({{201, 301}}));
    s.at(2ms).receives(data(100).seq(401).ack(1));
    s.sends(ack().seq(1).ack(1).sack({{401, 501}, {201, 301}}));
    s.at(3ms).receives(data(100).seq(301).ack(1));
    s.sends(ack().seq(1).ack(1).sack({{201, 501}}));
    s.expect_readable(0);
    s.at(4ms).receives(data(200).seq(1).ack(1));
    s.sends(ack().seq(1).ack(501).no_sack());
    s.reads(500);
    s.expect_silence_until(10s);
}

TEST(TcpReceive, AcknowledgesEverySegmentBeyondAGapAtOnce) {  // RFC 5681, 4.2
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    for (std::uint32_t i = 0; i < 3; ++i)
        s.receives_unpolled(data(100).seq(201 + i * 100).ack(1));
    s.poll();
    for (int i = 0; i < 3; ++i)
        s.sends(ack().seq(1).ack(1).no_sack());
    s.at(10ms).receives(data(200).seq(1).ack(1));
    s.sends(ack().seq(1).ack(501));
    s.reads(500);
}

TEST(TcpReceive, AnswersWhatItAlreadyHas) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.at(1ms).receives(data(100).seq(1).ack(1));
    s.sends(ack().seq(1).ack(101));
    s.at(300ms).receives(data(100).seq(1).ack(1));
    s.sends(ack().seq(1).ack(101));
    s.at(301ms).receives(data(100).seq(51).ack(1));
    s.sends(ack().seq(1).ack(151));
    s.reads(150);
}

TEST(TcpReceive, IgnoresUrgency) {  // RFC 6093
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.at(1ms).receives(data(10).seq(1).ack(1).urgent());
    s.sends(ack().seq(1).ack(11));
    s.reads(10);
}

TEST(TcpReceive, ClosesTheWindowBeforeASlowReaderAndOpensItInSteps) {  // RFC 9293, 3.8.6.2.2
    StackOptions stack;
    stack.receive_buffer_first = stack.receive_buffer_max = 4000;
    TcpScript s{{.listen = 22, .stack = stack}};
    s.at(0ms).accepts_connection();
    std::uint32_t at = 1;
    for (; at <= 3001; at += 1000) {
        s.receives(data(1000).seq(at).ack(1));
        s.skip_sent();
    }
    s.at(10ms).receives(data(100).seq(at).ack(1));
    s.sends(ack().seq(1).ack(4001).win(0), "the probe brings nothing in");
    s.at(20ms).reads(500);
    s.expect_silence();
    s.reads(1000);
    s.sends(ack().seq(1).ack(4001).win(1500));
    s.at(30ms).receives(data(1000).seq(4001).ack(1));
    s.sends(ack().seq(1).ack(5001).win(500));
    s.reads(3500);
    s.sends(ack().seq(1).ack(5001).win(4000));
}

TEST(TcpReceive, GrowsItsWindowWithAFastReader) {
    StackOptions stack;
    stack.receive_buffer_first = 64 * 1024;
    TcpScript s{{.listen = 22, .stack = stack}};
    s.at(0ms).receives(syn().seq(0).mss(1320).wscale(7));
    s.sends(syn_ack().seq(0).ack(1));
    s.at(10ms).receives(ack().seq(1).ack(1).win(1000));
    s.expect_accepted(1);
    std::uint32_t at = 1;
    for (int round = 1; round <= 8; ++round) {
        s.at(10ms * (round + 1));
        for (int i = 0; i < 40; ++i, at += 1300) {
            s.receives(data(1300).seq(at).ack(1).win(1000));
            s.reads(1300);
            s.skip_sent();
        }
    }
    s.at(1s).skip_sent();
    s.receives(data(1300).seq(at).ack(1).win(1000));
    s.reads(1300);
    s.skip_sent();
    EXPECT_GT(s.last_window(), 128 * 1024 / 256);
}

TEST(TcpSend, HoldsSmallPiecesBackWhileOneIsUnderWay) {  // Nagle: RFC 9293, 3.7.4
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.at(1ms).writes(5);
    s.sends(data(5).seq(1).ack(1));
    s.at(2ms).writes(5);
    s.at(3ms).writes(5);
    s.expect_silence();
    s.at(20ms).receives(ack().seq(1).ack(6));
    s.sends(data(10).seq(6).ack(1));
    s.at(30ms).receives(ack().seq(1).ack(16));
    s.expect_silence_until(10s);
}

TEST(TcpSend, DoesNotHoldThemBackWithNoDelay) {
    TcpScript s{{.listen = 22, .listener = {.socket = {.no_delay = true}}}};
    s.at(0ms).accepts_connection();
    s.at(1ms).writes(5);
    s.sends(data(5).seq(1).ack(1));
    s.at(2ms).writes(6);
    s.sends(data(6).seq(6).ack(1));
}

TEST(TcpSend, CutsDataIntoSegmentsOfThePeersSize) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(500));
    s.at(1ms).writes(1200);
    s.sends(data(500).seq(1).ack(1));
    s.sends(data(500).seq(501).ack(1));
    s.expect_silence();  // Nagle keeps the rest
    s.at(2ms).receives(ack().seq(1).ack(1001));
    s.sends(data(200).seq(1001).ack(1));
}

TEST(TcpSend, MakesRoomForTimestamps) {  // RFC 6691
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(500).ts(9, 0));
    s.at(1ms).writes(488);
    s.sends(data(488).seq(1).ack(1).ts(0, 9));
}

TEST(TcpSend, AssumesASmallSegmentWithoutTheOption) {  // RFC 9293, 3.7.1
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn());
    s.at(1ms).writes(1072);
    s.sends(data(536).seq(1).ack(1));
    s.sends(data(536).seq(537).ack(1));
}

TEST(TcpSend, StartsWithTenSegments) {  // RFC 6928
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    s.at(1ms).writes(20'000);
    for (std::uint32_t i = 0; i < 10; ++i)
        s.sends(data(1000).seq(1 + i * 1000).ack(1));
    s.expect_silence();
    // Slow start: two more for each that arrived.
    s.at(20ms).receives(ack().seq(1).ack(2001));
    for (std::uint32_t i = 10; i < 14; ++i)
        s.sends(data(1000).seq(1 + i * 1000).ack(1));
    s.expect_silence();
}

TEST(TcpSend, StaysWithinThePeersWindow) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000).win(2500));
    s.at(1ms).writes(5000);
    s.sends(data(1000).seq(1).ack(1));
    s.sends(data(1000).seq(1001).ack(1));
    // 500 bytes would fit, but small pieces are not worth a segment while others are under way.
    s.expect_silence();
    s.at(5ms).receives(ack().seq(1).ack(2001).win(2500));
    s.sends(data(1000).seq(2001).ack(1));
    s.sends(data(1000).seq(3001).ack(1));
}

TEST(TcpSend, ProbesAClosedWindowAndGoesOnWhenItOpens) {  // RFC 9293, 3.8.6.1
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000).win(1000));
    s.at(0ms).writes(2000);
    s.sends(data(1000).seq(1).ack(1));
    s.at(0ms).receives(ack().seq(1).ack(1001).win(0));
    s.expect_silence();
    s.at(200ms).sends(ack().seq(1000).ack(1), "a byte that is already acknowledged");
    s.at(200ms).receives(ack().seq(1).ack(1001).win(0));
    s.at(600ms).sends(ack().seq(1000).ack(1));
    s.at(600ms).receives(ack().seq(1).ack(1001).win(0));
    s.expect_counted(&StackCounters::tcp_zero_window_probes, 2);
    s.at(1s).receives(ack().seq(1).ack(1001).win(1000));
    s.sends(data(1000).seq(1001).ack(1));
}

TEST(TcpSend, WaitsForeverForAPeerThatAnswersProbes) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000).win(1000));
    s.at(0ms).writes(2000);
    s.sends(data(1000).seq(1).ack(1));
    s.at(0ms).receives(ack().seq(1).ack(1001).win(0));
    for (int i = 0; i < 20; ++i) {
        s.run_until_sent(70s);
        s.sends(ack().seq(1000).ack(1));
        s.receives(ack().seq(1).ack(1001).win(0));
    }
    EXPECT_GT(s.elapsed(), 300s);
    s.expect_state(TcpState::established);
}

TEST(TcpSend, GivesUpAPeerThatDoesNot) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000).win(1000));
    s.at(0ms).writes(2000);
    s.sends(data(1000).seq(1).ack(1));
    s.at(0ms).receives(ack().seq(1).ack(1001).win(0));
    s.at(300s);
    EXPECT_GT(s.skip_sent(), 5u);
    s.expect_closed(CloseReason::timed_out);
}

TEST(TcpSend, UsesASmallWindowAfterATimeRatherThanWaitForALargeOne) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000).win(4000));
    s.at(0ms).writes(3000);
    for (std::uint32_t i = 0; i < 3; ++i)
        s.sends(data(1000).seq(1 + i * 1000).ack(1));
    s.at(0ms).receives(ack().seq(1).ack(3001).win(100));
    s.at(0ms).writes(1000);
    s.expect_silence();
    s.at(200ms).sends(data(100).seq(3001).ack(1));
}

TEST(TcpKeepAlive, ProbesASilentPeerAndEndsWithTimedOut) {
    TcpScript s{{.listen = 22, .listener = {}}};
    s.at(0ms).accepts_connection();
    s.at(30s).sends(ack().seq(0).ack(1));
    s.at(30s).receives(ack().seq(1).ack(1));
    s.at(60s).sends(ack().seq(0).ack(1));
    for (const Duration when : {70s, 80s, 90s})
        s.at(when).sends(ack().seq(0).ack(1));
    s.expect_silence_until(99s);
    s.expect_state(TcpState::established);
    s.expect_silence_until(200s);
    s.expect_closed(CloseReason::timed_out);
    s.expect_counted(&StackCounters::tcp_keep_alive_probes, 5);
}

TEST(TcpKeepAlive, IsAnsweredByUs) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.at(10s).receives(ack().seq(0).ack(1));
    s.sends(ack().seq(1).ack(1));
    s.at(20s).receives(data(1).seq(0).ack(1));
    s.sends(ack().seq(1).ack(1));
    s.expect_readable(0);
}

TEST(TcpKeepAlive, IsNotSentWhileThePeerTalks) {
    TcpScript s{{.listen = 22, .listener = {}}};
    s.at(0ms).accepts_connection();
    for (std::uint32_t i = 0; i < 5; ++i) {
        s.at(20s * (i + 1)).receives(data(1).seq(1 + i).ack(1));
        s.sends(ack().seq(1).ack(2 + i));
    }
    s.expect_counted(&StackCounters::tcp_keep_alive_probes, 0);
}

TEST(TcpSend, AWriterWaitsAtTheLimitOfItsBufferAndIsTold) {
    StackOptions stack;
    stack.send_buffer_first = stack.send_buffer_max = 10'000;
    TcpScript s{{.listen = 22, .stack = stack}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    s.writes(10'000);
    s.skip_sent();
    s.drain_events();
    EXPECT_EQ(s.stack().tcp_write(s.id(), Bytes(1)), 0u);
    s.at(10ms).receives(ack().seq(1).ack(4001));
    EXPECT_EQ(s.drain_events() & socket_event::kWritable, 0) << "little room is not worth an event";
    s.at(20ms).receives(ack().seq(1).ack(6001));
    EXPECT_NE(s.drain_events() & socket_event::kWritable, 0);
    EXPECT_EQ(s.status().writable_bytes, 6000u);
    s.skip_sent();
}

}  // namespace
}  // namespace selvage::netstack::testing
