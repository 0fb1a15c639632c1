// Whole nodes on simulated hosts walk the path of a user: join the mesh, ping, a web page through
// the proxy, a shell, and everything that goes wrong on the way.
#include <gtest/gtest.h>

#include "packet/checksum.h"
#include "programs.h"
#include "seeds.h"
#include "selvage_host.h"

namespace selvage::sim {
namespace {

constexpr std::uint16_t kEchoPort = 7;
constexpr std::uint16_t kShellPort = 23;
constexpr std::uint16_t kProxyPort = 1080;
constexpr std::size_t kPageBytes = 60'000;

// What the network between the two hosts does, and how the nodes use it.
struct Case {
    const char* name;
    const char* scheme;
    bool server_tun;
    bool client_tun;
    LinkOptions link;
};

// What a failing test prints.
[[maybe_unused]] void PrintTo(const Case& c, std::ostream* out) {
    *out << c.name;
}

constexpr LinkOptions kGood{.delay = 10ms};
constexpr LinkOptions kBad{
    .delay = 30ms, .jitter = 10ms, .loss = 0.02, .duplication = 0.01, .reordering = 0.03
};

const Case kCases[] = {
    {"TcpNoTun", "tcp", false, false, kGood},       {"TcpTun", "tcp", true, true, kGood},
    {"UdpNoTun", "udp", false, false, kGood},       {"UdpTun", "udp", true, true, kGood},
    {"TcpTunToNoTunBad", "tcp", false, true, kBad}, {"UdpTunToNoTunBad", "udp", false, true, kBad},
    {"UdpNoTunToTunBad", "udp", true, false, kBad},
};

// A client, a server with services, and a web server beyond that only the server's host reaches.
struct TwoNodes {
    TwoNodes(World& w, const Case& c, std::vector<std::string> allow = {"any-member"})
        : world(w),
          server(
              w, {.name = "server",
                  .address = "10.144.1.1/24",
                  .tun = c.server_tun,
                  .allow = std::move(allow)}
          ),
          client(
              w, {.name = "client",
                  .address = "10.144.1.2/24",
                  .tun = c.client_tun,
                  .peers = {server.url(c.scheme)}}
          ),
          web(w.add_host("web")) {
        world.link(server.host(), client.host(), c.link);
        world.cut(client.host(), web);
        world.set_name("web.example", {.addresses = {web.address()}});
        start_web_server(web, 80);
        server.start();
        client.start();
    }
    bool joined() {
        return world.run_until(
            [&] { return client.reaches(server) && server.reaches(client); }, 60s
        );
    }
    rt::StreamPtr dial(std::uint16_t port) {
        auto stream = world.run(client.dial({server.address(), port}));
        EXPECT_TRUE(stream) << "port " << port << ": " << stream.error().message();
        return stream ? std::move(*stream) : nullptr;
    }
    World& world;
    SelvageHost server;
    SelvageHost client;
    Host& web;
};

void expect_echo(TwoNodes& nodes, std::size_t bytes) {
    auto stream = nodes.dial(kEchoPort);
    ASSERT_TRUE(stream);
    const auto seen = nodes.world.run(echo_round(nodes.client.host(), *stream, bytes));
    ASSERT_TRUE(seen) << seen.error().message();
    EXPECT_EQ(*seen, bytes);
}

void expect_page(TwoNodes& nodes, const SocksTarget& target) {
    auto stream = nodes.dial(kProxyPort);
    ASSERT_TRUE(stream);
    const auto reply = nodes.world.run(socks_connect(*stream, target));
    ASSERT_TRUE(reply) << reply.error().message();
    ASSERT_EQ(*reply, 0);
    const auto seen = nodes.world.run(fetch(*stream, kPageBytes));
    ASSERT_TRUE(seen) << seen.error().message();
    EXPECT_EQ(*seen, kPageBytes);
}

void expect_refused_destination(TwoNodes& nodes, const SocksTarget& target) {
    auto stream = nodes.dial(kProxyPort);
    ASSERT_TRUE(stream);
    const auto reply = nodes.world.run(socks_connect(*stream, target));
    ASSERT_TRUE(reply) << reply.error().message();
    EXPECT_NE(*reply, 0);
}

rt::Task<Result<>> use_shell(TelnetClient& telnet) {
    for (const auto& [typed, wanted] :
         {std::pair{"", "$ "},
          {"whoami\r\n", "ops\r\n"},
          {"size\r\n", "80 24\r\n"},
          {"term\r\n", "xterm\r\n"}}) {
        if (auto sent = co_await telnet.type(typed); !sent) co_return sent;
        if (auto seen = co_await telnet.expect(wanted); !seen) co_return seen;
    }
    if (auto sent = co_await telnet.resize(132, 50); !sent) co_return sent;
    if (auto sent = co_await telnet.type("size\r\n"); !sent) co_return sent;
    if (auto seen = co_await telnet.expect("132 50\r\n"); !seen) co_return seen;
    if (auto sent = co_await telnet.type("exit\r\n"); !sent) co_return sent;
    co_return co_await telnet.expect_end();
}

void expect_shell(TwoNodes& nodes) {
    auto stream = nodes.dial(kShellPort);
    ASSERT_TRUE(stream);
    TelnetClient telnet(nodes.client.host().runtime(), std::move(stream));
    const auto used = nodes.world.run(use_shell(telnet));
    EXPECT_TRUE(used) << used.error().message();
    nodes.world.run_for(5s);
    EXPECT_EQ(nodes.server.host().terminals().running(), 0U);
}

class Walk : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Networks, Walk, testing::ValuesIn(kCases), [](const auto& param) {
    return std::string(param.param.name);
});

TEST_P(Walk, EndToEnd) {
    for_seeds(
        [](World& world) {
            TwoNodes nodes(world, GetParam());
            ASSERT_TRUE(nodes.joined());
            expect_echo(nodes, 100'000);
            expect_page(nodes, {.at = {nodes.web.address(), 80}});
            expect_page(nodes, {.name = "web.example", .at = {{}, 80}});
            expect_refused_destination(nodes, {.at = {IpAddress::v4(127, 0, 0, 1), 80}});
            expect_refused_destination(nodes, {.name = "nobody.example", .at = {{}, 80}});
            expect_shell(nodes);
            const auto closed = world.run(nodes.client.dial({nodes.server.address(), 81}));
            ASSERT_FALSE(closed);
            EXPECT_TRUE(closed.error().is(Errc::refused)) << closed.error().message();
        },
        {.seeds = 2}
    );
}

// --- the kernel's side ---

Bytes build_ping(const IpAddress& from, const IpAddress& to) {
    // IPv4 header with a zero checksum field, filled in below; echo request, id 1, sequence 1.
    Bytes packet = from_hex(
                       "4500001c0000000040010000" + to_hex(from.bytes()) + to_hex(to.bytes()) +
                       "0800f7fd00010001"
    )
                       .value();
    const auto sum = packet::checksum_finish(packet::checksum_add(ByteView(packet).first(20)));
    packet[10] = static_cast<std::uint8_t>(sum >> 8);
    packet[11] = static_cast<std::uint8_t>(sum);
    return packet;
}

TEST(Ping, IsAnsweredByTheKernelOrByTheStack) {
    for (const bool server_tun : {true, false}) {
        World world{{.seed = test_seed()}};
        TwoNodes nodes(world, {"ping", "tcp", server_tun, true, kGood});
        ASSERT_TRUE(nodes.joined());
        Host& host = nodes.client.host();
        host.tun().set_user(nullptr);  // a bare kernel, which keeps what arrives
        ASSERT_TRUE(host.tun().send(build_ping(nodes.client.address(), nodes.server.address())));
        EXPECT_TRUE(world.run_until([&] { return !host.tun().received().empty(); }, 5s));
        ASSERT_EQ(host.tun().received().size(), 1U);
        EXPECT_EQ(host.tun().received().front()[20], 0);  // echo reply
    }
}

rt::Task<> accept_and_note(rt::AcceptorPtr acceptor, std::optional<Endpoint>& seen) {
    auto stream = co_await acceptor->accept();
    if (stream) seen = (*stream)->remote();
}

TEST(Kernel, KeepsItsOwnPortsAndSeesTheCallersRealAddress) {
    World world{{.seed = test_seed()}};
    TwoNodes nodes(world, {"kernel", "udp", true, true, kGood});
    ASSERT_TRUE(nodes.joined());
    std::optional<Endpoint> caller;
    auto acceptor = nodes.server.programs().listen_tcp(8080).value();
    nodes.server.host().tasks().spawn("web", accept_and_note(std::move(acceptor), caller));
    auto stream = nodes.dial(8080);
    ASSERT_TRUE(stream);
    EXPECT_TRUE(world.run_until([&] { return caller.has_value(); }, 5s));
    EXPECT_EQ(caller->address, nodes.client.address());
    expect_echo(nodes, 1000);  // and the claimed port is still ours
}

// --- who may not ---

TEST(Callers, WhoAreNotAllowedAreResetAndCounted) {
    World world{{.seed = test_seed()}};
    TwoNodes nodes(world, kCases[0], {"somebody-else"});
    ASSERT_TRUE(nodes.joined());
    auto stream = world.run(nodes.client.dial({nodes.server.address(), kEchoPort}));
    if (stream) {
        Bytes buffer(10);
        EXPECT_FALSE(world.run((*stream)->read_some(buffer)));
    }
    std::uint64_t refused = 0;
    for (const auto& service : nodes.server.node().services().services())
        refused += service.counters.refused_not_allowed;
    EXPECT_EQ(refused, 1U);
}

TEST(Network, WithAnotherSecretIsRefusedAndCounted) {
    for (const char* scheme : {"tcp", "udp"}) {
        World world{{.seed = test_seed()}};
        SelvageHost a(world, {.name = "a", .address = "10.144.1.1/24"});
        SelvageHost b(
            world,
            {.name = "b", .address = "10.144.1.2/24", .peers = {a.url(scheme)}, .secret = "another"}
        );
        a.start();
        b.start();
        world.run_for(20s);
        EXPECT_FALSE(a.has_neighbour(b));
        EXPECT_FALSE(b.has_neighbour(a));
        EXPECT_GT(a.node().peers().counters().handshakes_refused, 0U);
    }
}

// --- chains ---

TEST(Chain, OfThreeNodesCarriesAStreamThroughTheMiddle) {
    for_seeds(
        [](World& world) {
            SelvageHost middle(world, {.name = "middle", .address = "10.144.1.2/24"});
            SelvageHost left(
                world, {.name = "left", .address = "10.144.1.1/24", .peers = {middle.url("tcp")}}
            );
            SelvageHost right(
                world, {.name = "right", .address = "10.144.1.3/24", .peers = {middle.url("udp")}}
            );
            world.cut(left.host(), right.host());
            for (SelvageHost* each : {&middle, &left, &right})
                each->start();
            ASSERT_TRUE(
                world.run_until([&] { return left.reaches(right) && right.reaches(left); }, 60s)
            );
            EXPECT_FALSE(left.has_neighbour(right));
            auto stream = world.run(left.dial({right.address(), kEchoPort}));
            ASSERT_TRUE(stream) << stream.error().message();
            const auto seen = world.run(echo_round(left.host(), **stream, 50'000));
            ASSERT_TRUE(seen) << seen.error().message();
            EXPECT_EQ(*seen, 50'000U);
            EXPECT_GT(middle.node().forwarder().traffic().forwarded_packets, 0U);
        },
        {.seeds = 2}
    );
}

TEST(Chain, LongerThanTheHopLimitDropsAtTheLimit) {
    World world{{.seed = test_seed(), .link = {.delay = 1ms}}};
    std::vector<std::unique_ptr<SelvageHost>> nodes;
    for (int i = 0; i < 10; ++i) {
        SelvageOptions options{
            .name = fmt::format("n{}", i), .address = fmt::format("10.144.1.{}/24", i + 1)
        };
        if (i > 0) options.peers = {nodes.back()->url("tcp")};
        nodes.push_back(std::make_unique<SelvageHost>(world, std::move(options)));
        nodes.back()->start();
    }
    ASSERT_TRUE(world.run_until([&] { return nodes[0]->reaches(*nodes[9]); }, 5min));
    ASSERT_TRUE(world.run_until([&] { return nodes[9]->reaches(*nodes[0]); }, 5min));
    // A relay that sees a counter above 7 drops. A fresh packet carries 1 and each relay adds 1, so
    // the seventh relay still passes it on: the eighth neighbour away is the last that is reached.
    auto near = world.run(nodes[0]->dial({nodes[8]->address(), kEchoPort}));
    EXPECT_TRUE(near) << near.error().message();
    const auto far = world.run(nodes[0]->dial({nodes[9]->address(), kEchoPort}));
    EXPECT_FALSE(far);
    std::uint64_t dropped = 0;
    for (const auto& node : nodes)
        dropped += node->node().forwarder().drops()[dataplane::DropReason::hop_limit];
    EXPECT_GT(dropped, 0U);
    if (near) near->reset();
    while (!nodes.empty())
        nodes.pop_back();
}

// --- healing ---

class Healing : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Schemes, Healing, testing::Values("tcp", "udp"), [](const auto& param) {
    return std::string(param.param);
});

TEST_P(Healing, FollowsACrashAndRestartOfEitherSide) {
    for_seeds(
        [](World& world) {
            TwoNodes nodes(world, {"heal", GetParam(), false, false, kGood});
            ASSERT_TRUE(nodes.joined());
            nodes.server.crash();
            world.run_for(30s);
            nodes.server.start();
            ASSERT_TRUE(nodes.joined()) << "after the server's restart";
            expect_echo(nodes, 5000);
            nodes.client.crash();
            world.run_for(30s);
            nodes.client.start();
            ASSERT_TRUE(nodes.joined()) << "after the client's restart";
            expect_echo(nodes, 5000);
            nodes.server.kill();
            nodes.server.start();
            ASSERT_TRUE(nodes.joined()) << "after the server was killed";
            expect_echo(nodes, 5000);
        },
        {.seeds = 2}
    );
}

TEST_P(Healing, FollowsAPartition) {
    for_seeds(
        [](World& world) {
            TwoNodes nodes(world, {"heal", GetParam(), false, false, kGood});
            ASSERT_TRUE(nodes.joined());
            world.cut(nodes.server.host(), nodes.client.host());
            ASSERT_TRUE(world.run_until(
                [&] {
                    return !nodes.client.reaches(nodes.server) &&
                           !nodes.server.reaches(nodes.client);
                },
                5min
            ));
            world.run_for(60s);
            world.heal(nodes.server.host(), nodes.client.host());
            ASSERT_TRUE(nodes.joined());
            expect_echo(nodes, 5000);

            // One-way loss must be noticed too: the side that hears us may not go on believing.
            world.cut_one_way(nodes.server.host(), nodes.client.host());
            ASSERT_TRUE(world.run_until([&] { return !nodes.client.reaches(nodes.server); }, 5min));
            world.heal_one_way(nodes.server.host(), nodes.client.host());
            ASSERT_TRUE(nodes.joined());
            expect_echo(nodes, 5000);
        },
        {.seeds = 2}
    );
}

TEST_P(Healing, NoticesAPeerThatVanishes) {
    World world{{.seed = test_seed()}};
    TwoNodes nodes(world, {"vanish", GetParam(), false, false, kGood});
    ASSERT_TRUE(nodes.joined());
    auto stream = nodes.dial(kShellPort);
    ASSERT_TRUE(stream);
    world.run_for(5s);
    EXPECT_EQ(nodes.server.host().terminals().running(), 1U);
    const PeerId gone = nodes.client.node().id();
    stream.reset();
    nodes.client.crash();
    EXPECT_TRUE(world.run_until([&] { return !nodes.server.node().peers().has(gone); }, 60s));
    // Keep-alive ends the session of a caller that is gone, and with it the shell.
    EXPECT_TRUE(
        world.run_until([&] { return nodes.server.host().terminals().running() == 0; }, 10min)
    );
}

TEST_P(Healing, StaysConnectedForHours) {
    World world{{.seed = test_seed()}};
    TwoNodes nodes(world, {"hours", GetParam(), false, false, kGood});
    ASSERT_TRUE(nodes.joined());
    world.run_for(3h);
    EXPECT_EQ(nodes.server.node().peers().counters().conns_lost, 0U);
    EXPECT_EQ(nodes.client.node().peers().counters().conns_lost, 0U);
    EXPECT_TRUE(nodes.client.reaches(nodes.server));
    expect_echo(nodes, 5000);
}

}  // namespace
}  // namespace selvage::sim
