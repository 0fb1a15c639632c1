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

}  // namespace
}  // namespace selvage::sim
