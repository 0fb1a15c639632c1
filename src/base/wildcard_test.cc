// Tests of patterns and of the budget of bytes.
#include "base/wildcard.h"

#include <gtest/gtest.h>

#include "base/byte_budget.h"

namespace selvage {
namespace {

using namespace std::chrono_literals;

TEST(Wildcard, StarsAndQuestionMarksStandForText) {
    EXPECT_TRUE(matches_wildcard("*", ""));
    EXPECT_TRUE(matches_wildcard("*", "anything"));
    EXPECT_TRUE(matches_wildcard("net2*", "net2"));
    EXPECT_TRUE(matches_wildcard("net2*", "net2-west"));
    EXPECT_TRUE(matches_wildcard("*-west", "net2-west"));
    EXPECT_TRUE(matches_wildcard("n*t*w?st", "net2-net-west"));
    EXPECT_TRUE(matches_wildcard("caf?", "caf\xc3\xa9"));
    EXPECT_FALSE(matches_wildcard("net?", "net"));
    EXPECT_FALSE(matches_wildcard("net", "net2"));
    EXPECT_FALSE(matches_wildcard("net", "Net"));
    EXPECT_FALSE(matches_wildcard("", "net"));
    EXPECT_FALSE(matches_wildcard("*a*b", "bba"));
}

TEST(Wildcard, AHostilePatternTakesNoLongerThanTheProductOfTheLengths) {
    std::string pattern;
    for (int i = 0; i < 100; ++i)
        pattern += "*a";
    EXPECT_FALSE(matches_wildcard(pattern + "b", std::string(10'000, 'a')));
}

TEST(Wildcard, AListIsSeparatedBySpacesAndMayBeEmpty) {
    EXPECT_TRUE(matches_wildcard_list("net1 net2*", "net1"));
    EXPECT_TRUE(matches_wildcard_list("net1 net2*", "net2-west"));
    EXPECT_FALSE(matches_wildcard_list("net1 net2*", "net3"));
    EXPECT_FALSE(matches_wildcard_list("", "net1"));
    EXPECT_TRUE(matches_wildcard_list("", ""));
}

TEST(ByteBudget, LetsASecondsWorthGoAtOnceAndThenItsRate) {
    const TimePoint start{100s};
    ByteBudget budget(1000, start);
    EXPECT_TRUE(budget.take(1000, start));
    EXPECT_FALSE(budget.take(1, start));
    EXPECT_FALSE(budget.take(600, start + 500ms));
    EXPECT_TRUE(budget.take(500, start + 500ms));
    EXPECT_FALSE(budget.take(1001, start + 100s)) << "more than a second's worth is never saved up";
    EXPECT_TRUE(budget.take(1000, start + 100s));
}

TEST(ByteBudget, OfNothingLetsNothingGo) {
    ByteBudget budget(0, TimePoint{});
    EXPECT_FALSE(budget.take(1, TimePoint{} + 1h));
    EXPECT_TRUE(budget.take(0, TimePoint{} + 1h));
}

}  // namespace
}  // namespace selvage
