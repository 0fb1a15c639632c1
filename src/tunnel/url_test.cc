// URLs and listener arguments as people write them.
#include "tunnel/url.h"

namespace selvage::tunnel {
namespace {

std::vector<std::string> expanded(std::string_view text) {
    const auto urls = listener_urls(text);
    if (!urls) return {"error: " + urls.error().message()};
    std::vector<std::string> out;
    for (const Url& url : *urls)
        out.push_back(url.to_string());
    return out;
}

TEST(Url, SplitsIntoItsParts) {
    const Url url = Url::parse("TCP://relay.example:5000").value();
    EXPECT_EQ(url.scheme, "tcp");
    EXPECT_EQ(url.host, "relay.example");
    EXPECT_EQ(url.port, 5000);
    EXPECT_TRUE(url.port_given);
    EXPECT_EQ(url.to_string(), "tcp://relay.example:5000");
}

TEST(Url, WithoutAPortTheSchemesDefaultStands) {
    const std::pair<const char*, std::uint16_t> cases[] = {
        {"tcp://h", 11010}, {"udp://h", 11010}, {"wg://h", 11011},      {"quic://h", 11012},
        {"ws://h", 80},     {"wss://h", 443},   {"faketcp://h", 11013}, {"http://h", 80},
        {"https://h", 443}, {"ring://h", 0},    {"txt://h", 0},
    };
    for (const auto& [text, port] : cases) {
        const Url url = Url::parse(text).value();
        EXPECT_EQ(url.port, port) << text;
        EXPECT_FALSE(url.port_given) << text;
    }
}

TEST(Url, AddressesOfVersion6StandInBrackets) {
    const Url url = Url::parse("udp://[2001:DB8::1]:7").value();
    EXPECT_EQ(url.host, "2001:db8::1");
    EXPECT_EQ(url.port, 7);
    EXPECT_EQ(url.to_string(), "udp://[2001:db8::1]:7");
    EXPECT_EQ(Url::parse("tcp://[::]").value().port, 11010);
}

TEST(Url, UnixSocketsAreFiles) {
    const Url url = Url::parse("unix:///run/a%20b.sock").value();
    EXPECT_EQ(url.path, "/run/a b.sock");
    EXPECT_EQ(url.to_string(), "unix:///run/a%20b.sock");
    EXPECT_EQ(Url::parse(url.to_string()).value(), url);
}

TEST(Url, APathMayNameADevice) {
    const Url url = Url::parse("udp://0.0.0.0:11010/eth0").value();
    EXPECT_EQ(url.path, "/eth0");
    EXPECT_EQ(url.to_string(), "udp://0.0.0.0:11010/eth0");
}

TEST(Url, WhatIsNoUrlIsRefusedWithAReason) {
    for (const char* text :
         {"",
          "tcp",
          "tcp:/h",
          "://h",
          "tcp://",
          "tcp://:1",
          "tcp://h:",
          "tcp://h:x",
          "tcp://h:65536",
          "tcp://h:-1",
          "tcp://h:1:2",
          "tcp://[::1",
          "tcp://[::1]x",
          "tcp://[1.2.3.4]",
          "tcp://::1",
          "tcp://user@h",
          "tcp://h h",
          "tcp://h/%",
          "tcp://h/%0",
          "tcp://h/%zz",
          "tcp://h/%00",
          "tcp://h/#x",
          "unix://",
          "unix:///",
          "unix://host/x",
          "t cp://h",
          "1tcp://h"}) {
        const auto url = Url::parse(text);
        ASSERT_FALSE(url) << text;
        EXPECT_TRUE(url.error().is(Errc::bad_argument)) << text;
        EXPECT_FALSE(url.error().message().empty());
    }
    EXPECT_FALSE(Url::parse("tcp://" + std::string(2000, 'a')));
    EXPECT_FALSE(Url::parse("tcp://" + std::string(300, 'a')));
    EXPECT_FALSE(Url::parse("tcp://h/" + std::string(500, ' '))) << "too long once it is escaped";
}

TEST(ListenerUrls, AnArgumentStandsForTheSchemesThatWeHave) {
    EXPECT_THAT(expanded("5000"), testing::ElementsAre("tcp://0.0.0.0:5000", "udp://0.0.0.0:5000"));
    EXPECT_THAT(expanded("0"), testing::ElementsAre("tcp://0.0.0.0:0", "udp://0.0.0.0:0"));
    EXPECT_THAT(
        expanded("10.0.0.1"), testing::ElementsAre("tcp://10.0.0.1:11010", "udp://10.0.0.1:11010")
    );
    EXPECT_THAT(expanded("::1"), testing::ElementsAre("tcp://[::1]:11010", "udp://[::1]:11010"));
    EXPECT_THAT(expanded("[::1]"), testing::ElementsAre("tcp://[::1]:11010", "udp://[::1]:11010"));
    EXPECT_THAT(
        expanded("10.0.0.1:7"), testing::ElementsAre("tcp://10.0.0.1:7", "udp://10.0.0.1:7")
    );
    EXPECT_THAT(expanded("[::1]:7"), testing::ElementsAre("tcp://[::1]:7", "udp://[::1]:7"));
    EXPECT_THAT(expanded("udp"), testing::ElementsAre("udp://0.0.0.0:11010"));
    EXPECT_THAT(expanded("TCP:9"), testing::ElementsAre("tcp://0.0.0.0:9"));
    EXPECT_THAT(expanded("tcp://[::]:9"), testing::ElementsAre("tcp://[::]:9"));
    EXPECT_THAT(expanded("unix:///run/x"), testing::ElementsAre("unix:///run/x"));
}

TEST(ListenerUrls, SchemesThatWeDoNotHaveAreRefusedByName) {
    for (const char* text : {"wg", "quic:11012", "ws://0.0.0.0:80", "faketcp", "ring://abc"}) {
        const auto urls = listener_urls(text);
        ASSERT_FALSE(urls) << text;
        EXPECT_TRUE(urls.error().is(Errc::unsupported)) << urls.error().message();
    }
    for (const char* text :
         {"", "what", "what://x", "tcp:", "tcp:99999", "99999", "unix", "-1", ":1"}) {
        const auto urls = listener_urls(text);
        ASSERT_FALSE(urls) << text;
        EXPECT_TRUE(urls.error().is(Errc::bad_argument)) << urls.error().message();
    }
}

}  // namespace
}  // namespace selvage::tunnel
