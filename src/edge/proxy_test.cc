// SOCKS5 byte by byte, and the proxy service with a network to dial into.
#include <gtest/gtest.h>

#include "edge/relay.h"
#include "edge/socks5.h"
#include "edge/test_fakes.h"

namespace selvage::edge {
namespace {

std::string bytes(std::string_view hex) {
    const Bytes raw = from_hex(hex).value();
    return std::string(as_text(raw));
}

const std::string kHello = bytes("050100");
const std::string kConnectWeb = bytes("050100015db8d8220050");  // 93.184.216.34:80
const Endpoint kWeb{IpAddress::v4(93, 184, 216, 34), 80};

std::string connect_name(std::string_view name, std::uint16_t port) {
    std::string out = bytes("05010003");
    out.push_back(static_cast<char>(name.size()));
    out += name;
    out.push_back(static_cast<char>(port >> 8));
    out.push_back(static_cast<char>(port & 0xff));
    return out;
}

TEST(Socks5, EverySplitOfTheInputGivesTheSameConversation) {
    const std::string input =
        bytes("05020002") + bytes("0105616c69636506736563726574") + kConnectWeb + "GET /";
    for (std::size_t split = 0; split <= input.size(); ++split) {
        Socks5Handshake handshake(true);
        handshake.feed(as_view(std::string_view(input).substr(0, split)));
        if (handshake.state() == Socks5Handshake::State::credentials_given) {
            handshake.on_verified(true);
        }
        handshake.feed(as_view(std::string_view(input).substr(split)));
        if (handshake.state() == Socks5Handshake::State::credentials_given) {
            EXPECT_EQ(handshake.user(), "alice");
            EXPECT_EQ(handshake.password().reveal(), "secret");
            handshake.on_verified(true);
        }
        ASSERT_EQ(handshake.state(), Socks5Handshake::State::done) << "split at " << split;
        EXPECT_EQ(to_hex(handshake.take_output()), "05020100");
        EXPECT_EQ(handshake.request().address, kWeb.address);
        EXPECT_EQ(handshake.request().port, 80);
        EXPECT_EQ(as_text(handshake.take_rest()), "GET /");
    }
}

// What the server answers to the whole input, as hex, and how it ends.
std::string answer_to(std::string_view hex, bool needs_password = false) {
    Socks5Handshake handshake(needs_password);
    handshake.feed(from_hex(hex).value());
    const char* end = handshake.state() == Socks5Handshake::State::failed ? " failed"
                      : handshake.state() == Socks5Handshake::State::done ? " done"
                                                                          : " waiting";
    return to_hex(handshake.take_output()) + end;
}

TEST(Socks5, AnswersMethodsAndErrorsAsTheRfcWants) {
    EXPECT_EQ(answer_to("050100"), "0500 waiting");
    EXPECT_EQ(answer_to("05020001"), "0500 waiting");
    EXPECT_EQ(answer_to("050102"), "05ff failed");
    EXPECT_EQ(answer_to("0500"), "05ff failed");
    EXPECT_EQ(answer_to("050100", true), "05ff failed");
    EXPECT_EQ(answer_to("05020002", true), "0502 waiting");
    EXPECT_EQ(
        answer_to(
            "050102"
            "05",
            true
        ),
        "0502 failed"
    );
    EXPECT_EQ(answer_to("04010050"), " failed");    // SOCKS4
    EXPECT_EQ(answer_to("474554202f"), " failed");  // HTTP
    EXPECT_EQ(
        answer_to("050100"
                  "050200017f0000010000"),
        "0500 done"
    );  // BIND
    EXPECT_EQ(
        answer_to("050100"
                  "05030001000000000000"),
        "0500 done"
    );  // UDP ASSOCIATE, from where is not known yet
    EXPECT_EQ(
        answer_to("050100"
                  "05040001"),
        "050005070001000000000000 failed"
    );
    EXPECT_EQ(
        answer_to("050100"
                  "05010002"),
        "050005080001000000000000 failed"
    );  // type 2
    EXPECT_EQ(
        answer_to("050100"
                  "04010001"),
        "0500 failed"
    );
    EXPECT_EQ(
        answer_to("050100"
                  "0501000300"
                  "0050"),
        "050005040001000000000000 failed"
    );
    EXPECT_EQ(
        answer_to("050100"
                  "050100030161"
                  "0000"),
        "050005050001000000000000 failed"
    );
    EXPECT_EQ(
        answer_to("050100"
                  "0501000303610a620050"),
        "050005040001000000000000 failed"
    );
    EXPECT_EQ(
        answer_to("050100"
                  "0501ff0300"),
        "0500 waiting"
    );
    EXPECT_EQ(
        answer_to("050100"
                  "0501000420010db80000000000000000000000010050"),
        "0500 done"
    );
}

TEST(Socks5, FailuresOfDiallingHaveTheirReplies) {
    EXPECT_EQ(socks_reply_of(Errc::denied), SocksReply::not_allowed);
    EXPECT_EQ(socks_reply_of(Errc::unreachable), SocksReply::network_unreachable);
    EXPECT_EQ(socks_reply_of(Errc::not_found), SocksReply::host_unreachable);
    EXPECT_EQ(socks_reply_of(Errc::refused), SocksReply::refused);
    EXPECT_EQ(socks_reply_of(Errc::timed_out), SocksReply::ttl_expired);
    EXPECT_EQ(socks_reply_of(Errc::internal), SocksReply::general_failure);
    const auto of_system = [](std::errc code) {
        return socks_reply_of(Error(std::make_error_code(code)));
    };
    EXPECT_EQ(of_system(std::errc::connection_refused), SocksReply::refused);
    EXPECT_EQ(of_system(std::errc::host_unreachable), SocksReply::host_unreachable);
    EXPECT_EQ(of_system(std::errc::network_unreachable), SocksReply::network_unreachable);
    EXPECT_EQ(of_system(std::errc::timed_out), SocksReply::ttl_expired);
}

struct ProxyWorld : ServiceWorld {
    explicit ProxyWorld(ServiceOptions options = OptionsBuilder("proxy").build())
        : ServiceWorld(std::move(options)) {
        EXPECT_TRUE(host->start());
        dialer.listening[kWeb] = true;
    }
    ClientPtr call() { return ports.connect(port); }
};

constexpr std::string_view kConnected = "05000001c0a801059c40";  // 192.168.1.5:40000

TEST(Proxy, CarriesBytesBothWaysAndHalfCloses) {
    ProxyWorld world;
    auto client = world.call();
    client->send(kHello);
    EXPECT_EQ(client->received_hex(), "0500");
    client->send(kConnectWeb);
    EXPECT_EQ(client->received_hex(), kConnected);
    EXPECT_EQ(world.dialer.log, std::vector<std::string>{"host 93.184.216.34:80"});
    auto& web = *world.dialer.reached.at(kWeb);
    client->send("GET /");
    client->finish();
    EXPECT_EQ(web.received(), "GET /");
    EXPECT_TRUE(web.ended());
    EXPECT_EQ(world.host->sessions().size(), 1U);
    EXPECT_EQ(world.host->sessions()[0].note, "to 93.184.216.34:80");
    web.send("200 OK");
    EXPECT_EQ(client->received(), "200 OK");
    EXPECT_EQ(world.host->sessions()[0].bytes_in, 3U + 10U + 5U);
    EXPECT_EQ(world.host->sessions()[0].bytes_out, 2U + 10U + 6U);
    web.finish();
    EXPECT_TRUE(client->ended());
    EXPECT_TRUE(world.host->sessions().empty());
}

TEST(Proxy, AHalfClosedSessionThatIsSilentEndsAfterMinutes) {
    ProxyWorld world;
    auto client = world.call();
    client->send(kHello);
    client->send(kConnectWeb);
    auto& web = *world.dialer.reached.at(kWeb);
    static_cast<void>(client->received());
    world.runtime.run_for(kHalfClosedLimit * 2);
    EXPECT_FALSE(client->ended()) << "nobody has finished";
    client->finish();
    for (int i = 0; i < 3; ++i) {
        world.runtime.run_for(kHalfClosedLimit - 1s);
        web.send("x");
    }
    EXPECT_EQ(client->received(), "xxx");
    EXPECT_FALSE(client->ended());
    world.runtime.run_for(kHalfClosedLimit + 1s);
    EXPECT_TRUE(client->ended());
    EXPECT_TRUE(world.host->sessions().empty());
}

TEST(Proxy, TheFarSideMayFinishFirst) {
    ProxyWorld world;
    auto client = world.call();
    client->send(kHello + kConnectWeb);
    auto& web = *world.dialer.reached.at(kWeb);
    web.finish();
    EXPECT_TRUE(client->ended());
    client->send("still here");
    EXPECT_EQ(web.received(), "still here");
}

TEST(Proxy, DataInTheSegmentOfTheRequestIsNotLost) {
    ProxyWorld world;
    auto client = world.call();
    client->send(kHello + kConnectWeb + "early");
    EXPECT_EQ(world.dialer.reached.at(kWeb)->received(), "early");
}

TEST(Proxy, LargeTransfersArriveWhole) {
    ProxyWorld world;
    auto client = world.call();
    client->send(kHello + kConnectWeb);
    static_cast<void>(client->received());
    std::string big(3'000'000, 'x');
    for (std::size_t i = 0; i < big.size(); i += 1000)
        big[i] = static_cast<char>('a' + i / 1000 % 26);
    world.dialer.reached.at(kWeb)->send(big);
    EXPECT_EQ(client->received(), big);
    client->send(big);
    EXPECT_EQ(world.dialer.reached.at(kWeb)->received(), big);
}

TEST(Proxy, AGreetingThatEndsEarlyIsStillAnswered) {
    ProxyWorld world;
    auto client = world.call();
    client->send(kHello);
    client->finish();
    EXPECT_EQ(client->received_hex(), "0500");
    EXPECT_TRUE(client->ended());
    EXPECT_TRUE(world.host->sessions().empty());
}

TEST(Proxy, AFailureOfOneSideEndsTheOther) {
    ProxyWorld world;
    auto client = world.call();
    client->send(kHello + kConnectWeb);
    world.dialer.reached.at(kWeb)->vanish();
    EXPECT_TRUE(client->ended());
    EXPECT_TRUE(world.host->sessions().empty());
}

TEST(Proxy, MeshDestinationsAreDialledThroughTheMesh) {
    ProxyWorld world;
    world.dialer.listening[{IpAddress::v4(10, 144, 1, 9), 22}] = true;
    auto client = world.call();
    client->send(kHello + bytes("050100010a9001090016"));
    EXPECT_EQ(world.dialer.log, std::vector<std::string>{"mesh 10.144.1.9:22"});
}

// What the proxy replies to CONNECT, in the second byte.
int reply_to(ProxyWorld& world, const std::string& request) {
    auto client = world.call();
    client->send(kHello);
    static_cast<void>(client->received());
    client->send(request);
    world.runtime.run_for(15s);
    const std::string reply = client->received();
    if (reply.size() != 10) return -1;
    if (reply[1] != 0) EXPECT_TRUE(client->ended());
    return static_cast<unsigned char>(reply[1]);
}

TEST(Proxy, EveryFailureHasItsReply) {
    ProxyWorld world;
    EXPECT_EQ(reply_to(world, bytes("050100017f0000010050")), 2);  // loopback
    EXPECT_EQ(reply_to(world, bytes("05010001010203040050")), 3);  // nothing there
    EXPECT_EQ(reply_to(world, connect_name("nowhere.example", 80)), 4);
    world.dialer.failing.emplace(kWeb, Errc::refused);
    EXPECT_EQ(reply_to(world, kConnectWeb), 5);
    world.dialer.failing.clear();
    world.dialer.slow[kWeb] = 11s;
    EXPECT_EQ(reply_to(world, kConnectWeb), 6);
    EXPECT_TRUE(world.host->sessions().empty());
}

TEST(Proxy, NamesAreResolvedHereAndTheCheckedAddressIsDialled) {
    ProxyWorld world;
    world.dialer.names["web.example"] = {{kWeb.address}};
    EXPECT_EQ(reply_to(world, connect_name("web.example", 80)), 0);
    EXPECT_EQ(
        world.dialer.log, (std::vector<std::string>{"resolve web.example", "host 93.184.216.34:80"})
    );
}

TEST(Proxy, ANameThatChangesItsMindGainsNothing) {
    ProxyWorld world;
    const IpAddress loopback = IpAddress::v4(127, 0, 0, 1);
    world.dialer.listening[{loopback, 80}] = true;
    world.dialer.names["evil.example"] = {{kWeb.address}, {loopback}};
    EXPECT_EQ(reply_to(world, connect_name("evil.example", 80)), 0);
    EXPECT_EQ(
        world.dialer.log,
        (std::vector<std::string>{"resolve evil.example", "host 93.184.216.34:80"})
    );
    world.dialer.log.clear();
    EXPECT_EQ(reply_to(world, connect_name("evil.example", 80)), 2);
    EXPECT_EQ(world.dialer.log, std::vector<std::string>{"resolve evil.example"});
    EXPECT_EQ(world.sink->count("evil.example is 127.0.0.1:80: loopback"), 1U);
}

TEST(Proxy, AnAddressDressedAsANameIsAnAddress) {
    ProxyWorld world;
    EXPECT_EQ(reply_to(world, connect_name("127.0.0.1", 80)), 2);
    EXPECT_EQ(reply_to(world, connect_name("::ffff:127.0.0.1", 80)), 2);
    EXPECT_EQ(reply_to(world, connect_name("93.184.216.34", 80)), 0);
}

TEST(Proxy, TheNextAddressOfANameIsTriedWhenOneFails) {
    ProxyWorld world;
    const IpAddress dead = IpAddress::v4(93, 0, 0, 1);
    world.dialer.names["two.example"] = {{IpAddress::v4(127, 0, 0, 1), dead, kWeb.address}};
    EXPECT_EQ(reply_to(world, connect_name("two.example", 80)), 0);
    EXPECT_EQ(world.dialer.log.back(), "host 93.184.216.34:80");
}

TEST(Proxy, ASilentClientIsDroppedAfterTenSeconds) {
    ProxyWorld world;
    auto client = world.call();
    client->send(bytes("05"));
    world.runtime.run_for(9s);
    EXPECT_FALSE(client->ended());
    world.runtime.run_for(2s);
    EXPECT_TRUE(client->ended());
    EXPECT_TRUE(world.host->sessions().empty());
}

ServiceOptions with_alice() {
    return OptionsBuilder("proxy").user("alice", kSecretHash).build();
}

TEST(Proxy, ARightPasswordOpensAndAWrongOneIsAnsweredLate) {
    ProxyWorld world(with_alice());
    auto client = world.call();
    client->send(bytes("050102"));
    EXPECT_EQ(client->received_hex(), "0502");
    client->send(bytes("0105616c69636505") + "wrong");
    world.runtime.run_for(900ms);
    EXPECT_EQ(client->received_hex(), "");
    world.runtime.run_for(200ms);
    EXPECT_EQ(client->received_hex(), "0101");
    EXPECT_TRUE(client->ended());
    EXPECT_EQ(world.sink->count("login failed"), 1U);
    EXPECT_EQ(world.sink->count("wrong"), 0U);

    auto again = world.call();
    again->send(bytes("050102") + bytes("0105616c69636506736563726574") + kConnectWeb);
    world.runtime.run_for(1s);
    EXPECT_EQ(again->received_hex(), "05020100" + std::string(kConnected));
}

TEST(Proxy, GuessesOfOneCallerGetSlowerAndDoNotRunAtOnce) {
    ProxyWorld world(with_alice());
    std::vector<ClientPtr> clients;
    for (int i = 0; i < 6; ++i) {
        clients.push_back(world.call());
        clients.back()->send(bytes("050102") + bytes("0105616c69636505") + "wrong");
    }
    // Four wait for their turn; the others are turned away without a check.
    EXPECT_TRUE(clients[4]->ended());
    EXPECT_TRUE(clients[5]->ended());
    world.runtime.run_for(1100ms);
    EXPECT_TRUE(clients[0]->ended());
    EXPECT_FALSE(clients[1]->ended());
    world.runtime.run_for(2s);
    EXPECT_TRUE(clients[1]->ended());
    EXPECT_FALSE(clients[2]->ended());
    world.runtime.run_for(13s);
    EXPECT_TRUE(clients[3]->ended());
}

TEST(Proxy, ProgramsOfThisHostMayUseItWhereListenHostSays) {
    auto options =
        OptionsBuilder("proxy").set("listen_host", std::string("127.0.0.1:1080")).build();
    ProxyWorld world(std::move(options));
    const Endpoint local{IpAddress::v4(127, 0, 0, 1), 1080};
    auto client = world.ports.connect({IpAddress::v4(127, 0, 0, 1), 5000}, local);
    client->send(kHello + kConnectWeb);
    EXPECT_EQ(client->received_hex(), "0500" + std::string(kConnected));
    EXPECT_EQ(world.host->sessions().at(0).caller.to_string(), "host 127.0.0.1:5000");
}

}  // namespace
}  // namespace selvage::edge
