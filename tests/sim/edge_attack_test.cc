// A member who attacks the services of a node, while an honest one uses them: floods, forged
// addresses, repeated packets, and callers that vanish. Whole nodes, with a device and without.
#include <gtest/gtest.h>

#include "packet/checksum.h"
#include "packet/ip_headers.h"
#include "programs.h"
#include "seeds.h"
#include "selvage_host.h"

namespace selvage::sim {
namespace {

constexpr std::uint16_t kEchoPort = 7;
constexpr std::uint16_t kProxyPort = 1080;
constexpr LinkOptions kGood{.delay = 10ms};

// A server with its services, an honest client, and a member whose kernel says nothing.
struct Siege {
    Siege(World& w, bool server_tun, const LinkOptions& link = kGood)
        : world(w),
          server(w, {.name = "server", .address = "10.144.1.1/24", .tun = server_tun}),
          honest(w, {.name = "honest", .address = "10.144.1.2/24", .peers = {server.url("udp")}}),
          mallory(
              w, {.name = "mallory",
                  .address = "10.144.1.3/24",
                  .tun = true,
                  .peers = {server.url("udp")}}
          ) {
        world.link(server.host(), honest.host(), link);
        server.start();
        honest.start();
        mallory.start();
        mallory.host().tun().set_user(nullptr);
        EXPECT_TRUE(world.run_until(
            [&] {
                return honest.reaches(server) && mallory.reaches(server) &&
                       server.reaches(honest) && server.reaches(mallory);
            },
            60s
        ));
    }
    rt::StreamPtr dial(std::uint16_t port) {
        auto stream = world.run(honest.dial({server.address(), port}));
        EXPECT_TRUE(stream) << stream.error().message();
        return stream ? std::move(*stream) : nullptr;
    }
    void expect_echo(rt::Stream& stream, std::size_t bytes) {
        const auto seen = world.run(echo_round(honest.host(), stream, bytes));
        ASSERT_TRUE(seen) << seen.error().message();
        EXPECT_EQ(*seen, bytes);
    }
    // A SYN to the server from any address and port, through mallory's pipeline.
    void send_syn(const Endpoint& from, std::uint16_t to_port) {
        auto packet = mallory.host().pool().take();
        ASSERT_TRUE(packet);
        auto* ip = new (packet.push_back(sizeof(packet::Ipv4Header))) packet::Ipv4Header;
        ip->total_length = sizeof(packet::Ipv4Header) + sizeof(packet::TcpHeader);
        ip->protocol = static_cast<std::uint8_t>(packet::IpProtocol::tcp);
        ip->source = from.address.v4_value();
        ip->destination = server.address().v4_value();
        ip->checksum = packet::checksum_finish(packet::checksum_add(as_bytes_of(*ip)));
        auto* tcp = new (packet.push_back(sizeof(packet::TcpHeader))) packet::TcpHeader;
        tcp->source_port = from.port;
        tcp->destination_port = to_port;
        tcp->flags = packet::tcp_flag::kSyn;
        tcp->window = 65535;
        const auto pseudo = packet::pseudo_header_sum(
            from.address, server.address(), ip->protocol, sizeof(packet::TcpHeader)
        );
        tcp->checksum = packet::checksum_finish(packet::checksum_add(as_bytes_of(*tcp), pseudo));
        packet::PacketBatch batch(mallory.host().runtime().now());
        batch.push(std::move(packet));
        mallory.node().forwarder().from_nic(std::move(batch));
    }
    std::uint64_t dropped(dataplane::DropReason reason) {
        return server.node().forwarder().drops()[reason];
    }

