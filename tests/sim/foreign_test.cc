// Networks behind shared servers: members of "n1" who meet through nodes of "town".
#include <gtest/gtest.h>

#include "programs.h"
#include "seeds.h"
#include "selvage_host.h"

namespace selvage::sim {
namespace {

using dataplane::DropReason;

constexpr std::uint16_t kEchoPort = 7;

SelvageOptions server_options(std::string name, std::vector<std::string> peers = {}) {
    return {.name = std::move(name), .peers = std::move(peers), .network = "town", .secret = "sq"};
}

SelvageOptions member_options(std::string name, int number, std::string server) {
    return {
        .name = std::move(name),
        .address = fmt::format("10.144.1.{}/24", number),
        .peers = {std::move(server)}
    };
}

node::ForeignNetworks& networks_of(SelvageHost& server) {
    return server.node().foreign_networks();
}

// left and right reach only the server between them.
struct Scene {
    Scene(
        World& w, const std::string& scheme, std::function<void(config::NodeOptions&)> adjust = {},
        const std::string& right_secret = "s1"
    )
        : world(w),
          server(w, with(server_options("server"), std::move(adjust))),
          left(w, member_options("left", 1, server.url(scheme))),
          right(w, with_secret(member_options("right", 2, server.url(scheme)), right_secret)) {
        world.cut(left.host(), right.host());
        server.start();
        left.start();
        right.start();
    }
    static SelvageOptions with(
        SelvageOptions options, std::function<void(config::NodeOptions&)> adjust
    ) {
        options.adjust = std::move(adjust);
        return options;
    }
    static SelvageOptions with_secret(SelvageOptions options, const std::string& secret) {
        options.secret = secret;
        return options;
    }
    bool met() {
        return world.run_until([&] { return left.reaches(right) && right.reaches(left); }, 60s);
    }
    void expect_echo(std::size_t bytes) {
        auto stream = world.run(left.dial({right.address(), kEchoPort}));
        ASSERT_TRUE(stream) << stream.error().message();
        const auto seen = world.run(echo_round(left.host(), **stream, bytes));
        ASSERT_TRUE(seen) << seen.error().message();
        EXPECT_EQ(*seen, bytes);
    }
    World& world;
    SelvageHost server;
    SelvageHost left;
    SelvageHost right;
};

class SharedServer : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(
    Schemes, SharedServer, testing::Values("tcp", "udp"),
    [](const auto& param) { return std::string(param.param); }
);

TEST_P(SharedServer, LetsMembersOfAnotherNetworkMeet) {
    for_seeds(
        [](World& world) {
            Scene scene(world, GetParam());
            ASSERT_TRUE(scene.met());
            scene.expect_echo(50'000);
            EXPECT_FALSE(scene.left.has_neighbour(scene.right));
            // The server carries, and is part of nothing.
            EXPECT_TRUE(scene.server.node().peers().neighbours().empty());
            EXPECT_EQ(scene.server.node().routes().table()->entries().size(), 1U);
            const node::ForeignNetwork* network = networks_of(scene.server).find("n1");
            ASSERT_NE(network, nullptr);
            EXPECT_EQ(network->peers().neighbours().size(), 2U);
            EXPECT_GT(networks_of(scene.server).counters().forwarded_packets, 50U);
            EXPECT_FALSE(scene.left.node().peers().is_member(network->options().self));
            // Services at the server have no caller there, and the server none at the members.
            const auto* entry = scene.left.node().routes().table()->find(network->options().self);
            ASSERT_NE(entry, nullptr);
            EXPECT_EQ(entry->record->hostname, "PublicServer_server");
            EXPECT_FALSE(entry->record->ipv4);
        },
        {.seeds = 2}
    );
}

TEST_P(SharedServer, LeavesANetworkWithItsLastClientAndHostsItAnew) {
    World world{{.seed = test_seed()}};
    Scene scene(world, GetParam());
    ASSERT_TRUE(scene.met());
    const PeerId before = networks_of(scene.server).find("n1")->options().self;
    scene.left.stop();
    scene.right.stop();
    EXPECT_TRUE(world.run_until([&] { return networks_of(scene.server).size() == 0; }, 60s));
    scene.left.start();
    scene.right.start();
    ASSERT_TRUE(scene.met());
    EXPECT_NE(networks_of(scene.server).find("n1")->options().self, before);
    scene.expect_echo(5'000);
}

TEST_P(SharedServer, MayDieAndComeBack) {
    World world{{.seed = test_seed()}};
    Scene scene(world, GetParam());
    ASSERT_TRUE(scene.met());
    scene.server.crash();
    ASSERT_TRUE(world.run_until([&] { return !scene.left.reaches(scene.right); }, 120s));
    scene.server.start();
    ASSERT_TRUE(scene.met());
    scene.expect_echo(5'000);
}

TEST(SharedServers, OfOneNetworkJoinTheNetworksThatTheyBothHost) {
    for_seeds(
        [](World& world) {
            SelvageHost one(world, server_options("one"));
            SelvageHost between(world, server_options("between", {one.url("tcp")}));
            SelvageHost two(world, server_options("two", {between.url("udp")}));
            SelvageHost left(world, member_options("left", 1, one.url("tcp")));
            SelvageHost right(world, member_options("right", 2, two.url("udp")));
            world.cut(one.host(), two.host());
            world.cut(left.host(), right.host());
            for (SelvageHost* host : {&one, &between, &two, &left, &right})
                host->start();
            ASSERT_TRUE(
                world.run_until([&] { return left.reaches(right) && right.reaches(left); }, 60s)
            );
            auto stream = world.run(left.dial({right.address(), kEchoPort}));
            ASSERT_TRUE(stream) << stream.error().message();
            const auto seen = world.run(echo_round(left.host(), **stream, 20'000));
            ASSERT_TRUE(seen) << seen.error().message();
            EXPECT_GT(networks_of(one).counters().wrapped_packets, 10U);
            EXPECT_GT(networks_of(one).counters().unwrapped_packets, 10U);
            EXPECT_EQ(networks_of(between).size(), 0U) << "it only passes wrapped packets on";
            stream.value()->reset();
            // The last client of a server takes its announcement with it.
            right.stop();
            EXPECT_TRUE(world.run_until([&] { return !left.reaches(right); }, 60s));
            EXPECT_TRUE(world.run_until(
                [&] { return one.node().routes().table()->foreign_hosts().empty(); }, 60s
            ));
        },
        {.seeds = 2}
    );
}

TEST(SharedServers, RefuseNetworksThatTheWhitelistDoesNotName) {
    World world{{.seed = test_seed()}};
    Scene scene(world, "tcp", [](config::NodeOptions& options) {
        options.relay_network_whitelist = "town n2*";
    });
    world.run_for(20s);
    EXPECT_FALSE(scene.left.reaches(scene.right));
    EXPECT_EQ(networks_of(scene.server).size(), 0U);
    EXPECT_GT(networks_of(scene.server).refusals().not_listed, 1U);
}

TEST(SharedServers, CarryOnlyCallsOfNetworksThatAreNotListedWithRelayAllPeerRpc) {
    World world{{.seed = test_seed()}};
    Scene scene(world, "tcp", [](config::NodeOptions& options) {
        options.relay_network_whitelist = "town";
        options.relay_all_peer_rpc = true;
    });
    ASSERT_TRUE(scene.met());
    const auto* server = scene.left.node().routes().table()->find(
        networks_of(scene.server).find("n1")->options().self
    );
    EXPECT_TRUE(server->record->has(route::Feature::avoid_relay_data));
    EXPECT_FALSE(world.run(scene.left.dial({scene.right.address(), kEchoPort})));
    EXPECT_GT(networks_of(scene.server).drops()[DropReason::relay_disabled], 0U);
}

TEST(SharedServers, InPrivateModeAdmitNobodyElse) {
    World world{{.seed = test_seed()}};
    Scene scene(world, "udp", [](config::NodeOptions& options) { options.private_mode = true; });
    SelvageHost friendly(world, server_options("friendly", {scene.server.url("tcp")}));
    friendly.start();
    world.run_for(20s);
    EXPECT_EQ(networks_of(scene.server).size(), 0U);
    EXPECT_GT(networks_of(scene.server).refusals().private_mode, 1U);
    EXPECT_FALSE(scene.left.reaches(scene.right));
    EXPECT_TRUE(friendly.has_neighbour(scene.server)) << "our own network is not concerned";
}

TEST(SharedServers, HoldANetworkToTheSecretOfItsFirstClient) {
    World world{{.seed = test_seed()}};
    Scene scene(world, "tcp", {}, "another secret");
    world.run_for(20s);
    ASSERT_EQ(networks_of(scene.server).size(), 1U);
    EXPECT_EQ(networks_of(scene.server).find("n1")->peers().neighbours().size(), 1U);
    EXPECT_GT(networks_of(scene.server).refusals().other_secret, 1U);
    EXPECT_FALSE(scene.left.reaches(scene.right));
}

TEST(SharedServers, CarryNoMoreThanTheirLimit) {
    static constexpr std::uint64_t kBytesPerSecond = 50'000;
    constexpr std::size_t kBytes = 400'000;
    World world{{.seed = test_seed()}};
    Scene scene(world, "tcp", [](config::NodeOptions& options) {
        options.foreign_relay_bps_limit = kBytesPerSecond;
    });
    ASSERT_TRUE(scene.met());
    const TimePoint before = scene.left.host().runtime().now();
    scene.expect_echo(kBytes);
    // There and back, without the first second's worth.
    const Duration least = std::chrono::seconds((2 * kBytes - kBytesPerSecond) / kBytesPerSecond);
    EXPECT_GT(scene.left.host().runtime().now() - before, least);
    EXPECT_GT(networks_of(scene.server).drops()[DropReason::relay_rate], 0U);
}

TEST(SharedServers, WithAnUnlistedNetworkOfTheirOwnTellItsMembersToAvoidThem) {
    World world{{.seed = test_seed()}};
    SelvageHost server(world, server_options("server"));
    SelvageHost shy(
        world, Scene::with(
                   server_options("shy", {server.url("tcp")}),
                   [](config::NodeOptions& options) { options.relay_network_whitelist = ""; }
               )
    );
    server.start();
    shy.start();
    ASSERT_TRUE(world.run_until(
        [&] { return server.node().routes().table()->find(shy.node().id()) != nullptr; }, 30s
    ));
    const auto* record = server.node().routes().table()->find(shy.node().id());
    EXPECT_TRUE(record->record->has(route::Feature::avoid_relay_data));
}

}  // namespace
}  // namespace selvage::sim
