// Nodes that are killed and come back at once, with a new peer id and their old address, over udp:
// no reset tells the neighbour, whose old connection still has the address.
#include <gtest/gtest.h>

#include "programs.h"
#include "seeds.h"
#include "selvage_host.h"

namespace selvage::sim {
namespace {

constexpr std::uint16_t kEchoPort = 7;
// On top of what a check takes: handshake, and two syncs that wait for one another.
constexpr Duration kJoinLimit = 2500ms;

// Two that dial the one in the middle over udp and see one another through it only.
struct Triangle {
    explicit Triangle(World& w, std::string address_of_other = "10.144.1.3/24")
        : world(w),
          middle(w, {.name = "middle", .address = "10.144.1.1/24"}),
          client(w, {.name = "client", .address = "10.144.1.2/24", .peers = {middle.url("udp")}}),
          other(
              w,
              {.name = "other", .address = std::move(address_of_other), .peers = {middle.url("udp")}
              }
          ) {
        world.cut(client.host(), other.host());
        for (SelvageHost* each : {&middle, &client, &other})
            each->start();
    }
    bool joined(Duration limit) {
        return world.run_until(
            [&] {
                return middle.reaches(client) && client.reaches(middle) && other.reaches(client) &&
                       client.reaches(other);
            },
            limit
        );
    }
    std::uint64_t conns_lost() { return middle.node().peers().counters().conns_lost; }
    World& world;
    SelvageHost middle;
    SelvageHost client;
    SelvageHost other;
};

void expect_echo(World& world, SelvageHost& from, SelvageHost& to) {
    auto stream = world.run(from.dial({to.address(), kEchoPort}));
    ASSERT_TRUE(stream) << stream.error().message();
    const auto seen = world.run(echo_round(from.host(), **stream, 1000));
    ASSERT_TRUE(seen) << seen.error().message();
    EXPECT_EQ(*seen, 1000U);
}

TEST(Restart, OverUdpIsOverAsSoonAsTheOldConnectionIsFoundDead) {
    for_seeds(
        [](World& world) {
            Triangle nodes(world);
            ASSERT_TRUE(nodes.joined(30s));
            // Of equally near owners the smaller id has the address. Until both orders were seen.
            bool smaller = false;
            bool larger = false;
            while (!smaller || !larger) {
                world.run_for(20s);  // quick restarts would meet syncs that pause
                const PeerId old = nodes.client.node().id();
                nodes.client.kill();
                nodes.client.start();
                (old < nodes.client.node().id() ? larger : smaller) = true;
                ASSERT_TRUE(nodes.joined(kJoinLimit)) << (larger ? "larger" : "smaller");
                expect_echo(world, nodes.middle, nodes.client);
                expect_echo(world, nodes.client, nodes.middle);
                expect_echo(world, nodes.client, nodes.other);
            }
        },
        {.seeds = 2}
    );
}

// Gives the kernel or stack something to send, and to send again.
rt::Task<> knock(SelvageHost& from, SelvageHost& at) {
    static_cast<void>(co_await from.dial({at.address(), kEchoPort}));
}

TEST(Restart, OfAListenerOverUdpIsNoticedBeforeTheFifthLostPing) {
    for_seeds(
        [](World& world) {
            Triangle nodes(world);
            ASSERT_TRUE(nodes.joined(30s));
            world.run_for(1min);  // pings have become rare
            nodes.middle.kill();
            nodes.middle.start();
            nodes.client.host().tasks().spawn("knock", knock(nodes.client, nodes.middle));
            const auto found = [&] { return nodes.client.has_neighbour(nodes.middle); };
            ASSERT_TRUE(world.run_until(found, 8s));
            const auto forgotten = [&] {
                return nodes.client.node().peers().neighbours().size() == 1;
            };
            EXPECT_TRUE(world.run_until(forgotten, 2s));
            expect_echo(world, nodes.client, nodes.middle);
        },
        {.seeds = 4}
    );
}

TEST(Restart, ALinkThatLosesPacketsDoesNotPileUpConnections) {
    for_seeds(
        [](World& world) {
            Triangle nodes(world);
            ASSERT_TRUE(nodes.joined(30s));
            world.link(nodes.middle.host(), nodes.client.host(), {.delay = 300ms, .loss = 0.15});
            world.run_for(5min);
            std::size_t conns = 0;
            nodes.client.node().peers().for_each_conn([&](const peer::PeerConn&) { ++conns; });
            EXPECT_LE(conns, 2U);
            EXPECT_TRUE(nodes.middle.has_neighbour(nodes.client));
        },
        {.seeds = 2}
    );
}

TEST(Restart, TwoLiveOwnersOfAnAddressAreLeftAlone) {
    for_seeds(
        [](World& world) {
            Triangle nodes(world, "10.144.1.2/24");
            world.link(nodes.middle.host(), nodes.client.host(), {.delay = 300ms, .loss = 0.05});
            world.run_for(2min);
            EXPECT_TRUE(nodes.middle.has_neighbour(nodes.client));
            EXPECT_TRUE(nodes.middle.has_neighbour(nodes.other));
            EXPECT_EQ(nodes.conns_lost(), 0U);
            EXPECT_EQ(
                nodes.middle.node().routes().table()->peer_for(nodes.client.address()),
                std::min(nodes.client.node().id(), nodes.other.node().id())
            );
        },
        {.seeds = 2}
    );
}

TEST(Restart, AMemberThatClaimsAnAddressAgainAndAgainEndsNoConnectionWithItsOwner) {
    World world{{.seed = test_seed()}};
    Triangle nodes(world);
    ASSERT_TRUE(nodes.joined(30s));
    route::OwnNode honest = nodes.other.node().routes().own();
    route::OwnNode liar = honest;
    liar.ipv4 = Prefix::parse("10.144.1.2/24").value();
    for (int i = 0; i < 60; ++i) {
        nodes.other.node().routes().set_own(i % 2 == 0 ? liar : honest);
        world.run_for(3s);
    }
    EXPECT_EQ(nodes.conns_lost(), 0U);
    EXPECT_TRUE(nodes.middle.has_neighbour(nodes.client));
}

}  // namespace
}  // namespace selvage::sim