    World& world;
    SelvageHost server;
    SelvageHost honest;
    SelvageHost mallory;
};

class EdgeAttack : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Modes, EdgeAttack, testing::Bool(), [](const auto& param) {
    return param.param ? "Tun" : "NoTun";
});

TEST_P(EdgeAttack, AFloodOfSynsDisturbsNobodyAndIsForgotten) {
    World world{{.seed = test_seed()}};
    Siege siege(world, GetParam());
    auto live = siege.dial(kEchoPort);
    ASSERT_TRUE(live);
    constexpr std::size_t kSyns = 20'000;
    for (std::size_t i = 0; i < kSyns; ++i) {
        const auto port = static_cast<std::uint16_t>(1024 + i);
        siege.send_syn({siege.mallory.address(), port}, kProxyPort);
        if (i % 64 == 0) world.run_for(1ms);
    }
    siege.expect_echo(*live, 10'000);
    auto late = siege.dial(kEchoPort);
    ASSERT_TRUE(late);
    siege.expect_echo(*late, 10'000);
    const auto& flows = siege.server.node().forwarder().flows();
    EXPECT_LE(flows.size_of(siege.mallory.node().id()), dataplane::FlowTable::Limits().per_peer);
    EXPECT_LT(siege.server.node().stack().tcp_connection_count(), 400U);
    world.run_for(180s);
    EXPECT_EQ(flows.size_of(siege.mallory.node().id()), 0U);
    siege.expect_echo(*live, 1000);
}

TEST_P(EdgeAttack, AForgedInnerSourceReachesNeitherServiceNorKernel) {
    World world{{.seed = test_seed()}};
    Siege siege(world, GetParam());
    // Mallory takes herself for honest, and for somebody outside.
    for (const IpAddress& forged : {siege.honest.address(), IpAddress::v4(192, 0, 2, 7)}) {
        const auto before = siege.dropped(dataplane::DropReason::bad_source);
        NodeAddresses addresses;
        addresses.ipv4 = Prefix{forged, 24};
        siege.mallory.node().forwarder().set_addresses(addresses);
        siege.send_syn({forged, 4000}, kEchoPort);
        siege.send_syn({forged, 4000}, 8080);
        world.run_for(1s);
        EXPECT_EQ(siege.dropped(dataplane::DropReason::bad_source), before + 2);
    }
    EXPECT_TRUE(siege.server.node().services().sessions().empty());
    EXPECT_EQ(siege.server.node().forwarder().flows().size(), 0U);
}

TEST_P(EdgeAttack, RepeatedPacketsChangeNothing) {
    World world{{.seed = test_seed()}};
    Siege siege(
        world, GetParam(), {.delay = 10ms, .jitter = 30ms, .duplication = 0.5, .reordering = 0.2}
    );
    for (int i = 0; i < 3; ++i) {
        auto stream = siege.dial(kEchoPort);
        ASSERT_TRUE(stream);
        siege.expect_echo(*stream, 100'000);
    }
    world.run_for(5s);
    EXPECT_TRUE(siege.server.node().services().sessions().empty())
        << "a repeated SYN must not open a second session";
    std::uint64_t accepted = 0;
    for (const auto& service : siege.server.node().services().services())
        accepted += service.counters.accepted;
    EXPECT_EQ(accepted, 3U);
}

TEST_P(EdgeAttack, ACallerThatVanishesLeavesNothingBehind) {
    World world{{.seed = test_seed()}};
    Siege siege(world, GetParam());
    std::vector<rt::StreamPtr> held;
    for (int i = 0; i < 50; ++i) {
        held.push_back(siege.dial(i % 2 == 0 ? kEchoPort : kProxyPort));
        ASSERT_TRUE(held.back());
        // Half of them leave bytes unread, so that the server has something to send for ever.
        const Bytes much(200'000, 'x');
        if (i % 2 == 0) static_cast<void>(world.run(held.back()->write_some(much)));
    }
    world.run_for(1s);
    siege.honest.crash();
    held.clear();
    EXPECT_TRUE(world.run_until(
        [&] {
            return siege.server.node().services().sessions().empty() &&
                   siege.server.node().forwarder().flows().size() == 0;
        },
        300s
    ));
    EXPECT_EQ(siege.server.node().stack().buffer_bytes(), 0U);
}

}  // namespace
}  // namespace selvage::sim
