// Explicit congestion notification: RFC 3168, section 6.1.
#include <gtest/gtest.h>

#include "netstack/core/tcp_script_test_support.h"

namespace selvage::netstack::testing {
namespace {

ScriptOptions asking() {
    ScriptOptions options;
    options.stack.congestion = CongestionAlgorithm::new_reno;
    options.stack.ecn = EcnMode::request;
    return options;
}

// Accepted from a peer that asked for ECN; his segments are of 1,000 bytes.
void accept_with_ecn(TcpScript& s) {
    s.at(0ms).receives(syn().seq(0).mss(1000).ece().cwr());
    s.sends(syn_ack().seq(0).ack(1).ece());
    s.at(10ms).receives(ack().seq(1).ack(1));
    s.expect_accepted(1);
}

TEST(TcpEcn, IsUsedWhenThePeerAsks) {  // RFC 3168, 6.1.1
    TcpScript s{{.listen = 22}};
    accept_with_ecn(s);
    s.writes(1000);
    s.sends(data(1000).seq(1).ack(1).ect());
    s.at(20ms).receives(data(10).seq(1).ack(1001));
    s.sends(ack().seq(1001).ack(11));  // not capable: an ACK may not be marked (6.1.4)
    s.reads(10);
}

TEST(TcpEcn, IsNotUsedWhenThePeerDoesNotAskRightly) {  // RFC 3168, 6.1.1
    for (const Seg& asked : {syn(), syn().ece(), syn().cwr(), syn().ece().cwr().marked()}) {
        TcpScript s{{.listen = 22}};
        s.at(0ms).receives(asked.seq(0).mss(1000));
        s.sends(syn_ack().seq(0).ack(1));
        s.at(10ms).receives(ack().seq(1).ack(1));
        s.expect_accepted(1);
        s.writes(1000);
        s.sends(data(1000).seq(1).ack(1));
        s.at(20ms).receives(ack().seq(1).ack(1001).ece());
        s.expect_counted(&StackCounters::tcp_ecn_reductions, 0);
    }
}

TEST(TcpEcn, IsNotUsedWhenSwitchedOff) {
    ScriptOptions options{.listen = 22};
    options.stack.ecn = EcnMode::off;
    TcpScript s{options};
    s.at(0ms).receives(syn().seq(0).mss(1000).ece().cwr());
    s.sends(syn_ack().seq(0).ack(1));
}

TEST(TcpEcn, IsAskedForWhenSwitchedOn) {
    TcpScript s{asking()};
    s.connects();
    s.sends(syn().seq(0).ece().cwr());
    s.at(10ms).receives(syn_ack().seq(0).ack(1).mss(1000).ece());
    s.sends(ack().seq(1).ack(1));
    s.writes(1000);
    s.sends(data(1000).seq(1).ack(1).ect());
    s.at(20ms).receives(ack().seq(1).ack(1001));
}

TEST(TcpEcn, IsNotUsedWhenTheAnswerOnlyReflectsTheQuestion) {  // RFC 3168, 6.1.1
    TcpScript s{asking()};
    s.connects();
    s.sends(syn().seq(0).ece().cwr());
    s.at(10ms).receives(syn_ack().seq(0).ack(1).mss(1000).ece().cwr());
    s.sends(ack().seq(1).ack(1));
    s.writes(1000);
    s.sends(data(1000).seq(1).ack(1));
    s.at(20ms).receives(ack().seq(1).ack(1001));
}

TEST(TcpEcn, IsNotAskedForAgainWhenNobodyAnswers) {  // RFC 3168, 6.1.1.1
    TcpScript s{asking()};
    s.connects();
    s.sends(syn().seq(0).ece().cwr());
    s.at(1s).sends(syn().seq(0));
    s.receives(syn_ack().seq(0).ack(1).mss(1000));
    s.sends(ack().seq(1).ack(1));
}

TEST(TcpEcn, EchoesAMarkUntilThePeerHasReduced) {  // RFC 3168, 6.1.3
    TcpScript s{{.listen = 22}};
    accept_with_ecn(s);
    s.receives(data(100).seq(1).ack(1).ect());
    s.sends(ack().seq(1).ack(101));
    s.receives(data(100).seq(101).ack(1).marked());
    s.sends(ack().seq(1).ack(201).ece());
    s.receives(data(100).seq(201).ack(1).ect());
    s.sends(ack().seq(1).ack(301).ece());
    s.receives(data(100).seq(301).ack(1).ect().cwr());
    s.sends(ack().seq(1).ack(401));
    // Reduced, and marked again on the way.
    s.receives(data(100).seq(401).ack(1).cwr().marked());
    s.sends(ack().seq(1).ack(501).ece());
    s.expect_counted(&StackCounters::tcp_ecn_marked_in, 2);
    s.reads(500);
}

TEST(TcpEcn, IgnoresAMarkOnASegmentOutsideTheWindow) {  // RFC 3168, 6.1.3; RFC 5961
    TcpScript s{{.listen = 22}};
    accept_with_ecn(s);
    s.receives(data(100).seq(1'000'000).ack(1).marked());
    s.sends(ack().seq(1).ack(1));
}

TEST(TcpEcn, ReducesItsWindowOnceARoundTripAndSaysSo) {  // RFC 3168, 6.1.2
    TcpScript s{{.listen = 22}};
    accept_with_ecn(s);
    s.writes(30'000);
    for (std::uint32_t i = 0; i < 10; ++i)
        s.sends(data(1000).seq(1 + i * 1000).ack(1).ect());
    s.at(20ms).receives(ack().seq(1).ack(2001).ece());
    // Ten were under way: five may be. What arrives lets nearly half as much leave.
    s.sends(data(1000).seq(10'001).ack(1).ect().cwr());
    s.at(21ms).receives(ack().seq(1).ack(4001).ece());
    s.sends(data(1000).seq(11'001).ack(1).ect());
    s.at(22ms).receives(ack().seq(1).ack(10'001).ece());
    EXPECT_GT(s.skip_sent(), 0u);
    s.expect_counted(&StackCounters::tcp_ecn_reductions, 1);
    EXPECT_EQ(s.stack().tcp_connection(s.id())->info().slow_start_threshold, 5000u);
    s.expect_counted(&StackCounters::tcp_retransmits, 0);
}

TEST(TcpEcn, SendsAgainWithoutCapability) {  // RFC 3168, 6.1.5
    TcpScript s{{.listen = 22}};
    accept_with_ecn(s);
    s.writes(1000);
    s.sends(data(1000).seq(1).ack(1).ect());
    s.at(220ms).sends(data(1000).seq(1).ack(1));
    s.at(230ms).receives(ack().seq(1).ack(1001));
    // The window is smaller since the timeout: the peer may stop echoing.
    s.writes(1000);
    s.sends(data(1000).seq(1001).ack(1).ect().cwr());
    s.at(240ms).receives(ack().seq(1).ack(2001));
}

TEST(TcpEcn, IsInTheCookieWithTheOtherOptions) {
    TcpScript s{{.listen = 22, .listener = {.half_open_limit = 0}}};
    s.at(0ms).receives(syn().seq(0).mss(1320).ts(100, 0).ece().cwr());
    s.sends(syn_ack().seq(0).ack(1).ece());
    s.at(20ms).receives(ack().seq(1).ack(1).ts(110, s.last_timestamp()));
    s.expect_accepted(1);
    s.writes(1000);
    s.sends(data(1000).seq(1).ack(1).ect());

    TcpScript plain{{.listen = 22, .listener = {.half_open_limit = 0}}};
    plain.at(0ms).receives(syn().seq(0).mss(1320).ece().cwr());
    plain.sends(syn_ack().seq(0).ack(1));
}

TEST(TcpEcn, WorksOverIpv6) {
    TcpScript s{{.listen = 22, .v6 = true}};
    accept_with_ecn(s);
    s.writes(1000);
    s.sends(data(1000).seq(1).ack(1).ect());
    s.receives(data(100).seq(1).ack(1001).marked());
    s.sends(ack().seq(1001).ack(101).ece());
    s.reads(100);
}

}  // namespace
}  // namespace selvage::netstack::testing
