// Many strangers at once: what they cost, and that neither a stream at work nor a caller who means
// it notices.
#include <gtest/gtest.h>

#include "netstack/core/tcp_script_test_support.h"

namespace selvage::netstack::testing {
namespace {

constexpr std::size_t kHalfOpen = 10'000;

// A SYN from the n-th stranger.
packet::PacketBuf stranger_syn(TcpScript& s, std::uint32_t n) {
    packet::PacketBuf packet = s.pool().take();
    packet.reset(256);
    const IpAddress from = IpAddress::v4(0x0b000001U + n);
    const FlowKey flow{.local = from, .remote = s.ours(), .local_port = 1234, .remote_port = 22};
    TcpFields fields{.seq = SeqNum(n * 77), .flags = packet::tcp_flag::kSyn, .window = 1000};
    fields.options.mss = 1000;
    push_tcp_header(packet, flow, fields);
    TcpScript::push_ip(packet, from, s.ours(), 6);
    return packet;
}

TEST(TcpFlood, HalfOpenConnectionsStayWithinTheirLimitAndDisturbNoStream) {  // RFC 4987
    ScriptOptions options{.listen = 22};
    options.listener.half_open_limit = kHalfOpen;
    TcpScript s{options};
    s.at(0ms).accepts_connection(syn().mss(1000));
    std::uint32_t heard = 1;
    for (std::uint32_t n = 0; n < 60'000; ++n) {
        s.stack().input(stranger_syn(s, n), s.now());
        if (n % 100 != 99) continue;
        s.poll();
        s.skip_sent();  // answers to strangers
        // The stream goes on between them: data in is acknowledged at once.
        s.receives_unpolled(data(10).seq(heard).ack(1));
        s.receives(data(10).seq(heard + 10).ack(1));
        heard += 20;
        s.sends(ack().seq(1).ack(heard));
        s.reads(20);
    }
    EXPECT_EQ(s.stack().tcp_connection_count(), kHalfOpen + 1);
    s.expect_counted(&StackCounters::tcp_half_open_full, 60'000 - kHalfOpen);
    // No half-open connection holds buffer memory; the stream holds one chunk at most.
    EXPECT_LE(s.stack().buffer_bytes(), ChunkPool::kChunkBytes);
    s.expect_counted(&StackCounters::tcp_cookies_out, 60'000 - kHalfOpen);

    // Somebody who means it gets through, in one round trip, while the flood goes on.
    constexpr std::uint16_t kCaller = 50'000;
    for (std::uint32_t n = 60'000; n < 60'200; ++n)
        s.stack().input(stranger_syn(s, n), s.now());
    s.poll();
    s.skip_sent();
    s.receives_on(kCaller, syn().seq(0).mss(1000));
    s.sends(syn_ack().seq(0).ack(1));
    for (std::uint32_t n = 60'200; n < 60'400; ++n)
        s.stack().input(stranger_syn(s, n), s.now());
    s.poll();
    s.skip_sent();
    s.receives_on(kCaller, ack().seq(1).ack(1));
    s.expect_accepted(1);
    s.receives_on(kCaller, data(10).seq(1).ack(1));
    s.sends(ack().seq(1).ack(11));
    s.expect_readable(10);
    s.aborts();
    s.skip_sent();
    s.stack().tcp_release(s.id());

    // Nobody ever completes them: they are gone after their last repetition.
    for (int i = 0; i < 200 && s.stack().tcp_connection_count() > 1; ++i) {
        s.run_until_sent(1s);
        s.skip_sent();
    }
    EXPECT_EQ(s.stack().tcp_connection_count(), 1u);
    s.receives_unpolled(data(10).seq(heard).ack(1));
    s.receives(data(10).seq(heard + 10).ack(1));
    s.sends(ack().seq(1).ack(heard + 20));
}

}  // namespace
}  // namespace selvage::netstack::testing
