// Path MTU discovery: what is believed, and what follows.
#include <gtest/gtest.h>

#include "netstack/core/tcp_script_test_support.h"

namespace selvage::netstack::testing {
namespace {

TEST(TcpPathMtu, SendsSmallerSegmentsAtOnce) {  // RFC 1191, section 6.5
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1320));
    s.at(1ms).writes(2640);
    s.sends(data(1320).seq(1).ack(1));
    s.sends(data(1320).seq(1321).ack(1));
    s.at(20ms).receives_too_big(1000, 1);
    // Each of the old segments is cut.
    s.sends(data(960).seq(1).ack(1));
    s.sends(data(360).seq(961).ack(1));
    s.at(40ms).receives(ack().seq(1).ack(1321));
    s.sends(data(960).seq(1321).ack(1));
    s.sends(data(360).seq(2281).ack(1));
    s.at(60ms).receives(ack().seq(1).ack(2641));
    s.at(70ms).writes(1920);
    s.sends(data(960).seq(2641).ack(1));
    s.sends(data(960).seq(3601).ack(1));
    s.receives(ack().seq(1).ack(4561));
    s.expect_counted(&StackCounters::icmp_too_big_in, 1);
}

TEST(TcpPathMtu, IsNotBelievedWithoutASegmentUnderWay) {  // RFC 5927, section 7
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1320));
    s.writes(1320);
    s.sends(data(1320).seq(1).ack(1));
    s.receives_too_big(600, 0);
    s.receives_too_big(600, 1321);
    s.receives(ack().seq(1).ack(1321));
    s.receives_too_big(600, 1);
    s.writes(1320);
    s.sends(data(1320).seq(1321).ack(1));
    s.receives(ack().seq(1).ack(2641));
    s.expect_counted(&StackCounters::icmp_errors_invalid, 3);
}

TEST(TcpPathMtu, IsNeverBelievedToBeTiny) {  // RFC 5927, section 7.1
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1320));
    s.writes(1320);
    s.sends(data(1320).seq(1).ack(1));
    s.at(20ms).receives_too_big(0, 1);
    s.sends(data(512).seq(1).ack(1));
    s.skip_sent();  // how many follow at once is the congestion window's business
    s.at(40ms).receives(ack().seq(1).ack(1321));
}

TEST(TcpPathMtu, NeverGrowsByAMessage) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    s.writes(1000);
    s.sends(data(1000).seq(1).ack(1));
    s.receives_too_big(1300, 1);
    s.receives_too_big(9000, 1);
    s.at(20ms).receives(ack().seq(1).ack(1001));
    s.writes(1000);
    s.sends(data(1000).seq(1001).ack(1));
    s.receives(ack().seq(1).ack(2001));
}

TEST(TcpPathMtu, IsRememberedForTheNextConnection) {  // RFC 1191, section 6.3
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1320));
    s.writes(1320);
    s.sends(data(1320).seq(1).ack(1));
    s.at(20ms).receives_too_big(1000, 1);
    s.sends(data(960).seq(1).ack(1));
    s.skip_sent();
    s.receives(ack().seq(1).ack(1321));
    s.at(1s).receives_on(40001, syn().seq(0).mss(1320));
    s.sends(syn_ack().seq(0).ack(1).mss(1320));  // what we take is another matter
    s.receives_on(40001, ack().seq(1).ack(1));
    s.expect_accepted(1);
    EXPECT_EQ(s.stack().tcp_connection(s.id())->info().mss, 960u);
}

}  // namespace
}  // namespace selvage::netstack::testing
