// Forwards in both directions, for streams and datagrams.
#include "edge/forward.h"

#include <gtest/gtest.h>

#include "edge/test_fakes.h"

namespace selvage::edge {
namespace {

const Endpoint kTarget{IpAddress::v4(127, 0, 0, 1), 80};
const Endpoint kMember{IpAddress::v4(10, 144, 1, 8), 7000};
const Endpoint kHostPort{IpAddress::v4(127, 0, 0, 1), 8080};

class ForwardTest : public testing::Test {
protected:
    ForwardTest() { dialer.listening[kTarget] = dialer.listening[kMember] = true; }
    ~ForwardTest() override { runtime.run(forwards->stop()); }

    void start(ForwardOptions options) {
        std::vector<ForwardOptions> all;
        all.push_back(std::move(options));
        forwards = std::make_unique<Forwards>(
            Forwards::Parts{
                .runtime = runtime,
                .log = Log(),
                .node = node,
                .dialer = dialer,
                .ports = ports,
                .host_listener = ports
            },
            std::move(all)
        );
        ASSERT_TRUE(forwards->start());
    }
    static ForwardOptions to_host(bool udp) {
        ForwardOptions out;
        out.from = Origin::mesh;
        out.udp = udp;
        out.listen.port = 8080;
        out.to = {.name = {}, .address = kTarget.address, .port = kTarget.port};
        out.allow.add(HostName{"laptop"});
        return out;
    }
    static ForwardOptions to_mesh(bool udp) {
        ForwardOptions out;
        out.udp = udp;
        out.listen = kHostPort;
        out.to = {.name = {}, .address = kMember.address, .port = kMember.port};
        out.open_to_all = true;
        return out;
    }
    ForwardInfo info() const { return forwards->list().at(0); }

