// SOCKS4, BIND, UDP ASSOCIATE, the race of addresses, and new rules for live sessions.
#include "edge/outbound.h"
#include "edge/proxy_test_support.h"
#include "edge/socks4.h"
#include "edge/socks_udp.h"

namespace selvage::edge {
namespace {

const std::string kHello = raw("050100");

TEST(Socks4, ReadsARequestHoweverItIsCut) {
    const std::string plain = raw("040100505db8d822") + "me" + raw("00") + "rest";
    for (std::size_t size = 0; size < 11; ++size) {
        auto part = parse_socks4(as_view(std::string_view(plain).substr(0, size)));
        ASSERT_TRUE(part);
        EXPECT_FALSE(*part) << size;
    }
    auto whole = parse_socks4(as_view(plain));
    ASSERT_TRUE(whole && *whole);
    EXPECT_EQ((*whole)->to.to_string(), "93.184.216.34:80");
    EXPECT_EQ((*whole)->size, 11U);
    auto named = parse_socks4(as_view(raw("04010050000000010077656200")));
    ASSERT_TRUE(named && *named);
    EXPECT_EQ((*named)->to.to_string(), "web:80");
    auto dressed = parse_socks4(as_view(raw("040100500000000100") + "127.0.0.1" + raw("00")));
    ASSERT_TRUE(dressed && *dressed);
    EXPECT_EQ((*dressed)->to.to_string(), "127.0.0.1:80");
}

TEST(Socks4, RefusesWhatIsTooLongOrUnknown) {
    EXPECT_FALSE(parse_socks4(as_view(raw("050100"))));
    EXPECT_FALSE(parse_socks4(as_view(raw("040300505db8d82200"))));
    EXPECT_FALSE(parse_socks4(as_view(raw("040100005db8d82200"))));
    EXPECT_FALSE(parse_socks4(as_view(raw("040100505db8d822") + std::string(300, 'x'))));
    EXPECT_FALSE(parse_socks4(as_view(raw("040100500000000100") + std::string(300, 'x'))));
    EXPECT_FALSE(parse_socks4(as_view(raw("0401005000000001000a0a00"))));
}

TEST(SocksProxy, SpeaksSocks4And4a) {
    TestProxy proxy;
    auto client = proxy.call();
    client->send(raw("040100505db8d82200") + "early");
    EXPECT_EQ(client->received_hex(), "005a9c40c0a80105");
    EXPECT_EQ(proxy.web().received(), "early");
    auto named = proxy.call();
    named->send(raw("040100500000000100") + "web.example" + raw("00"));
    EXPECT_EQ(named->received_hex(), "005a9c40c0a80105");
    auto loopback = proxy.call();
    loopback->send(raw("040100507f00000100"));
    EXPECT_EQ(loopback->received_hex(), "005b000000000000");
    EXPECT_TRUE(loopback->ended());
}

TEST(SocksProxy, Socks4IsRefusedWhereAPasswordIsWanted) {
    TestProxy proxy(proxy_for_alice());
    auto client = proxy.call();
    client->send(raw("040100505db8d82200"));
    EXPECT_EQ(client->received_hex(), "005b000000000000");
    EXPECT_TRUE(client->ended());
    EXPECT_TRUE(proxy.dialer.log.empty());
}

TEST(SocksProxy, BindTakesTheExpectedPeerAndNobodyElse) {
    TestProxy proxy;
    auto client = proxy.call();
    client->send(kHello + raw("050200010a9001080000"));  // from 10.144.1.8
    EXPECT_EQ(client->received_hex().substr(0, 24), "0500050000010a900101c351");
    const Endpoint bound{kNodeAddress, 0xc351};
    auto stranger = proxy.ports.connect({IpAddress::v4(10, 144, 1, 9), 20}, bound);
    EXPECT_TRUE(stranger->ended());
    auto peer = proxy.ports.connect({IpAddress::v4(10, 144, 1, 8), 20}, bound);
    EXPECT_EQ(client->received_hex(), "050000010a9001080014");
    EXPECT_FALSE(proxy.ports.is_open(bound)) << "one connection only";
    peer->send("data");
    EXPECT_EQ(client->received(), "data");
}

TEST(SocksProxy, BindEndsWhenNobodyComes) {
    TestProxy proxy;
    auto client = proxy.call();
    client->send(kHello + raw("050200010a9001080000"));
    static_cast<void>(client->received());
    proxy.runtime.run_for(61s);
    EXPECT_EQ(client->received_hex(), "05060001000000000000");
    EXPECT_TRUE(client->ended());
}

TEST(SocksProxy, BindForTheHostsNetworkNeedsAnAddressToListenAt) {
    TestProxy proxy;
    auto client = proxy.call();
    client->send(kHello + raw("050200015db8d8220000"));
    EXPECT_TRUE(client->ended());
    TestProxy listening(OptionsBuilder("proxy").set("bind_host", std::string("192.168.1.5")).build()
    );
    auto again = listening.call();
    again->send(kHello + raw("050200015db8d8220000"));
    EXPECT_EQ(again->received_hex().substr(0, 20), "050005000001c0a80105");
}

struct UdpWorld : TestProxy {
    UdpWorld()
        : server(runtime, ports.net, {IpAddress::v4(93, 184, 216, 34), 53}),
          member(runtime, ports.net, {IpAddress::v4(10, 144, 1, 8), 7000}),
          program(runtime, ports.net, {kLaptopAddress, 4000}),
          control(call()) {
        control->send(kHello + raw("05030001000000000000"));
        const std::string reply = control->received_hex();
        EXPECT_EQ(reply.substr(0, 20), "0500050000010a900101");
        relay = {
            kNodeAddress, static_cast<std::uint16_t>(std::stoul(reply.substr(20), nullptr, 16))
        };
    }
    DatagramClient server;
    DatagramClient member;
    DatagramClient program;
    ClientPtr control;
    Endpoint relay;
};

const std::string kToServer = raw("000000015db8d8220035");

TEST(SocksUdp, CarriesAQuestionAndItsAnswer) {
    UdpWorld world;
    world.program.send(world.relay, kToServer + "question");
    const auto asked = world.server.received();
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_EQ(asked[0].second, "question");
    world.server.send(asked[0].first, "answer");
    const auto answers = world.program.received();
    ASSERT_EQ(answers.size(), 1U);
    EXPECT_EQ(answers[0].first, world.relay);
    EXPECT_EQ(answers[0].second, kToServer + "answer");
    EXPECT_EQ(world.host->sessions().at(0).note, "datagrams");
    EXPECT_GT(world.host->sessions().at(0).bytes_in, 18U);
}

TEST(SocksUdp, NamesAndTheMeshAreReachedToo) {
    UdpWorld world;
    world.dialer.names["dns.example"] = {{IpAddress::v4(93, 184, 216, 34)}};
    world.program.send(world.relay, raw("000000030b") + "dns.example" + raw("0035") + "by name");
    EXPECT_EQ(world.server.received().size(), 1U);
    world.program.send(world.relay, raw("000000010a9001081b58") + "to a member");
    const auto got = world.member.received();
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got[0].first.address, kNodeAddress);
}

TEST(SocksUdp, FragmentsStrangersAndClosedPlacesAreDropped) {
    UdpWorld world;
    world.program.send(world.relay, raw("000001015db8d8220035") + "a fragment");
    world.program.send(world.relay, raw("00000001"));
    world.program.send(world.relay, raw("000000017f0000010035") + "to loopback");
    DatagramClient stranger(world.runtime, world.ports.net, {IpAddress::v4(10, 144, 1, 9), 4000});
    stranger.send(world.relay, kToServer + "not mine");
    EXPECT_TRUE(world.server.received().empty());
    world.program.send(world.relay, kToServer + "question");
    const auto asked = world.server.received();
    ASSERT_EQ(asked.size(), 1U);
    // Somebody that nobody asked answers.
    DatagramClient liar(world.runtime, world.ports.net, {IpAddress::v4(93, 184, 216, 35), 53});
    liar.send(asked[0].first, "a lie");
    // Another program of the same member cannot take the association over.
    DatagramClient other(world.runtime, world.ports.net, {kLaptopAddress, 4001});
    other.send(world.relay, kToServer + "mine now");
    EXPECT_TRUE(world.server.received().empty());
    EXPECT_TRUE(world.program.received().empty());
}

TEST(SocksUdp, EndsWithItsConnection) {
    UdpWorld world;
    world.control->vanish();
    EXPECT_TRUE(world.host->sessions().empty());
    world.program.send(world.relay, kToServer + "too late");
    EXPECT_TRUE(world.server.received().empty());
}

TEST(Outbound, FamiliesTakeTurns) {
    const auto a = IpAddress::v4(1, 0, 0, 1);
    const auto b = IpAddress::v4(1, 0, 0, 2);
    const auto six = IpAddress::parse("2001:db8::1").value();
    EXPECT_EQ(interleave_families({a, b, six}), (std::vector<IpAddress>{six, a, b}));
}

TEST(Outbound, ASlowAddressDoesNotHoldUpTheOthers) {
    TestProxy proxy;
    const Endpoint slow{IpAddress::parse("2001:db8::1").value(), 80};
    proxy.dialer.listening[slow] = true;
    proxy.dialer.slow[slow] = 5s;
    proxy.dialer.names["two.example"] = {{kWebServer.address, slow.address}};
    auto client = proxy.call();
    client->send("CONNECT two.example:80 HTTP/1.1\r\n\r\n");
    proxy.runtime.run_for(240ms);
    EXPECT_EQ(client->received(), "");
    proxy.runtime.run_for(20ms);
    EXPECT_TRUE(client->received().starts_with("HTTP/1.1 200"));
    proxy.web().send("from the quick one");
    EXPECT_EQ(client->received(), "from the quick one");
    proxy.runtime.run_for(6s);
    EXPECT_FALSE(proxy.dialer.reached.contains(slow)) << "the loser was dropped";
}

TEST(Proxy, NewRulesEndTheSessionsThatTheyDoNotAllow) {
    TestProxy proxy;
    const Endpoint other{IpAddress::v4(10, 144, 1, 9), 22};
    proxy.dialer.listening[other] = true;
    auto web = proxy.call();
    web->send(kHello + raw("050100015db8d8220050"));
    auto mesh = proxy.call();
    mesh->send(kHello + raw("050100010a9001090016"));
    OptionsBuilder builder("proxy");
    OptionTable rule;
    rule.set("action", OptionValue(std::string("deny"), {}));
    rule.set("to", OptionValue(std::string("93.0.0.0/8"), {}));
    builder.table().append("rule", OptionValue(std::move(rule), {}));
    std::vector<ServiceOptions> changed;
    changed.push_back(builder.build());
    ASSERT_TRUE(builder.problems.empty());
    ASSERT_TRUE(proxy.host->apply(std::move(changed)));
    proxy.runtime.run_for(1s);
    EXPECT_TRUE(web->ended());
    EXPECT_FALSE(mesh->ended());
    EXPECT_EQ(proxy.sink->count("its destination is closed now"), 1U);
}

TEST(Proxy, APasswordThatChangesEndsItsSessions) {
    TestProxy proxy(proxy_for_alice());
    auto client = proxy.call();
    client->send(
        "CONNECT web.example:80 HTTP/1.1\r\nProxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n\r\n"
    );
    proxy.runtime.run_for(1s);
    EXPECT_TRUE(client->received().starts_with("HTTP/1.1 200"));
    std::vector<ServiceOptions> changed;
    changed.push_back(OptionsBuilder("proxy").user("bob", kSecretHash).build());
    ASSERT_TRUE(proxy.host->apply(std::move(changed)));
    proxy.runtime.run_for(1s);
    EXPECT_TRUE(client->ended());
}

TEST(Proxy, FiveThousandCallersCostNoMoreThanTheLimit) {
    TestProxy proxy(OptionsBuilder("proxy")
                        .set("max_sessions", std::int64_t{500})
                        .set("max_sessions_per_caller", std::int64_t{500})
                        .build());
    std::vector<ClientPtr> clients;
    for (int i = 0; i < 5000; ++i) {
        clients.push_back(proxy.call());
        clients.back()->send("G");  // and never the rest
    }
    EXPECT_EQ(proxy.host->sessions().size(), 500U);
    EXPECT_EQ(proxy.info().counters.refused_limit, 4500U);
    EXPECT_LE(proxy.sink->count("caller refused"), 10U);
    proxy.runtime.run_for(11s);
    EXPECT_TRUE(proxy.host->sessions().empty()) << "who does not say what it wants is dropped";
    EXPECT_FALSE(proxy.call()->ended());
}

TEST(Proxy, ASlowReaderHoldsUpItsServerAndNothingElse) {
    TestProxy proxy;
    auto slow = proxy.ports.connect({kLaptopAddress, 4000}, {kNodeAddress, 1080}, 4096);
    slow->send(kHello + raw("050100015db8d8220050"));
    slow->stop_reading();
    bool all_sent = false;
    proxy.web().send_later(std::string(4'000'000, 'x'), all_sent);
    proxy.runtime.run_for(1min);
    EXPECT_FALSE(all_sent);
    // Two buffers of the copy and what the streams between hold, however long it lasts.
    EXPECT_LE(proxy.host->sessions().at(0).bytes_out, 300'000U);
    auto other = proxy.call();
    other->send("CONNECT web.example:80 HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(other->received().starts_with("HTTP/1.1 200"));
}

}  // namespace
}  // namespace selvage::edge
