// What waits: for more, by a writer's promise and a cork; for its time, when windows are paced. And
// what arrived twice (RFC 2883).
#include <gtest/gtest.h>

#include "netstack/core/tcp_script_test_support.h"

namespace selvage::netstack::testing {
namespace {

TEST(TcpHold, APromisedRestWaitsForTheNextWrite) {
    TcpScript s{{.listen = 22, .listener = {.socket = {.no_delay = true}}}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    s.at(10ms).writes_more(100);
    s.at(20ms).writes_more(200);
    s.at(30ms).writes(300);
    s.sends(data(600).seq(1).ack(1));
    s.at(40ms).receives(ack().seq(1).ack(601));
    // Whole segments need not wait.
    s.writes_more(1100);
    s.sends(data(1000).seq(601).ack(1));
    // Nor does the rest when an acknowledgement comes.
    s.at(50ms).receives(ack().seq(1).ack(1601));
    s.sends(data(100).seq(1601).ack(1));
    s.at(60ms).receives(ack().seq(1).ack(1701));
}

TEST(TcpHold, APromiseThatIsNotKeptHoldsForATimeoutOnly) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    s.at(10ms).writes_more(100);
    s.at(210ms).sends(data(100).seq(1).ack(1));
    s.receives(ack().seq(1).ack(101));
}

TEST(TcpHold, ACorkHoldsAlsoWhenAcknowledgementsCome) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    s.stack().tcp_set_cork(s.id(), true);
    s.at(10ms).writes(1100);
    s.sends(data(1000).seq(1).ack(1));
    s.at(20ms).receives(ack().seq(1).ack(1001));
    s.at(50ms).writes(100);
    s.stack().tcp_set_cork(s.id(), false);
    s.poll();
    s.sends(data(200).seq(1001).ack(1));
    s.receives(ack().seq(1).ack(1201));
}

TEST(TcpHold, TheEndOfTheStreamTakesTheRestWithIt) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    s.writes_more(100);
    s.shuts_down();
    s.sends(fin().seq(1).len(100).ack(1));
    s.receives(ack().seq(1).ack(102));
}

TEST(TcpDuplicates, BelowTheAcknowledgementAreReported) {  // RFC 2883, 4.1.1
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000).sack_ok());
    s.receives(data(100).seq(1).ack(1));
    s.sends(ack().seq(1).ack(101).no_sack());
    s.receives(data(100).seq(1).ack(1));
    s.sends(ack().seq(1).ack(101).sack({{1, 101}}));
    // Once.
    s.receives(data(100).seq(101).ack(1));
    s.sends(ack().seq(1).ack(201).no_sack());
    s.reads(200);
}

TEST(TcpDuplicates, BeyondAGapAreReportedWithTheirRange) {  // RFC 2883, 4.1.2
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000).sack_ok());
    s.receives(data(200).seq(101).ack(1));
    s.sends(ack().seq(1).ack(1).sack({{101, 301}}));
    s.receives(data(100).seq(101).ack(1));
    s.sends(ack().seq(1).ack(1).sack({{101, 201}, {101, 301}}));
}

TEST(TcpDuplicates, OfLongAgoAreNotReported) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000).sack_ok());
    s.receives(data(100).seq(0x80000000).ack(1));
    s.sends(ack().seq(1).ack(1).no_sack());
}

TEST(TcpDuplicates, AreNotReportedToWhoDoesNotKnowSack) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    s.receives(data(100).seq(1).ack(1));
    s.sends(ack().seq(1).ack(101).no_sack());
    s.receives(data(100).seq(1).ack(1));
    s.sends(ack().seq(1).ack(101).no_sack());
    s.reads(100);
}

TEST(TcpWindow, AFinNeedsNoRoomInIt) {
    TcpScript s{{.listen = 22}};
    s.at(0ms).accepts_connection(syn().mss(1000));
    s.writes(10'000);
    for (std::uint32_t i = 0; i < 10; ++i)
        s.sends(data(1000).seq(1 + i * 1000).ack(1));
    s.shuts_down();
    s.sends(fin().seq(10'001).ack(1));
    s.receives(ack().seq(1).ack(10'002));
}

TEST(TcpPacing, SpreadsAWindowOverTheRoundTrip) {
    ScriptOptions options{.listen = 22};
    options.stack.pace_windows = true;
    TcpScript s{options};
    s.at(0ms).receives(syn().seq(0).mss(1000));
    s.sends(syn_ack().seq(0).ack(1));
    s.at(100ms).receives(ack().seq(1).ack(1));
    s.expect_accepted(1);
    s.writes(40'000);
    // The first window leaves at once.
    for (std::uint32_t i = 0; i < 10; ++i)
        s.sends(data(1000).seq(1 + i * 1000).ack(1));
    s.at(200ms).receives(ack().seq(1).ack(10'001));
    // 20 segments at twice their rate: two every 5 ms.
    s.sends(data(1000).seq(10'001).ack(1));
    s.sends(data(1000).seq(11'001).ack(1));
    s.expect_silence();
    for (std::uint32_t sent = 2; sent < 20; sent += 2) {
        s.run_until_sent(20ms);
        s.sends(data(1000).seq(10'001 + sent * 1000).ack(1));
        s.sends(data(1000).seq(11'001 + sent * 1000).ack(1));
        s.expect_silence();
    }
    // Not at once, and before the first is acknowledged.
    EXPECT_GE(s.elapsed(), 235ms);
    EXPECT_LE(s.elapsed(), 255ms);
}

}  // namespace
}  // namespace selvage::netstack::testing