    rt::VirtualRuntime runtime;
    FakePorts ports{runtime};
    FakeNode node;
    FakeDialer dialer{runtime, ports.net};
    std::unique_ptr<Forwards> forwards;
};

TEST_F(ForwardTest, AllowedMembersReachTheHostsPlace) {
    start(to_host(false));
    auto client = ports.connect(8080);
    client->send("hello");
    client->finish();
    auto& target = *dialer.reached.at(kTarget);
    EXPECT_EQ(target.received(), "hello");
    EXPECT_TRUE(target.ended());
    target.send("answer");
    EXPECT_EQ(client->received(), "answer");
    auto phone = ports.connect(8080, IpAddress::v4(10, 144, 1, 8));
    EXPECT_TRUE(phone->ended());
    EXPECT_EQ(info().refused, 1U);
    EXPECT_EQ(info().live, 1U);
    target.finish();
    runtime.run_for(1s);
    EXPECT_EQ(info().live, 0U);
}

TEST_F(ForwardTest, ProgramsOfTheHostReachTheMeshsPlace) {
    start(to_mesh(false));
    auto client = ports.connect({IpAddress::v4(127, 0, 0, 1), 5000}, kHostPort);
    client->send("hello");
    EXPECT_EQ(dialer.log, std::vector<std::string>{"mesh 10.144.1.8:7000"});
    EXPECT_EQ(dialer.reached.at(kMember)->received(), "hello");
}

TEST_F(ForwardTest, ATargetThatIsDownIsAReset) {
    dialer.listening.clear();
    start(to_host(false));
    auto client = ports.connect(8080);
    EXPECT_TRUE(client->ended());
    EXPECT_EQ(info().failed, 1U);
    EXPECT_EQ(info().live, 0U);
}

TEST_F(ForwardTest, TheTargetIsToldWhoCalls) {
    auto options = to_host(false);
    options.proxy_protocol = true;
    start(std::move(options));
    auto client = ports.connect({kLaptopAddress, 0x1234}, {kNodeAddress, 8080});
    client->send("x");
    EXPECT_EQ(
        dialer.reached.at(kTarget)->received_hex(),
        "0d0a0d0a000d0a515549540a2111000c0a9001070a90010112341f9078"
    );
}

TEST_F(ForwardTest, DatagramsOfEachSenderHaveTheirOwnWayBack) {
    DatagramClient target(runtime, ports.net, kTarget);
    start(to_host(true));
    DatagramClient one(runtime, ports.net, {kLaptopAddress, 4000});
    DatagramClient two(runtime, ports.net, {kLaptopAddress, 4001});
    DatagramClient phone(runtime, ports.net, {IpAddress::v4(10, 144, 1, 8), 4000});
    const Endpoint port{kNodeAddress, 8080};
    one.send(port, "one");
    two.send(port, "two");
    phone.send(port, "not allowed");
    const auto got = target.received();
    ASSERT_EQ(got.size(), 2U);
    EXPECT_NE(got[0].first, got[1].first);
    target.send(got[1].first, "to two");
    target.send(got[0].first, "to one");
    ASSERT_EQ(one.received().at(0).second, "to one");
    EXPECT_EQ(info().live, 2U);
    EXPECT_EQ(info().refused, 1U);
    DatagramClient stranger(runtime, ports.net, {IpAddress::v4(192, 168, 1, 9), 80});
    stranger.send(got[0].first, "a lie");
    EXPECT_TRUE(one.received().empty());
    runtime.run_for(2min);
    EXPECT_EQ(info().live, 0U);
    one.send(port, "again");
    EXPECT_EQ(target.received().size(), 1U);
}

TEST_F(ForwardTest, OneMemberCannotTakeAllPlaces) {
    dialer.listening[kTarget] = true;
    start(to_host(true));
    const Endpoint port{kNodeAddress, 8080};
    std::vector<std::unique_ptr<DatagramClient>> laptop;
    for (std::uint16_t i = 0; i < 140; ++i) {
        laptop.push_back(std::make_unique<DatagramClient>(
            runtime, ports.net, Endpoint{kLaptopAddress, static_cast<std::uint16_t>(4000 + i)}
        ));
        laptop.back()->send(port, "x");
    }
    EXPECT_EQ(info().live, 128U);
    EXPECT_EQ(info().refused, 12U);
    node.add(IpAddress::v4(10, 144, 1, 9), 9, "laptop");  // another node of that name
    DatagramClient other(runtime, ports.net, {IpAddress::v4(10, 144, 1, 9), 1});
    other.send(port, "x");
    EXPECT_EQ(info().live, 129U);
    runtime.run_for(2min);
    laptop[0]->send(port, "x");
    EXPECT_EQ(info().live, 1U);
}

TEST_F(ForwardTest, ASlowLookUpHoldsUpItsOwnSenderOnly) {
    DatagramClient target(runtime, ports.net, kTarget);
    auto options = to_host(true);
    options.to = {.name = "slow.example", .address = {}, .port = kTarget.port};
    dialer.names["slow.example"] = {{kTarget.address}};
    dialer.slow_names["slow.example"] = 5s;
    start(std::move(options));
    const Endpoint port{kNodeAddress, 8080};
    DatagramClient one(runtime, ports.net, {kLaptopAddress, 4000});
    for (int i = 0; i < 10; ++i)
        one.send(port, "while it is looked up");
    dialer.slow_names.clear();
    DatagramClient two(runtime, ports.net, {kLaptopAddress, 4001});
    two.send(port, "quick");
    EXPECT_EQ(target.received().size(), 1U);
    runtime.run_for(6s);
    EXPECT_EQ(target.received().size(), 4U) << "the first few waited";
}

std::string problems_of(OptionTable row, std::string_view key) {
    OptionTable document;
    document.append(key, OptionValue(std::move(row), {}));
    std::vector<OptionProblem> problems;
    OptionReader in(document, "", {}, problems);
    static_cast<void>(read_forwards(in));
    std::string out;
    for (const auto& each : problems)
        out += each.key + ": " + each.text + "\n";
    return out;
}

OptionTable row_of(std::initializer_list<std::pair<std::string_view, std::string_view>> values) {
    OptionTable out;
    for (const auto& [key, value] : values)
        out.set(key, OptionValue(std::string(value), {}));
    return out;
}

TEST(ForwardOptions, AreReadAndMistakesNamed) {
    EXPECT_EQ(
        problems_of(
            row_of({{"listen", "8080"}, {"to", "localhost:80"}, {"allow", "laptop"}}), "forward"
        ),
        ""
    );
    EXPECT_EQ(
        problems_of(
            row_of({{"from", "host"}, {"listen", "127.0.0.1:53"}, {"to", "[fd00::1]:53"}}),
            "forward"
        ),
        ""
    );
    EXPECT_NE(problems_of(row_of({{"listen", "8080"}, {"to", "x:80"}}), "forward"), "");
    EXPECT_NE(
        problems_of(row_of({{"listen", "x"}, {"allow", "y"}, {"to", "x:80"}}), "forward"), ""
    );
    EXPECT_EQ(
        problems_of(
            row_of({{"bind_addr", "0.0.0.0:1"}, {"dst_addr", "10.144.1.2:2"}, {"proto", "tcp"}}),
            "port_forward"
        ),
        ""
    );
    EXPECT_EQ(
        problems_of(
            row_of({{"bind_addr", "0.0.0.0:1"}, {"dst_addr", "10.144.1.2:2"}, {"proto", "sctp"}}),
            "port_forward"
        ),
        "port_forward.proto: must be tcp or udp\n"
    );
}

}  // namespace
}  // namespace selvage::edge
