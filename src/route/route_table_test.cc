// Tests of paths and lookups on hand-made networks.
#include "route/route_table.h"

#include "route/peer_center.h"

namespace selvage::route {
namespace {

constexpr TimePoint kNow{std::chrono::hours(1)};

struct Node {
    std::uint32_t id;
    std::string ipv4 = {};
    std::string ipv6 = {};
    std::vector<std::string> cidrs = {};
    bool avoid_relay = false;
    bool public_server = false;
    bool without_flags = false;
};

PeerRecord record_of(const Node& node) {
    PeerRecord record;
    record.peer = PeerId(node.id);
    record.version = 1;
    record.hostname = "n" + std::to_string(node.id);
    if (!node.ipv4.empty()) record.ipv4 = Prefix::parse(node.ipv4).value();
    if (!node.ipv6.empty()) record.ipv6 = Prefix::parse(node.ipv6).value();
    for (const auto& cidr : node.cidrs)
        record.proxy_cidrs.push_back(Prefix::parse(cidr).value());
    if (!node.without_flags) {
        record.features.emplace();
        record.features->set(Feature::avoid_relay_data, node.avoid_relay);
        record.features->set(Feature::public_server, node.public_server);
    }
    return record;
}

// A network seen by node 1 at 10.144.0.1/24. Links go both ways.
struct Network {
    RouteOptions options;
    std::optional<LinkState> links;
    EdgeLatencies latencies;
    std::map<PeerId, NeighbourInfo> neighbours;
    std::map<PeerId, std::set<PeerId>> rows;

