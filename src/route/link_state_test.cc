// Tests of the networks that a node hosts for others, as it announces them.
#include "route/link_state.h"

#include <gtest/gtest.h>

#include "route/core_net.h"

namespace selvage::route {
namespace {

using namespace std::chrono_literals;

constexpr PeerId kSelf(1);
constexpr TimePoint kNow{1h};
constexpr WallTime kWall{std::chrono::seconds(1'700'000'000)};

RouteOptions options() {
    return {.self = kSelf, .network_name = "net1"};
}

HostedNetwork hosted(std::string name, std::vector<PeerId> members) {
    return {
        .name = std::move(name),
        .secret_digest = Bytes(32, 7),
        .self_there = PeerId(70),
        .members = std::move(members)
    };
}

const ForeignEntry& entry(const LinkState& links, const std::string& name) {
    return links.foreign().at({kSelf, name}).entry;
}

TEST(HostedNetworks, AreAnnouncedOnceWithTheTimeAsVersion) {
    LinkState links(options(), 1, kNow, kWall);
    EXPECT_TRUE(links.set_hosted({hosted("n1", {PeerId(5)})}, kNow, kWall));
    EXPECT_EQ(entry(links, "n1").version, 1'700'000'000U);
    EXPECT_EQ(entry(links, "n1").updated_seconds, 1'700'000'000);
    EXPECT_EQ(entry(links, "n1").server, kSelf);
    EXPECT_EQ(entry(links, "n1").server_there, PeerId(70));
    EXPECT_FALSE(links.set_hosted({hosted("n1", {PeerId(5)})}, kNow + 10s, kWall + 10s));
    // Within the same second the version must grow all the same.
    EXPECT_TRUE(links.set_hosted({hosted("n1", {PeerId(5), PeerId(6)})}, kNow, kWall));
    EXPECT_EQ(entry(links, "n1").version, 1'700'000'001U);
}

TEST(HostedNetworks, AreWithdrawnWithoutMembers) {
    LinkState links(options(), 1, kNow, kWall);
    links.set_hosted({hosted("n1", {PeerId(5)}), hosted("n2", {PeerId(6)})}, kNow, kWall);
    EXPECT_TRUE(links.set_hosted({hosted("n2", {PeerId(6)})}, kNow + 20s, kWall + 20s));
    EXPECT_TRUE(entry(links, "n1").members.empty());
    EXPECT_EQ(entry(links, "n1").version, 1'700'000'020U);
    EXPECT_EQ(entry(links, "n2").version, 1'700'000'000U);
    EXPECT_FALSE(links.set_hosted({hosted("n2", {PeerId(6)})}, kNow + 30s, kWall + 30s));
    links.expire({kSelf}, kNow + 20s + options().record_life);
    EXPECT_FALSE(links.foreign().contains({kSelf, "n1"})) << "nobody remembers it any more";
}

TEST(HostedNetworks, AreRepeatedBeforeOthersForgetThem) {
    LinkState links(options(), 1, kNow, kWall);
    links.set_hosted({hosted("n1", {PeerId(5)})}, kNow, kWall);
    const Duration due = options().refresh_interval;
    EXPECT_FALSE(links.refresh_own(kNow + due - 1s, kWall + due - 1s));
    EXPECT_TRUE(links.refresh_own(kNow + due, kWall + due));
    EXPECT_EQ(entry(links, "n1").version, 1'700'003'600U);
}

TEST(HostedNetworks, AreDefendedAgainstClaimsOfOthers) {
    LinkState links(options(), 1, kNow, kWall);
    links.set_hosted({hosted("n1", {PeerId(5)})}, kNow, kWall);
    ForeignEntry forged{
        .server = kSelf,
        .network_name = "n1",
        .members = {},
        .version = 1'900'000'000,
        .secret_digest = Bytes(32, 9),
        .server_there = PeerId(66)
    };
    EXPECT_TRUE(links.add_foreign(forged, kNow));
    EXPECT_EQ(entry(links, "n1").version, 1'900'000'001U);
    EXPECT_EQ(entry(links, "n1").server_there, PeerId(70));
    EXPECT_EQ(entry(links, "n1").members.size(), 1U);
    EXPECT_EQ(links.refusals().of(Refusal::own_foreign), 1U);
    forged.network_name = "never hosted";
    EXPECT_FALSE(links.add_foreign(forged, kNow));
    EXPECT_FALSE(links.foreign().contains({kSelf, "never hosted"}));
}

TEST(HostedNetworks, AreKnownToOtherServersUntilTheyAreWithdrawn) {
    test::CoreNet net;
    RouteCore& server = net.add(1);
    net.add(2);
    RouteCore& other = net.add(3);
    net.link(1, 2);
    net.link(2, 3);
    net.run(5);
    server.set_hosted({hosted("n1", {PeerId(5)})}, net.moment());
    net.run(5);
    ASSERT_EQ(other.table()->foreign_hosts().size(), 1U);
    const ForeignHost& host = other.table()->foreign_hosts().front();
    EXPECT_EQ(host.server, PeerId(1));
    EXPECT_EQ(host.server_there, PeerId(70));
    EXPECT_EQ(host.network_name, "n1");
    EXPECT_TRUE(server.table()->foreign_hosts().empty()) << "our own are no other server's";
    server.set_hosted({}, net.moment());
    net.run(5);
    EXPECT_TRUE(other.table()->foreign_hosts().empty());
}

TEST(HostedNetworks, OfAServerThatCannotBeReachedAreNoWay) {
    test::CoreNet net;
    RouteCore& server = net.add(1);
    RouteCore& other = net.add(2);
    net.link(1, 2);
    net.run(5);
    server.set_hosted({hosted("n1", {PeerId(5)})}, net.moment());
    net.run(5);
    ASSERT_EQ(other.table()->foreign_hosts().size(), 1U);
    net.unlink(1, 2);
    net.run(5);
    EXPECT_TRUE(other.table()->foreign_hosts().empty());
}

TEST(HostedNetworks, InOneRequestAreBounded) {
    test::CoreNet net;
    RouteCore& server = net.add(1);
    RouteCore& other = net.add(2);
    std::vector<HostedNetwork> many;
    std::vector<PeerId> members;
    for (std::uint32_t i = 1; i <= 4000; ++i)
        members.emplace_back(i);
    for (int i = 0; i < 20; ++i)
        many.push_back(hosted("n" + std::to_string(i), members));
    net.link(1, 2);
    server.set_hosted(many, net.moment());
    net.run(5);
    EXPECT_EQ(other.table()->foreign_hosts().size(), 20U) << "the rest came in further requests";
}

}  // namespace
}  // namespace selvage::route
