// The overlay's addresses in whole nodes: IPv6, networks behind members, automatic addresses.
#include <gtest/gtest.h>

#include "programs.h"
#include "seeds.h"
#include "selvage_host.h"

namespace selvage::sim {
namespace {

constexpr std::uint16_t kEchoPort = 7;

IpAddress ip(std::string_view text) {
    return IpAddress::parse(text).value();
}

void expect_echo(World& world, SelvageHost& from, Endpoint to) {
    auto stream = world.run(from.dial(to));
    ASSERT_TRUE(stream) << to.to_string() << ": " << stream.error().message();
    const auto seen = world.run(echo_round(from.host(), **stream, 20'000));
    ASSERT_TRUE(seen) << seen.error().message();
    EXPECT_EQ(*seen, 20'000U);
}

// --- IPv6 ---

struct Mode {
    const char* name;
    const char* scheme;
    bool server_tun;
    bool client_tun;
};
[[maybe_unused]] void PrintTo(const Mode& mode, std::ostream* out) {
    *out << mode.name;
}

class Ipv6 : public testing::TestWithParam<Mode> {};
INSTANTIATE_TEST_SUITE_P(
    Modes, Ipv6,
    testing::Values(
        Mode{"TcpTun", "tcp", true, true}, Mode{"TcpNoTun", "tcp", false, false},
        Mode{"UdpTunToNoTun", "udp", false, true}, Mode{"UdpNoTunToTun", "udp", true, false}
    ),
    [](const auto& param) { return std::string(param.param.name); }
);

TEST_P(Ipv6, ServicesAnswerAtBothAddressesAndClosedPortsRefuse) {
    for_seeds(
        [](World& world) {
            SelvageHost server(
                world, {.name = "server",
                        .address = "10.144.1.1/24",
                        .address6 = "fd00::1/64",
                        .tun = GetParam().server_tun}
            );
            SelvageHost client(
                world, {.name = "client",
                        .address = "10.144.1.2/24",
                        .address6 = "fd00::2/64",
                        .tun = GetParam().client_tun,
                        .peers = {server.url(GetParam().scheme)}}
            );
            server.start();
            client.start();
            ASSERT_TRUE(world.run_until(
                [&] { return client.reaches(server) && server.reaches(client); }, 60s
            ));
            expect_echo(world, client, {ip("fd00::1"), kEchoPort});
            expect_echo(world, client, {ip("10.144.1.1"), kEchoPort});
            expect_echo(world, server, {ip("fd00::2"), kEchoPort});
            const auto closed = world.run(client.dial({ip("fd00::1"), 81}));
            ASSERT_FALSE(closed);
            EXPECT_TRUE(closed.error().is(Errc::refused)) << closed.error().message();
        },
        {.seeds = 2}
    );
}

TEST(Ipv6Only, NodesNeedNoIpv4Address) {
    World world{{.seed = test_seed()}};
    SelvageHost server(world, {.name = "server", .address = "", .address6 = "fd00::1/64"});
    SelvageHost client(
        world, {.name = "client",
                .address = "",
                .address6 = "fd00::2/64",
                .tun = true,
                .peers = {server.url("tcp")}}
    );
    server.start();
    client.start();
    ASSERT_TRUE(world.run_until(
        [&] { return client.node().routes().table()->peer_for(ip("fd00::1")).has_value(); }, 60s
    ));
    expect_echo(world, client, {ip("fd00::1"), kEchoPort});
    EXPECT_EQ(
        client.host().tun().addresses(), std::set<Prefix>{Prefix::parse("fd00::2/64").value()}
    );
}

// --- IPv6 underneath ---

TEST(Ipv6Underlay, CarriesTheMeshFromAListenerOnTheIpv4Wildcard) {
    for (const char* scheme : {"tcp", "udp"}) {
        World world{{.seed = test_seed()}};
        SelvageHost server(world, {.name = "server", .address = "10.144.1.1/24"});
        SelvageHost client(
            world, {.name = "client",
                    .address = "10.144.1.2/24",
                    .peers = {fmt::format("{}://[{}]:11010", scheme, server.host().address6())}}
        );
        server.start();
        client.start();
        ASSERT_TRUE(world.run_until([&] { return client.reaches(server); }, 60s));
        expect_echo(world, client, {ip("10.144.1.1"), kEchoPort});
    }
}

TEST(Ipv6Underlay, IsTriedWhereIpv4DoesNotAnswerAndNamesAreAskedAgain) {
    World world{{.seed = test_seed()}};
    SelvageHost server(world, {.name = "server", .address = "10.144.1.1/24"});
    SelvageHost client(
        world, {.name = "client", .address = "10.144.1.2/24", .peers = {"tcp://hub.example:11010"}}
    );
    server.start();
    client.start();
    world.run_for(10s);
    EXPECT_FALSE(client.has_neighbour(server)) << "the name is not known yet";
    world.set_name("hub.example", {.addresses = {ip("192.0.2.99"), server.host().address6()}});
    EXPECT_TRUE(world.run_until([&] { return client.reaches(server); }, 30s));
}

TEST(Underlay, AddressesInsideTheMeshAreNotDialled) {
    World world{{.seed = test_seed()}};
    SelvageHost server(world, {.name = "server", .address = "10.144.1.1/24"});
    SelvageHost client(
        world, {.name = "client",
                .address = "10.144.1.2/24",
                .peers = {"tcp://10.144.1.1:11010", server.url("tcp")}}
    );
    server.start();
    client.start();
    ASSERT_TRUE(world.run_until([&] { return client.reaches(server); }, 60s));
    world.run_for(20s);
    const auto status = client.node().connectors().status();
    EXPECT_NE(status.front().last_error.find("outside the mesh"), std::string::npos)
        << status.front().last_error;
}

// --- automatic addresses ---

bool have_different_addresses(std::span<const std::unique_ptr<SelvageHost>> nodes) {
    std::set<IpAddress> seen;
    for (const auto& node : nodes) {
        const IpAddress address = node->address();
        if (address.is_unspecified() || !seen.insert(address).second) return false;
    }
    return true;
}

TEST(AutomaticAddress, NodesThatStartTogetherSettleAndKeepWhatTheyHave) {
    for_seeds(
        [](World& world) {
            std::vector<std::unique_ptr<SelvageHost>> nodes;
            for (int i = 0; i < 5; ++i) {
                SelvageOptions options{
                    .name = fmt::format("n{}", i), .address = "", .dhcp = true, .tun = i % 2 == 0
                };
                if (i > 0) options.peers = {nodes.front()->url(i % 2 == 0 ? "tcp" : "udp")};
                nodes.push_back(std::make_unique<SelvageHost>(world, std::move(options)));
            }
            for (auto& node : nodes)
                node->start();
            ASSERT_TRUE(world.run_until([&] { return have_different_addresses(nodes); }, 120s));
            world.run_for(60s);
            ASSERT_TRUE(have_different_addresses(nodes));
            std::vector<IpAddress> before;
            for (const auto& node : nodes)
                before.push_back(node->address());
            world.run_for(120s);
            for (std::size_t i = 0; i < nodes.size(); ++i)
                EXPECT_EQ(nodes[i]->address(), before[i]);
            const IpAddress device = nodes[2]->address();
            EXPECT_EQ(nodes[2]->host().tun().addresses(), (std::set<Prefix>{{device, 24}}));
            expect_echo(world, *nodes[1], {device, kEchoPort});
            expect_echo(world, *nodes[2], {nodes[3]->address(), kEchoPort});
            while (!nodes.empty())
                nodes.pop_back();
        },
        {.seeds = 3}
    );
}

TEST(AutomaticAddress, AStaticNodeTakesItAndConnectionsOfTheOldAddressEnd) {
    World world{{.seed = test_seed()}};
    SelvageHost one(world, {.name = "one", .address = "", .dhcp = true, .tun = true});
    SelvageHost two(world, {.name = "two", .address = "10.150.1.1/24", .peers = {one.url("tcp")}});
    one.start();
    two.start();
    ASSERT_TRUE(world.run_until([&] { return one.address() == ip("10.150.1.2"); }, 60s));
    ASSERT_TRUE(world.run_until([&] { return two.reaches(one); }, 60s));
    auto stream = world.run(two.dial({ip("10.150.1.2"), kEchoPort}));
    ASSERT_TRUE(stream) << stream.error().message();
    SelvageHost three(
        world, {.name = "three", .address = "10.150.1.2/24", .peers = {one.url("udp")}}
    );
    three.start();
    ASSERT_TRUE(world.run_until([&] { return one.address() == ip("10.150.1.3"); }, 60s));
    EXPECT_EQ(one.host().tun().addresses(), (std::set<Prefix>{{ip("10.150.1.3"), 24}}));
    ASSERT_TRUE(world.run_until([&] { return two.reaches(one) && two.reaches(three); }, 60s));
    expect_echo(world, two, {ip("10.150.1.2"), kEchoPort});
    expect_echo(world, two, {ip("10.150.1.3"), kEchoPort});
    EXPECT_EQ(one.node().stack().tcp_connection_count(), 1U) << "the echo just now, in TIME-WAIT";
}

}  // namespace
}  // namespace selvage::sim
