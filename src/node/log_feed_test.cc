// Tests of the log as lines of text.
#include "node/log_feed.h"

#include <gtest/gtest.h>

namespace selvage::node {
namespace {

class Everything final : public LogSink {
public:
    bool enabled(LogLevel, std::string_view) const override { return true; }
    void write(LogLevel, std::string_view, std::string_view) override {}
};

TEST(LogFeed, ShowsTheLastLinesThenNewOnesAndHowManyWereMissed) {
    LogTail tail(std::make_shared<Everything>(), [] { return WallTime{} + 5s; });
    const auto say = [&tail](std::string_view text) {
        tail.write(LogLevel::warn, "home peer", text);
    };
    say("one");
    say("two");
    LogFeed feed(tail, "home", 1, 2);
    EXPECT_EQ(feed.next(), "1970-01-01 00:00:05Z warn home peer: two\n");
    EXPECT_EQ(feed.next(), "");
    for (std::size_t i = 0; i < LogTail::kLinesMax + 12; ++i)
        say("many");
    EXPECT_EQ(
        feed.next(),
        "... 12 lines not shown\n"
        "1970-01-01 00:00:05Z warn home peer: many\n"
        "1970-01-01 00:00:05Z warn home peer: many\n"
    );
}

}  // namespace
}  // namespace selvage::node
