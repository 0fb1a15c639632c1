// Segments that nobody who sees the flow would send, and floods: RFC 5961, RFC 7323, the limits.
#include "netstack/core/tcp_script_test_support.h"

namespace selvage::netstack::testing {
namespace {

TEST(TcpBlindReset, WithinTheWindowIsChallengedAndOutsideIgnored) {  // RFC 5961, 3
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.at(1s).receives(rst().seq(2));
    s.sends(ack().seq(1).ack(1));
    s.at(2s).receives(rst().seq(70'000));
    s.at(3s).receives(rst().seq(0));
    s.expect_silence();
    s.expect_state(TcpState::established);
    s.expect_counted(&StackCounters::tcp_challenge_acks, 1);
    // The real peer answers the challenge with a reset that fits.
    s.at(4s).receives(rst().seq(1));
    s.expect_closed(CloseReason::reset);
}

TEST(TcpBlindSyn, IsChallengedInsteadOfBelieved) {  // RFC 5961, 4
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.at(1s).receives(syn().seq(100));
    s.sends(ack().seq(1).ack(1));
    s.expect_state(TcpState::established);
}

TEST(TcpBlindData, WithAnImpossibleAckIsDropped) {  // RFC 5961, 5
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.at(1s).receives(data(10).seq(1).ack(1000));
    s.sends(ack().seq(1).ack(1));
    s.at(2s).receives(data(10).seq(1).ack(0 - 100'000u));
    s.sends(ack().seq(1).ack(1));
    s.expect_readable(0);
    s.expect_counted(&StackCounters::tcp_challenge_acks, 2);
}

TEST(TcpChallenge, IsLimitedPerConnection) {  // RFC 5961, 7
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    for (int i = 0; i < 30; ++i)
        s.at(1s).receives(rst().seq(2)), s.skip_sent();
    s.expect_counted(&StackCounters::tcp_challenge_acks, 10);
    s.expect_counted(&StackCounters::tcp_challenge_limited, 20);
    s.at(2s).receives(rst().seq(2));
    s.sends(ack().seq(1).ack(1));
}

TEST(TcpOutOfWindow, DataIsAnsweredAndNotTaken) {  // RFC 9293, 3.10.7.4
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    s.at(1s).receives(data(10).seq(70'000).ack(1));
    s.sends(ack().seq(1).ack(1));
    s.expect_readable(0);
    s.expect_counted(&StackCounters::tcp_out_of_window, 1);
}

TEST(TcpOutOfWindow, TwoConfusedEndsDoNotAnswerEachOtherForEver) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    std::size_t answers = 0;
    for (int i = 0; i < 100; ++i) {
        s.at(1s).receives(ack().seq(70'000).ack(1));
        answers += s.skip_sent();
    }
    EXPECT_EQ(answers, 10u);
}

TEST(TcpTimestamps, DropASegmentOfAnEarlierRound) {  // PAWS: RFC 7323, 5
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1320).ts(1000, 0));
    s.at(1ms).receives(data(10).seq(1).ack(1).ts(1005, 0));
    s.sends(ack().seq(1).ack(11).ts(0, 1005));
    s.at(2ms).receives(data(10).seq(11).ack(1).ts(900, 0));
    s.sends(ack().seq(1).ack(11).ts(0, 1005));
    s.expect_readable(10);
    s.expect_counted(&StackCounters::tcp_paws, 1);
    s.at(3ms).receives(data(10).seq(11).ack(1));
    s.expect_silence();
    s.expect_counted(&StackCounters::tcp_paws, 2);
    // A reset needs none.
    s.at(4ms).receives(rst().seq(11));
    s.expect_closed(CloseReason::reset);
}

TEST(TcpTimestamps, ASegmentOutsideTheWindowDoesNotSetTheEcho) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1320).ts(1000, 0));
    s.at(1ms).receives(data(10).seq(0 - 500u).ack(1).ts(0x7000'0000, 0));
    s.skip_sent();
    s.at(2ms).receives(data(10).seq(1).ack(1).ts(1001, 0));
    s.sends(ack().seq(1).ack(11).ts(0, 1001));
}

TEST(TcpTimestamps, AnEchoIsThatOfTheOldestUnacknowledgedSegment) {  // RFC 7323, 4.2
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1320).ts(1000, 0));
    s.at(1ms).receives_unpolled(data(10).seq(1).ack(1).ts(1001, 0));
    s.receives_unpolled(data(10).seq(11).ack(1).ts(1002, 0));
    s.poll();
    s.sends(ack().seq(1).ack(21).ts(0, 1001));
}

TEST(TcpUnreachable, EndsADialButNotAConversation) {  // RFC 5927, 5.2
    TcpScript s;
    s.at(0ms).connects();
    s.sends(syn().seq(0));
    s.receives_unreachable(1, 77);
    s.expect_state(TcpState::syn_sent);
    s.expect_counted(&StackCounters::icmp_errors_invalid, 1);
    s.receives_unreachable(1, 0);
    s.expect_closed(CloseReason::unreachable);

    TcpScript port;
    port.at(0ms).connects();
    port.sends(syn().seq(0));
    port.receives_unreachable(3, 0);
    port.expect_closed(CloseReason::refused);

    TcpScript open;
    open.at(0ms).opens_connection();
    open.writes(10);
    open.sends(data(10).seq(1).ack(1));
    open.receives_unreachable(1, 1);
    open.expect_state(TcpState::established);
    open.expect_counted(&StackCounters::icmp_errors_in, 1);
}

TEST(TcpFlood, OfSynsLeavesAnEstablishedStreamUndisturbed) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    for (int i = 0; i < 20'000; ++i)
        s.receives_on(static_cast<std::uint16_t>(1 + i % 39'000), syn().seq(5)), s.skip_sent();
    EXPECT_LE(s.stack().tcp_connection_count(), 129u);
    EXPECT_EQ(s.stack().buffer_bytes(), 0u);
    s.at(1ms).skip_sent();
    s.receives(data(100).seq(1).ack(1));
    s.sends(ack().seq(1).ack(101));
    s.reads(100);
    s.writes(50);
    s.sends(data(50).seq(1).ack(101));
    s.receives(ack().seq(101).ack(51));
    s.at(200s).skip_sent();
    EXPECT_EQ(s.stack().tcp_connection_count(), 1u);
}

TEST(TcpFlood, OfOneRemoteAddressStopsAtItsShare) {
    StackOptions stack;
    stack.connections_per_remote_max = 3;
    TcpScript s{{.listen = 22, .stack = stack}};
    for (std::uint16_t port = 1; port <= 5; ++port)
        s.at(0ms).receives_on(port, syn().seq(0)), s.skip_sent();
    EXPECT_EQ(s.stack().tcp_connection_count(), 3u);
    s.expect_counted(&StackCounters::tcp_per_remote_full, 2);
}

TEST(TcpFlood, StopsAtTheTableAndTakesPlacesFromTimeWait) {
    StackOptions stack;
    stack.connections_max = 2;
    TcpScript s{{.listen = 22, .stack = stack}};
    s.at(0ms).accepts_connection();
    s.shuts_down();
    s.sends(fin().seq(1).ack(1));
    s.receives(fin().seq(1).ack(2));
    s.sends(ack().seq(2).ack(2));
    s.releases();
    for (std::uint16_t port = 1; port <= 3; ++port)
        s.at(1ms).receives_on(port, syn().seq(0)), s.skip_sent();
    EXPECT_EQ(s.stack().tcp_connection_count(), 2u);
    s.expect_counted(&StackCounters::tcp_time_wait_evicted, 1);
    s.expect_counted(&StackCounters::tcp_table_full, 1);
}

TEST(TcpFlood, OfResetsIsLimited) {
    StackOptions stack;
    stack.resets_per_second = 5;
    TcpScript s{{.listen = 22, .stack = stack}};
    std::size_t answers = 0;
    for (int i = 0; i < 50; ++i) {
        s.at(0ms).receives(ack().seq(5).ack(7));
        answers += s.skip_sent();
    }
    EXPECT_EQ(answers, 5u);
    s.expect_counted(&StackCounters::tcp_reset_rate_limited, 45);
}

TEST(TcpFlood, OfGapsIsBounded) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection();
    for (std::uint32_t i = 0; i < 1000; ++i) {
        s.receives(data(1).seq(3 + i * 2).ack(1));
        s.skip_sent();
    }
    EXPECT_GT(s.stack().counters().tcp_out_of_order_full, 800u);
    // What was kept is good all the same.
    s.at(1s).receives(data(1).seq(1).ack(1));
    s.sends(ack().seq(1).ack(2));
    s.receives(data(1).seq(2).ack(1));
    s.sends(ack().seq(1).ack(4));
    s.reads(3);
}

TEST(TcpMemory, ReceivedDataIsDroppedWhenThereIsNoneAndTakenLater) {
    StackOptions stack;
    stack.buffer_bytes_max = 2 * ChunkPool::kChunkBytes;
    TcpScript s{{.listen = 22, .stack = stack}};
    s.at(0ms).accepts_connection();
    std::uint32_t at = 1;
    for (; at + 1000 <= 16'001; at += 1000)
        s.receives(data(1000).seq(at).ack(1)), s.skip_sent();
    s.receives(data(1000).seq(at).ack(1));
    s.expect_counted(&StackCounters::tcp_no_memory, 1);
    s.skip_sent();
    s.at(1s).reads(16'000);
    s.skip_sent();
    s.receives(data(1000).seq(at).ack(1));
    s.at(1040ms).sends(ack().seq(1).ack(at + 1000));
    s.reads(1000);
}

TEST(TcpMemory, AWriterThatFoundNoneIsToldWhenThereIsSome) {
    StackOptions stack;
    stack.buffer_bytes_max = ChunkPool::kChunkBytes;
    TcpScript s{{.listen = 22, .stack = stack}};
    s.at(0ms).accepts_connection();
    s.receives(data(1000).seq(1).ack(1));
    s.skip_sent();
    s.drain_events();
    EXPECT_EQ(s.stack().tcp_write(s.id(), Bytes(10)), 0u);
    s.poll();
    EXPECT_EQ(s.drain_events() & socket_event::kWritable, 0);
    s.reads(1000);
    EXPECT_NE(s.drain_events() & socket_event::kWritable, 0);
    s.writes(10);
    s.sends(data(10).seq(1).ack(1001));
}

TEST(TcpPool, WithoutPacketsTheStackWaitsAndGoesOnLater) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    std::vector<packet::PacketBuf> taken;
    while (auto packet = s.pool().take())
        taken.push_back(std::move(packet));
    s.writes(1000);
    s.expect_silence_until(100ms);
    EXPECT_GT(s.stack().counters().no_buffer, 0u);
    taken.clear();
    s.at(100ms).sends(data(1000).seq(1).ack(1));
}

TEST(TcpTimestamp, OfASegmentWithAnImpossibleAckIsNotRemembered) {  // RFC 7323, 4.3; RFC 5961, 5
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000).ts(100, 0));
    s.at(1ms).receives(fin().seq(1).ack(9999).ts(200'000, 0));
    s.sends(ack().seq(1).ack(1).ts(0, 100));
    s.expect_state(TcpState::established);
    // What the peer really sends is not taken for an old duplicate.
    s.at(2ms).receives(data(100).seq(1).ack(1).ts(201, 0));
    s.sends(ack().seq(1).ack(101).ts(0, 201));
    s.expect_counted(&StackCounters::tcp_paws, 0);
}

}  // namespace
}  // namespace selvage::netstack::testing
