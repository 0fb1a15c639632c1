// The size of segments where nobody says what the path bears (RFC 4821).
#include <gtest/gtest.h>

#include "netstack/core/tcp_script_test_support.h"

namespace selvage::netstack::testing {
namespace {

// A connection over 10 ms whose full segments do not arrive, at the second timeout: what was under
// way has been cut, and the first piece has gone.
void fall_into_a_black_hole(TcpScript& s) {
    s.at(0ms).receives(syn().seq(0).mss(1320).sack_ok());
    s.sends(syn_ack().seq(0).ack(1));
    s.at(10ms).receives(ack().seq(1).ack(1));
    s.expect_accepted(1);
    s.writes(2640);
    s.sends(data(1320).seq(1).ack(1));
    s.sends(data(1320).seq(1321).ack(1));
    s.at(30ms).sends(data(1320).seq(1321).ack(1), "a tail loss probe");
    s.at(240ms).sends(data(1320).seq(1).ack(1), "the first timeout");
    s.at(660ms).sends(data(1024).seq(1).ack(1), "the second");
    s.sends(data(296).seq(1025).ack(1));
    s.expect_counted(&StackCounters::tcp_black_holes, 1);
}

// The rest of it arrives.
void climb_out(TcpScript& s) {
    s.at(700ms).receives(ack().seq(1).ack(1321));
    s.sends(data(1024).seq(1321).ack(1));
    s.sends(data(296).seq(2345).ack(1));
    s.at(720ms).receives(ack().seq(1).ack(2641));
}

TEST(TcpMssSearch, SendsSmallerSegmentsWhenFullOnesTimeOutTwice) {  // RFC 4821, section 7.7
    TcpScript s{{.listen = 22}};
    fall_into_a_black_hole(s);
    climb_out(s);
    s.at(1s).writes(2048);
    s.sends(data(1024).seq(2641).ack(1));
    s.sends(data(1024).seq(3665).ack(1));
    s.receives(ack().seq(1).ack(4689));
    s.expect_silence_until(60s);
}

TEST(TcpMssSearch, GoesBackToTheFullSizeWhenThatArrives) {  // RFC 4821, section 7.6.1
    TcpScript s{{.listen = 22}};
    fall_into_a_black_hole(s);
    climb_out(s);
    s.at(1s).writes(1320 + 2 * 1024);
    s.sends(data(1320).seq(2641).ack(1));
    s.sends(data(1024).seq(3961).ack(1));
    s.at(1010ms).receives(ack().seq(1).ack(4985));
    s.sends(data(1024).seq(4985).ack(1));
    s.receives(ack().seq(1).ack(6009));
    s.writes(2640);
    s.sends(data(1320).seq(6009).ack(1));
    s.sends(data(1320).seq(7329).ack(1));
    s.receives(ack().seq(1).ack(8649));
    s.expect_silence_until(60s);
}

TEST(TcpMssSearch, LooksBelowASizeThatDoesNotArrive) {  // RFC 4821, sections 7.3 and 7.6.2
    TcpScript s{{.listen = 22}};
    fall_into_a_black_hole(s);
    climb_out(s);
    s.at(1s).writes(1320 + 2 * 1024);
    s.sends(data(1320).seq(2641).ack(1));
    s.sends(data(1024).seq(3961).ack(1));
    s.at(1010ms).receives(ack().seq(1).ack(2641).sack({{3961, 4985}}));
    s.sends(data(1024).seq(4985).ack(1));
    s.receives(ack().seq(1).ack(2641).sack({{3961, 6009}}));
    s.run_until_sent(20ms);
    const Duration again = s.elapsed();
    s.at(again).sends(data(1024).seq(2641).ack(1), "the lost one in pieces");
    s.at(again + 5ms).receives(ack().seq(1).ack(3665).sack({{3961, 6009}}));
    s.sends(data(296).seq(3665).ack(1));
    s.at(again + 10ms).receives(ack().seq(1).ack(6009));
    // Half way between 1,024 and 1,319.
    s.at(2s).writes(1172 + 2 * 1024);
    s.sends(data(1172).seq(6009).ack(1));
    s.at(2010ms).receives(ack().seq(1).ack(7181));
    s.sends(data(1172).seq(7181).ack(1));
    s.at(2020ms).receives(ack().seq(1).ack(8353));
    s.sends(data(876).seq(8353).ack(1));
    s.receives(ack().seq(1).ack(9229));
}

TEST(TcpMssSearch, DoesNotBlameTheSizeOfSmallSegments) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).receives(syn().seq(0).mss(1320));
    s.sends(syn_ack().seq(0).ack(1));
    s.at(10ms).receives(ack().seq(1).ack(1));
    s.expect_accepted(1);
    s.writes(1000);
    s.sends(data(1000).seq(1).ack(1));
    s.at(10s);
    s.skip_sent();
    s.receives(ack().seq(1).ack(1001));
    s.writes(1320);
    s.sends(data(1320).seq(1001).ack(1));
    s.receives(ack().seq(1).ack(2321));
    s.expect_counted(&StackCounters::tcp_black_holes, 0);
}

TEST(TcpMssSearch, NeverGoesBelowWhatEveryIpv6PathBears) {  // RFC 8200, section 5
    TcpScript s{{.listen = 22, .v6 = true}};
    s.at(0ms).receives(syn().seq(0).mss(1300));
    s.sends(syn_ack().seq(0).ack(1));
    s.at(10ms).receives(ack().seq(1).ack(1));
    s.expect_accepted(1);
    s.writes(1300);
    s.sends(data(1300).seq(1).ack(1));
    s.at(2s);
    s.skip_sent();
    EXPECT_EQ(s.stack().tcp_connection(s.id())->info().mss, 1220u);
    s.receives(ack().seq(1).ack(1301));
}

TEST(TcpMssSearch, StopsWhenAMessageSaysTheSize) {
    TcpScript s{{.listen = 22}};
    fall_into_a_black_hole(s);
    climb_out(s);
    s.at(1s).writes(1000);
    s.sends(data(1000).seq(2641).ack(1));
    s.receives_too_big(1000, 2641);
    s.skip_sent();
    s.at(1010ms).receives(ack().seq(1).ack(3641));
    s.writes(3 * 960);
    s.sends(data(960).seq(3641).ack(1));
    s.sends(data(960).seq(4601).ack(1));
    s.at(1020ms).receives(ack().seq(1).ack(5561));
    s.sends(data(960).seq(5561).ack(1));
    s.at(1030ms).receives(ack().seq(1).ack(6521));
}

}  // namespace
}  // namespace selvage::netstack::testing
