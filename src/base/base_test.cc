// Tests of errors, bytes, addresses, UUIDs and SipHash.
#include "base/bytes.h"
#include "base/error.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/siphash.h"
#include "base/uuid.h"

namespace selvage {
namespace {

TEST(Error, EachCallerAddsItsContextInFront) {
    const Error error = Error(Errc::closed).with("handshake").with("dial tcp://a:1");
    EXPECT_TRUE(error.is(Errc::closed));
    EXPECT_EQ(error.message(), "dial tcp://a:1: handshake: connection closed");
}

TEST(Result, ConvertsFromValueCodeAndError) {
    const auto pick = [](int which) -> Result<int> {
        if (which == 0) return 7;
        if (which == 1) return Errc::limit;
        return Error(Errc::denied, "no");
    };
    EXPECT_EQ(pick(0).value(), 7);
    EXPECT_TRUE(pick(1).error().is(Errc::limit));
    EXPECT_EQ(pick(2).error().message(), "no");
}

TEST(WireInt, KeepsItsByteOrder) {
    const le32 little = 0x01020304;
    const be16 big = 0x0506;
    EXPECT_EQ(to_hex(as_bytes_of(little)), "04030201");
    EXPECT_EQ(to_hex(as_bytes_of(big)), "0506");
    EXPECT_EQ(little, 0x01020304U);
}

TEST(Reader, NeverReadsPastTheEnd) {
    const Bytes bytes{1, 2, 3};
    Reader in(bytes);
    le16 number;
    EXPECT_TRUE(in.read(number));
    EXPECT_FALSE(in.read(number));
    ByteView view;
    EXPECT_FALSE(in.read_bytes(2, view));
    EXPECT_TRUE(in.read_bytes(1, view));
    EXPECT_EQ(in.left(), 0U);
}

TEST(Utf8, RefusesOverlongSurrogatesAndCutSequences) {
    EXPECT_TRUE(is_utf8(as_view("pässwörd 🔑")));
    EXPECT_FALSE(is_utf8(Bytes{0xc0, 0x80}));
    EXPECT_FALSE(is_utf8(Bytes{0xed, 0xa0, 0x80}));
    EXPECT_FALSE(is_utf8(Bytes{0xe2, 0x82}));
    EXPECT_FALSE(is_utf8(Bytes{0xf5, 0x80, 0x80, 0x80}));
}

TEST(IpAddress, ParsesAndPrints) {
    EXPECT_EQ(IpAddress::parse("10.144.0.1")->v4_value(), 0x0a900001U);
    EXPECT_EQ(IpAddress::parse("fe80::1")->to_string(), "fe80::1");
    EXPECT_FALSE(IpAddress::parse("10.1.2"));
    EXPECT_FALSE(IpAddress::parse("1.2.3.4 "));
    EXPECT_EQ(IpAddress::parse("::ffff:1.2.3.4")->unmapped(), IpAddress::v4(1, 2, 3, 4));
    EXPECT_TRUE(IpAddress::parse("169.254.169.254")->is_link_local());
}

TEST(Prefix, KnowsItsNetwork) {
    const auto prefix = Prefix::parse("10.144.1.7/20").value();
    EXPECT_EQ(prefix.network().to_string(), "10.144.0.0");
    EXPECT_EQ(prefix.last().to_string(), "10.144.15.255");
    EXPECT_TRUE(prefix.contains(IpAddress::v4(10, 144, 15, 1)));
    EXPECT_FALSE(prefix.contains(IpAddress::v4(10, 144, 16, 1)));
    EXPECT_FALSE(Prefix::parse("10.0.0.1/33"));
    EXPECT_EQ(Prefix::parse("10.0.0.1", 24)->length, 24);
    EXPECT_TRUE(Prefix::parse("0.0.0.0/0")->contains(IpAddress::v4(8, 8, 8, 8)));
}

TEST(Endpoint, ParsesBothFamilies) {
    EXPECT_EQ(Endpoint::parse("1.2.3.4:80")->port, 80);
    EXPECT_EQ(Endpoint::parse("[::1]:80")->to_string(), "[::1]:80");
    EXPECT_FALSE(Endpoint::parse("::1:80"));
    EXPECT_FALSE(Endpoint::parse("1.2.3.4:65536"));
}

TEST(Uuid, RoundTrips) {
    const auto text = "00112233-4455-6677-8899-aabbccddeeff";
    EXPECT_EQ(Uuid::parse(text)->to_string(), text);
    EXPECT_FALSE(Uuid::parse("00112233-4455-6677-8899-aabbccddeef"));
    EXPECT_EQ(Uuid::from_random(0, 0).to_string(), "00000000-0000-4000-8000-000000000000");
}

// The two values of 1-link.md section 2.2.
TEST(SipHash13, MatchesTheProtocolDocument) {
    EXPECT_EQ(siphash13({}, {}), 0xd1fba762150c532c);
    Bytes bytes;
    for (std::uint8_t i = 0; i < 15; ++i)
        bytes.push_back(i);
    EXPECT_EQ(siphash13({}, bytes), 0xf30eb725bb91c9ea);
}

// The test vector of the SipHash paper, appendix A.
TEST(SipHash24, MatchesThePaper) {
    Bytes bytes;
    for (std::uint8_t i = 0; i < 15; ++i)
        bytes.push_back(i);
    EXPECT_EQ(siphash24({0x0706050403020100, 0x0f0e0d0c0b0a0908}, bytes), 0xa129ca6149be45e5);
}

TEST(Printable, MakesTerminalEscapesHarmless) {
    EXPECT_EQ(printable("a\x1b[31mb"), "a\\x1b[31mb");
    EXPECT_EQ(printable("ünï"), "ünï");
}

TEST(LogLevels, TheLastNameInThePrefixThatHasALevelDecides) {
    LogLevels levels(LogLevel::info);
    EXPECT_TRUE(levels.wants(LogLevel::info, "home peer"));
    EXPECT_FALSE(levels.wants(LogLevel::debug, "home peer"));
    ASSERT_TRUE(levels.set("peer", LogLevel::debug));
    ASSERT_TRUE(levels.set("home", LogLevel::error));
    EXPECT_TRUE(levels.wants(LogLevel::debug, "home peer"));
    EXPECT_TRUE(levels.wants(LogLevel::debug, "peer 7"));
    EXPECT_FALSE(levels.wants(LogLevel::info, "home route"));
    EXPECT_TRUE(levels.wants(LogLevel::info, "office route"));
    EXPECT_FALSE(levels.wants(LogLevel::debug, "office peers"));
    levels.unset("home");
    EXPECT_TRUE(levels.wants(LogLevel::info, "home route"));
    levels.set(LogLevel::off);
    EXPECT_FALSE(levels.wants(LogLevel::error, "home"));
    EXPECT_TRUE(levels.wants(LogLevel::error, "peer"));
}

TEST(LogLevels, HasABoundedNumberOfNames) {
    LogLevels levels(LogLevel::info);
    for (std::size_t i = 0; i < LogLevels::kRulesMax; ++i) {
        EXPECT_TRUE(levels.set(fmt::format("m{}", i), LogLevel::debug));
    }
    EXPECT_FALSE(levels.set("one more", LogLevel::debug));
    EXPECT_TRUE(levels.set("m3", LogLevel::trace));
}

class CountingSink final : public LogSink {
public:
    bool enabled(LogLevel level, std::string_view) const override {
        return level >= LogLevel::debug;
    }
    void write(LogLevel, std::string_view, std::string_view) override { ++lines; }
    int lines = 0;
};

TEST(LogTail, KeepsTheLastLinesOfEachName) {
    const auto inner = std::make_shared<CountingSink>();
    const auto tail = std::make_shared<LogTail>(inner, [] { return WallTime{} + 5s; });
    const Log home(tail, "home");
    const Log other(tail, "homely");
    home.debug("not kept");
    for (int i = 0; i < 1000; ++i)
        home.child("peer").info("up", "n={}", i);
    other.warn("strange\x1b[2J");
    const auto last = [&tail](std::size_t count, std::string name) {
        return LogTail::Reader(*tail, std::move(name), count).read(5000).lines;
    };
    ASSERT_EQ(last(2, "home").size(), 2U);
    EXPECT_EQ(last(2, "home")[0].text, "up n=998");
    EXPECT_EQ(last(2, "home")[1].prefix, "home peer");
    EXPECT_EQ(last(2, "home")[1].at, WallTime{} + 5s);
    EXPECT_EQ(last(5, "homely").at(0).text, "strange\\x1b[2J");
    EXPECT_EQ(last(5000, "home").size(), LogTail::kLinesMax - 1);
    EXPECT_TRUE(last(0, "home").empty());
    EXPECT_EQ(inner->lines, 1002);
}

TEST(LogTail, ASlowReaderIsToldHowManyOfItsLinesItMissed) {
    const auto tail =
        std::make_shared<LogTail>(std::make_shared<CountingSink>(), [] { return WallTime{}; });
    const Log home(tail, "home");
    const Log other(tail, "other");
    home.info("first");
    LogTail::Reader reader(*tail, "home", 20);
    EXPECT_EQ(reader.read(10).lines.size(), 1U);
    EXPECT_TRUE(reader.read(10).lines.empty());
    for (std::size_t i = 0; i < LogTail::kLinesMax; ++i) {
        home.info("line", "n={}", i);
        other.info("not its own");
    }
    const auto news = reader.read(10);
    EXPECT_EQ(news.lost, LogTail::kLinesMax / 2);
    ASSERT_EQ(news.lines.size(), 10U);
    EXPECT_EQ(news.lines.front().text, fmt::format("line n={}", LogTail::kLinesMax / 2));
    const auto rest = reader.read(5000);
    EXPECT_EQ(rest.lost, 0U);
    EXPECT_EQ(rest.lines.size(), LogTail::kLinesMax / 2 - 10);
    home.info("last");
    EXPECT_EQ(reader.read(10).lines.at(0).text, "last");
}

TEST(LogLevels, AreKnownByName) {
    for (const char* name : {"off", "error", "warn", "info", "debug", "trace"}) {
        EXPECT_EQ(log_level_name(parse_log_level(name).value()), name);
    }
    EXPECT_FALSE(parse_log_level("loud"));
}

}  // namespace
}  // namespace selvage