    explicit Network(OwnNode own = {}) {
        options.self = PeerId(1);
        options.own = std::move(own);
        if (!options.own.ipv4) options.own.ipv4 = Prefix::parse("10.144.0.1/24").value();
        links.emplace(options, 7, kNow, WallTime{});
    }
    void node(const Node& node) { links->add_record(record_of(node), kNow); }
    void link(std::uint32_t a, std::uint32_t b, std::uint32_t latency = 0) {
        rows[PeerId(a)].insert(PeerId(b));
        rows[PeerId(b)].insert(PeerId(a));
        if (latency > 0) latencies[{PeerId(a), PeerId(b)}] = latency;
    }
    RouteTable table() {
        for (const auto& [id, connected] : rows) {
            if (id == PeerId(1)) {
                for (const PeerId peer : connected)
                    neighbours.try_emplace(peer);
                links->set_neighbours(connected, kNow);
                continue;
            }
            ConnRow row{
                .peer = {.peer = id, .version = 1},
                .connected = {connected.begin(), connected.end()}
            };
            links->add_row(row, kNow);
        }
        return RouteTable(*links, latencies, neighbours, 1);
    }
};

std::optional<PeerId> find(const RouteTable& table, std::string_view address) {
    return table.peer_for(IpAddress::parse(address).value());
}

TEST(RouteTable, TheWorkedExampleOfTheAvoidFlag) {
    // 2-control.md section 4: 1-2 (5 ms), 1-3 (30 ms), 2-4 (5 ms), 3-4 (5 ms).
    for (const bool avoid : {true, false}) {
        Network n;
        n.node({.id = 2, .avoid_relay = avoid});
        n.node({.id = 3});
        n.node({.id = 4});
        n.link(1, 2, 5);
        n.link(1, 3, 30);
        n.link(2, 4, 5);
        n.link(3, 4, 5);
        const RouteTable table = n.table();
        const PeerId via(avoid ? 3 : 2);
        EXPECT_EQ(table.next_hop(PeerId(4), Policy::least_hop), via);
        EXPECT_EQ(table.next_hop(PeerId(4), Policy::least_cost), via);
        EXPECT_EQ(table.find(PeerId(4))->least_hop->latency_ms, avoid ? 35U : 10U);
        EXPECT_EQ(table.next_hop(PeerId(2), Policy::least_hop), PeerId(2));
    }
}

TEST(RouteTable, LeastHopPrefersFewHopsAndLeastCostLowLatency) {
    Network n;
    for (const std::uint32_t id : {2U, 3U, 4U})
        n.node({.id = id});
    n.link(1, 4, 100);
    n.link(1, 2, 5);
    n.link(2, 3, 5);
    n.link(3, 4, 5);
    const RouteTable table = n.table();
    EXPECT_EQ(table.next_hop(PeerId(4), Policy::least_hop), PeerId(4));
    EXPECT_EQ(table.next_hop(PeerId(4), Policy::least_cost), PeerId(2));
    EXPECT_EQ(table.find(PeerId(4))->least_cost->hops, 3U);
    EXPECT_EQ(table.find(PeerId(4))->least_cost->latency_ms, 15U);
}

TEST(RouteTable, EdgesAreDirectedAndNeedNodesAtTheirEnds) {
    Network n;
    n.node({.id = 2});
    n.node({.id = 3});
    n.link(1, 2);
    // Node 3 says that it is connected to 2, but 2 does not; and 2 names a node 9 without record.
    n.rows[PeerId(3)].insert(PeerId(2));
    n.rows[PeerId(2)].insert(PeerId(9));
    const RouteTable table = n.table();
    EXPECT_FALSE(table.next_hop(PeerId(3), Policy::least_hop));
    EXPECT_FALSE(table.next_hop(PeerId(9), Policy::least_hop));
    EXPECT_NE(table.find(PeerId(3)), nullptr) << "it is still listed";
    EXPECT_FALSE(table.next_hop(PeerId(1), Policy::least_hop)) << "to ourselves there is no hop";
}

TEST(RouteTable, ANeighbourWithoutARecordIsReachedDirectly) {
    Network n;
    n.link(1, 2);
    EXPECT_EQ(n.table().next_hop(PeerId(2), Policy::least_hop), PeerId(2));
}

TEST(RouteTable, AddressesAreExactThenOwnSubnetThenLongestPrefix) {
    Network n;
    n.node({.id = 2, .ipv4 = "10.144.0.2/24", .cidrs = {"192.168.0.0/16"}});
    n.node(
        {.id = 3, .ipv4 = "10.144.0.3/24", .cidrs = {"192.168.7.0/24", "172.16.0.0/12", "fd00::/8"}}
    );
    n.link(1, 2);
    n.link(2, 3);
    const RouteTable table = n.table();
    EXPECT_EQ(find(table, "10.144.0.1"), PeerId(1));
    EXPECT_EQ(find(table, "10.144.0.3"), PeerId(3));
    EXPECT_EQ(find(table, "10.144.0.77"), std::nullopt);
    EXPECT_EQ(find(table, "192.168.7.9"), PeerId(3));
    EXPECT_EQ(find(table, "192.168.8.9"), PeerId(2));
    EXPECT_EQ(find(table, "172.31.0.1"), PeerId(3));
    EXPECT_EQ(find(table, "fd12::1"), PeerId(3));
    EXPECT_EQ(find(table, "8.8.8.8"), std::nullopt);
    EXPECT_EQ(table.proxied_networks().size(), 4U);
    EXPECT_EQ(table.broadcast_peers4().size(), 2U);
}

TEST(RouteTable, Ipv6AddressesAreLookedUpAsIpv4Ones) {
    Network n({.ipv6 = Prefix::parse("fd00::1/64").value()});
    n.node({.id = 2, .ipv6 = "fd00::2/64", .cidrs = {"fd00:0:0:7::/64"}});
    n.node({.id = 3, .ipv4 = "10.144.0.3/24", .cidrs = {"fd00::/48", "2001:db8::/32"}});
    n.link(1, 2);
    n.link(2, 3);
    const RouteTable table = n.table();
    EXPECT_EQ(find(table, "fd00::1"), PeerId(1));
    EXPECT_EQ(find(table, "fd00::2"), PeerId(2));
    EXPECT_EQ(find(table, "fd00::77"), std::nullopt) << "unused in our own network";
    EXPECT_EQ(find(table, "fd00:0:0:7::1"), PeerId(2));
    EXPECT_EQ(find(table, "fd00:0:0:8::1"), std::nullopt) << "it contains our own network";
    EXPECT_EQ(find(table, "2001:db8::9"), PeerId(3));
}

TEST(RouteTable, BroadcastsGoToReachableMembersButPublicServers) {
    Network n;
    n.node({.id = 2, .ipv4 = "10.144.0.2/24"});
    n.node({.id = 3, .ipv6 = "fd00::3/64"});
    n.node({.id = 4, .ipv4 = "10.144.0.4/24", .public_server = true});
    n.node({.id = 5, .ipv4 = "10.144.0.5/24"});
    n.link(1, 2);
    n.link(2, 3);
    n.link(2, 4);
    const RouteTable table = n.table();
    EXPECT_TRUE(std::ranges::equal(table.broadcast_peers4(), std::array{PeerId(2)}));
    EXPECT_TRUE(std::ranges::equal(table.broadcast_peers6(), std::array{PeerId(2), PeerId(3)}));
}

TEST(RouteTable, ASenderMayUseItsAddressesAndAcceptedNetworksOnly) {
    Network n({.ipv6 = Prefix::parse("fd00::1/64").value()});
    n.node(
        {.id = 2,
         .ipv4 = "10.144.0.2/24",
         .ipv6 = "fd00::2/64",
         .cidrs = {"192.168.0.0/16", "0.0.0.0/0", "10.144.0.0/16"}}
    );
    n.node({.id = 3, .ipv4 = "192.168.0.3/24", .cidrs = {"192.168.0.0/16"}});
    n.node({.id = 4, .ipv4 = "10.144.0.2/24"});
    n.node({.id = 5, .ipv4 = "10.144.0.5/24"});
    n.link(1, 2);
    n.link(1, 3);
    n.link(2, 4);
    const RouteTable table = n.table();
    const auto may = [&table](std::uint32_t peer, std::string_view source) {
        return table.may_send_from(PeerId(peer), IpAddress::parse(source).value());
    };
    EXPECT_TRUE(may(2, "10.144.0.2"));
    EXPECT_TRUE(may(2, "fd00::2"));
    EXPECT_TRUE(may(2, "192.168.9.9"));
    EXPECT_TRUE(may(3, "192.168.9.9")) << "two routers of one network may both answer";
    EXPECT_FALSE(may(2, "192.168.0.3")) << "the address of another node inside its network";
    EXPECT_FALSE(may(2, "8.8.8.8")) << "a default route without our consent";
    EXPECT_FALSE(may(2, "10.144.0.9")) << "our own network is nobody's to announce";
    EXPECT_FALSE(may(2, "10.144.0.1")) << "our own address";
    EXPECT_FALSE(may(4, "10.144.0.2")) << "of two with one address the nearer has it";
    EXPECT_FALSE(may(5, "10.144.0.5")) << "it cannot be reached";
    EXPECT_FALSE(may(9, "10.144.0.2")) << "a stranger";
}

TEST(RouteTable, OfTwoOwnersTheNearerAndThenTheSmallerIdWins) {
    Network n;
    n.node({.id = 2, .ipv4 = "10.144.0.9/24", .cidrs = {"192.168.0.0/16"}});
    n.node({.id = 3, .ipv4 = "10.144.0.9/24"});
    n.node({.id = 4, .ipv4 = "10.144.0.1/24"});
    n.node({.id = 5, .ipv4 = "10.144.0.5/24", .cidrs = {"192.168.0.0/16"}});
    n.node({.id = 6, .ipv4 = "10.144.0.5/24"});
    n.link(1, 3);
    n.link(3, 2);
    n.link(1, 4);
    n.link(1, 5);
    n.link(1, 6);
    const RouteTable table = n.table();
    EXPECT_EQ(find(table, "10.144.0.9"), PeerId(3)) << "one hop beats two";
    EXPECT_EQ(find(table, "10.144.0.1"), PeerId(1)) << "we own our address whatever others say";
    EXPECT_EQ(find(table, "10.144.0.5"), PeerId(5)) << "equally near: the smaller id";
    EXPECT_EQ(find(table, "192.168.3.3"), PeerId(5));
}

TEST(RouteTable, ContestsNameTheOwnerAndEachOtherThatClaimsItsAddress) {
    Network n;
    n.node({.id = 2, .ipv4 = "10.144.0.9/24", .ipv6 = "fd00::9/64"});
    n.node({.id = 3, .ipv4 = "10.144.0.9/24"});
    n.node({.id = 4, .ipv4 = "10.144.0.9/24", .ipv6 = "fd00::9/64"});
    n.node({.id = 5, .ipv4 = "10.144.0.1/24"});
    n.node({.id = 6, .ipv4 = "10.144.0.6/24"});
    n.node({.id = 7, .ipv4 = "10.144.0.6/24"});  // cannot be reached
    n.link(1, 4);
    n.link(4, 2);
    n.link(4, 3);
    n.link(1, 5);
    n.link(1, 6);
    const RouteTable table = n.table();
    using Contests = std::vector<AddressContest>;
    EXPECT_EQ(
        Contests(table.contests().begin(), table.contests().end()),
        (Contests{{PeerId(1), PeerId(5)}, {PeerId(4), PeerId(2)}, {PeerId(4), PeerId(3)}})
    );
}

TEST(RouteTable, WideNetworksNeedConsent) {
    for (const bool consent : {false, true}) {
        Network n;
        if (consent) {
            n.options.wide_networks_accepted = {
                Prefix::parse("0.0.0.0/0").value(), Prefix::parse("::/0").value()
            };
        }
        n.links.emplace(n.options, 7, kNow, WallTime{});
        n.node(
            {.id = 2,
             .cidrs = {"0.0.0.0/0", "10.144.0.0/16", "10.144.0.128/25", "::/0", "10.9.0.0/16"}}
        );
        n.link(1, 2);
        const RouteTable table = n.table();
        EXPECT_EQ(find(table, "8.8.8.8").has_value(), consent);
        EXPECT_EQ(find(table, "2001:db8::1").has_value(), consent);
        EXPECT_EQ(find(table, "10.144.9.9").has_value(), consent);
        EXPECT_EQ(find(table, "10.144.0.200"), std::nullopt) << "our own subnet is never elsewhere";
        EXPECT_EQ(find(table, "10.9.1.1"), PeerId(2));
    }
}

TEST(RouteTable, WhatWeCarryOurselvesIsNotElsewhere) {
    Network n({.proxy_cidrs = {Prefix::parse("192.168.0.0/16").value()}});
    n.node({.id = 2, .cidrs = {"192.168.5.0/24", "192.168.0.0/16"}});
    n.link(1, 2);
    const RouteTable table = n.table();
    EXPECT_EQ(find(table, "192.168.5.5"), PeerId(1));
    EXPECT_TRUE(table.proxied_networks().empty());
}

TEST(RouteTable, RpcIsSealedForMembersAndPlainForPublicServersAndStrangers) {
    Network n;
    n.node({.id = 2});
    n.node({.id = 3, .public_server = true});
    n.node({.id = 4, .without_flags = true});  // two hops away
    n.node({.id = 5, .without_flags = true});
    n.link(1, 2);
    n.link(1, 3);
    n.link(2, 4);
    n.link(1, 5);
    n.neighbours[PeerId(6)] = {.own_network = true};   // no record yet
    n.neighbours[PeerId(7)] = {.own_network = false};  // a public server before its first record
    const RouteTable table = n.table();
    EXPECT_TRUE(table.encrypt_rpc_to(PeerId(2)));
    EXPECT_FALSE(table.encrypt_rpc_to(PeerId(3)));
    EXPECT_FALSE(table.encrypt_rpc_to(PeerId(4)));
    EXPECT_TRUE(table.encrypt_rpc_to(PeerId(5)));
    EXPECT_TRUE(table.encrypt_rpc_to(PeerId(6)));
    EXPECT_FALSE(table.encrypt_rpc_to(PeerId(7)));
    EXPECT_FALSE(table.encrypt_rpc_to(PeerId(99)));
    EXPECT_TRUE(table.is_public_server(PeerId(3)));
    EXPECT_TRUE(table.is_public_server(PeerId(7)));
    EXPECT_FALSE(table.is_public_server(PeerId(2)));
}

TEST(PeerCenter, TheLeaderIsTheSmallestThatIsNoPublicServer) {
    Network n;
    n.options.self = PeerId(50);
    n.links.emplace(n.options, 7, kNow, WallTime{});
    const auto table_with = [&](const std::vector<Node>& nodes) {
        std::set<PeerId> all;
        for (const Node& node : nodes) {
            n.node(node);
            all.insert(PeerId(node.id));
        }
        n.links->set_neighbours(all, kNow);
        return RouteTable(*n.links, {}, {}, 1);
    };
    EXPECT_EQ(leader_of(table_with({})), std::nullopt);
    EXPECT_EQ(leader_of(table_with({{.id = 60}})), PeerId(50));
    EXPECT_EQ(leader_of(table_with({{.id = 60}, {.id = 10, .public_server = true}})), PeerId(50));
    EXPECT_EQ(leader_of(table_with({{.id = 60}, {.id = 20}})), PeerId(20));
}

TEST(PeerCenter, KeepsTheLastReportOfEachNodeForThreeMinutes) {
    PeerCenter center({1, 2}, {});
    EXPECT_EQ(to_hex(build_map(center, 0)), "1000") << "no reports yet";
    EXPECT_TRUE(center.report(PeerId(2), {{PeerId(1), 5}}, kNow));
    const std::uint64_t first = center.digest();
    EXPECT_TRUE(build_map(center, first).empty()) << "unchanged";
    EXPECT_TRUE(center.report(PeerId(2), {{PeerId(1), 6}}, kNow + 60s));
    EXPECT_NE(center.digest(), first) << "latencies count";
    const FetchedMap map = parse_map(build_map(center, first)).value();
    EXPECT_FALSE(map.unchanged);
    EXPECT_EQ(map.digest, center.digest());
    EXPECT_EQ(map.map, (PeerMap{{PeerId(2), {{PeerId(1), 6}}}}));
    center.expire(kNow + 239s);
    EXPECT_NE(center.digest(), 0U);
    center.expire(kNow + 240s);
    EXPECT_EQ(center.digest(), 0U);
}

TEST(PeerCenter, ClampsWhatOthersClaim) {
    Latencies odd{{PeerId(1), 0}, {PeerId(2), 4'000'000'000U}, {PeerId(3), 100'000}};
    const auto [reporter, read] = parse_report(build_report(PeerId(9), odd)).value();
    EXPECT_EQ(reporter, PeerId(9));
    EXPECT_EQ(read, (Latencies{{PeerId(1), 1}, {PeerId(2), 1}, {PeerId(3), 60'000}}));
    EXPECT_FALSE(parse_report(as_view("\xff")).has_value());
    EXPECT_FALSE(parse_map(as_view("\xff")).has_value());
}

}  // namespace
}  // namespace selvage::route
