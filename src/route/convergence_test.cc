// Tests of several route cores: lines, rings, stars, deaths, restarts, partitions.
#include "peer_rpc.pb.h"
#include "route/core_net.h"
#include "rt/rng.h"

namespace selvage::route::test {
namespace {

using Route = std::vector<std::uint32_t>;

void make_line(CoreNet& net, std::uint32_t count) {
    for (std::uint32_t id = 1; id <= count; ++id)
        net.add(id);
    for (std::uint32_t id = 1; id < count; ++id)
        net.link(id, id + 1);
}

TEST(Convergence, TwoNodesKnowEachOtherAtOnce) {
    CoreNet net;
    make_line(net, 2);
    net.step();
    EXPECT_TRUE(net.converged());
    EXPECT_EQ(net.at(1).table()->peer_for(IpAddress::v4(10, 144, 0, 2)), PeerId(2));
    EXPECT_EQ(net.at(1).table()->find(PeerId(2))->record->hostname, "n2");
    EXPECT_EQ(net.at(2).table()->find(PeerId(1))->least_hop->hops, 1U);
}

TEST(Convergence, ALineOfSixIsOneChainOfHops) {
    CoreNet net;
    make_line(net, 6);
    net.run(3);
    EXPECT_TRUE(net.converged());
    EXPECT_EQ(net.path(1, 6), (Route{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(net.path(6, 1), (Route{6, 5, 4, 3, 2, 1}));
    EXPECT_EQ(net.at(1).table()->find(PeerId(6))->least_hop->hops, 5U);
    EXPECT_EQ(net.at(1).table()->find(PeerId(6))->least_hop->latency_ms, 2500U);
}

TEST(Convergence, ARingTakesTheShorterSideAndBreaksTiesBySmallerId) {
    CoreNet net;
    make_line(net, 6);
    net.link(6, 1);
    net.run(3);
    EXPECT_TRUE(net.converged());
    EXPECT_EQ(net.path(1, 3), (Route{1, 2, 3}));
    EXPECT_EQ(net.path(1, 5), (Route{1, 6, 5}));
    EXPECT_EQ(net.path(1, 4), (Route{1, 2, 3, 4})) << "two ways of three hops: by the smaller id";
    net.unlink(2, 3);
    net.run(3);
    EXPECT_TRUE(net.converged());
    EXPECT_EQ(net.path(1, 3), (Route{1, 6, 5, 4, 3}));
}

TEST(Convergence, AStarGoesThroughItsHub) {
    CoreNet net;
    for (std::uint32_t id = 1; id <= 12; ++id)
        net.add(id);
    for (std::uint32_t id = 1; id <= 12; ++id) {
        if (id != 7) net.link(7, id);
    }
    net.run(3);
    EXPECT_TRUE(net.converged());
    EXPECT_EQ(net.path(3, 9), (Route{3, 7, 9}));
    EXPECT_EQ(net.at(3).table()->broadcast_peers4().size(), 11U);
}

// Each end of the link in the middle has a neighbour on its other side that it would rather ask.
TEST(Convergence, ALineWhoseHalvesTurnAwayFromEachOtherBecomesOne) {
    CoreNet net;
    const std::vector<std::uint32_t> ids{2, 5, 7, 9, 8, 6, 4, 3};
    for (const std::uint32_t id : ids)
        net.add(id);
    for (const std::size_t at : {0U, 1U, 2U, 4U, 5U, 6U})
        net.link(ids[at], ids[at + 1]);
    net.run(20);
    EXPECT_FALSE(net.converged());
    net.link(9, 8);
    net.run(10);
    EXPECT_TRUE(net.converged());
    EXPECT_EQ(net.path(2, 3), (Route{2, 5, 7, 9, 8, 6, 4, 3}));
    // And what changes afterwards passes, too.
    net.add(1);
    net.link(3, 1);
    net.run(5);
    EXPECT_TRUE(net.converged());
    net.run(120);
    EXPECT_TRUE(net.converged());
}

// Both sides know each other from before the partition and have reasons to turn inwards: on each
// the smallest id that is known lies on its own side and looks after another branch.
TEST(Convergence, AHealedPartitionIsOneNetworkWhateverHappenedMeanwhile) {
    CoreNet net;
    for (const std::uint32_t id : {2U, 9U, 10U, 11U, 20U, 21U})
        net.add(id);
    net.link(2, 9);
    net.link(2, 10);
    net.link(10, 11);
    net.link(11, 20);
    net.link(20, 21);
    net.run(100);
    ASSERT_TRUE(net.converged());
    net.unlink(11, 20);
    net.add(1);
    net.add(19);
    net.link(1, 19);
    net.run(5);
    net.link(21, 1);
    net.run(20);
    net.link(11, 20);
    net.run(10);
    EXPECT_TRUE(net.converged());
    EXPECT_EQ(net.path(2, 1), (Route{2, 10, 11, 20, 21, 1}));
    net.add(30);
    net.link(2, 30);
    net.run(3);
    EXPECT_TRUE(net.converged());
}

// Links come and go, nodes come and die, in sparse networks where a single link often decides.
TEST(Convergence, AfterRandomHistoriesEverybodyReachesWhomLinksLeadTo) {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        SCOPED_TRACE(seed);
        rt::Rng rng(seed);
        CoreNet net;
        std::vector<std::uint32_t> ids;
        const auto pick = [&] { return ids[rng.below(ids.size())]; };
        const auto add = [&] {
            const auto id = static_cast<std::uint32_t>(1 + rng.below(250));
            if (net.cores().contains(PeerId(id))) return;
            net.add(id);
            if (!ids.empty()) net.link(id, pick());
            ids.push_back(id);
        };
        while (ids.size() < 8)
            add();
        for (int event = 0; event < 25; ++event) {
            const auto kind = rng.below(10);
            const std::uint32_t a = pick();
            const std::uint32_t b = pick();
            if (kind == 0) {
                add();
            } else if (kind == 1 && ids.size() > 5) {
                net.remove(a);
                std::erase(ids, a);
            } else if (a != b && net.linked(a, b)) {
                net.unlink(a, b);
            } else if (a != b && kind < 7) {
                net.link(a, b);
            }
            net.run(static_cast<int>(rng.below(rng.chance(0.1) ? 120 : 8)));
        }
        net.run(15);
        EXPECT_TRUE(net.matches_links());
    }
}

TEST(Convergence, QuietNetworksOnlySendKeepalives) {
    CoreNet net;
    make_line(net, 4);
    net.run(20);
    const std::uint64_t before = net.messages();
    net.run(110);
    EXPECT_TRUE(net.quiet());
    // Four initiators at most, each every 11 seconds.
    EXPECT_LE(net.messages() - before, 40U);
    EXPECT_GE(net.messages() - before, 10U);
}

TEST(Convergence, EveryNodeInitiatesTowardsExactlyOneNeighbour) {
    CoreNet net;
    for (std::uint32_t id = 1; id <= 5; ++id)
        net.add(id);
    for (std::uint32_t a = 1; a <= 5; ++a) {
        for (std::uint32_t b = a + 1; b <= 5; ++b)
            net.link(a, b);
    }
    net.run(5);
    EXPECT_TRUE(net.converged());
    for (const auto& [id, core] : net.cores()) {
        const auto sessions = core->sessions();
        EXPECT_EQ(std::ranges::count_if(sessions, &SessionView::we_initiate), 1)
            << "node " << id.raw();
    }
}

TEST(Convergence, ADeadNodeIsUnreachableAtOnceAndForgottenLater) {
    CoreNet net;
    make_line(net, 4);
    net.run(5);
    net.remove(4);
    net.step();
    EXPECT_FALSE(net.at(1).table()->find(PeerId(4))->least_hop);
    EXPECT_FALSE(net.at(1).table()->peer_for(IpAddress::v4(10, 144, 0, 4)));
    EXPECT_TRUE(net.converged()) << "the others";
    net.run(80);
    EXPECT_NE(net.at(1).table()->find(PeerId(4)), nullptr);
    net.run(20);
    EXPECT_EQ(net.at(1).table()->find(PeerId(4)), nullptr);
    EXPECT_FALSE(net.at(1).links().rows().contains(PeerId(4)));
}

TEST(Convergence, ARestartedNodeComesBackUnderANewId) {
    CoreNet net;
    make_line(net, 3);
    net.run(5);
    net.remove(2);
    net.run(3);
    RouteOptions options;
    options.self = PeerId(22);
    options.own.ipv4 = Prefix{IpAddress::v4(10, 144, 0, 2), 24};
    net.add(options);
    net.link(1, 22);
    net.link(22, 3);
    net.run(2);
    EXPECT_TRUE(net.converged());
    EXPECT_EQ(net.path(1, 3), (Route{1, 22, 3}));
    EXPECT_EQ(net.at(3).table()->peer_for(IpAddress::v4(10, 144, 0, 2)), PeerId(22));
}

TEST(Convergence, AReplyThatComesAfterALossDoesNotHideTheReturn) {
    CoreNet net;
    for (const std::uint32_t id : {1U, 2U, 3U})
        net.add(id);
    net.link(1, 2);
    net.run(30);
    net.link(2, 3);
    const auto told = net.at(3).next_sync(PeerId(2), net.moment().now);
    ASSERT_TRUE(told);
    const auto heard = net.at(2).on_request(PeerId(3), told->bytes, net.moment());
    net.at(3).on_reply(*told, heard, net.moment().now);
    const auto passed_on = net.at(2).next_sync(PeerId(1), net.moment().now);
    ASSERT_TRUE(passed_on);
    ASSERT_TRUE(passed_on->records.contains(PeerId(3)));
    const auto reply = net.at(1).on_request(PeerId(2), passed_on->bytes, net.moment());
    // Node 3 is lost while the reply is on its way; node 1 forgets it, its neighbour must know.
    net.unlink(2, 3);
    net.at(2).on_reply(*passed_on, reply, net.moment().now);
    net.run(120);
    ASSERT_EQ(net.at(1).table()->find(PeerId(3)), nullptr);
    net.link(2, 3);
    net.run(5);
    EXPECT_TRUE(net.converged());
}

TEST(Convergence, WhatANeighbourWasToldIsKeptAsLongAsItCountsOnThat) {
    CoreNet net;
    for (const std::uint32_t id : {1U, 2U, 3U})
        net.add(id);
    net.link(1, 2);
    net.link(2, 3);
    net.run(30);
    // Node 2 loses both; node 1 notices 40 s later, and forgets node 3 that much later.
    net.at(2).neighbour_down(PeerId(1), net.moment());
    net.unlink(2, 3);
    net.run(40);
    net.at(1).neighbour_down(PeerId(2), net.moment());
    net.run(70);
    ASSERT_EQ(net.at(2).table()->find(PeerId(3)), nullptr);
    ASSERT_NE(net.at(1).table()->find(PeerId(3)), nullptr);
    // They meet. For a moment node 1 still believes in the way to node 3, and tells of it.
    net.link(1, 2);
    const auto told = net.at(1).next_sync(PeerId(2), net.moment().now);
    ASSERT_TRUE(told);
    ASSERT_TRUE(told->records.contains(PeerId(3)));
    const auto reply = net.at(2).on_request(PeerId(1), told->bytes, net.moment());
    net.at(1).on_reply(*told, reply, net.moment().now);
    const auto back = net.at(2).next_sync(PeerId(1), net.moment().now);
    ASSERT_TRUE(back);
    net.at(2).on_reply(
        *back, net.at(1).on_request(PeerId(2), back->bytes, net.moment()), net.moment().now
    );
    ASSERT_FALSE(net.at(1).table()->find(PeerId(3))->least_hop);
    // Then node 3 is back, with the record that node 2 believes node 1 to have.
    net.run(25);
    net.link(2, 3);
    net.run(5);
    EXPECT_TRUE(net.converged());
}

TEST(Convergence, ARecordThatIsToldAgainIsKeptAgain) {
    const RouteOptions own{.self = PeerId(1), .network_name = "net1"};
    const RouteOptions other{.self = PeerId(2), .network_name = "net1"};
    const TimePoint start(std::chrono::hours(1));
    LinkState links(own, 1, start, WallTime{});
    const PeerRecord record = build_own_record(other, 7, 1, WallTime{});
    EXPECT_TRUE(links.add_record(record, start));
    links.expire({}, start + 85s);
    // Storm seed 445: the teller takes it as known to us, although it tells nothing new.
    EXPECT_FALSE(links.add_record(record, start + 85s));
    links.expire({}, start + 170s);
    EXPECT_NE(links.record(PeerId(2)), nullptr);
    links.expire({}, start + 175s);
    EXPECT_EQ(links.record(PeerId(2)), nullptr);
}

TEST(Convergence, APartitionHealsHoweverLongItLasted) {
    for (const int seconds : {1, 30, 70, 100, 200}) {
        SCOPED_TRACE(seconds);
        CoreNet net;
        make_line(net, 6);
        net.run(300);  // all records are older than the time after which lost ones are forgotten
        net.unlink(3, 4);
        net.run(seconds);
        EXPECT_TRUE(net.path(1, 6).empty());
        net.link(3, 4);
        net.run(2);
        EXPECT_TRUE(net.converged());
        EXPECT_EQ(net.path(1, 6), (Route{1, 2, 3, 4, 5, 6}));
    }
}

TEST(Convergence, AFlappingLinkNeverLeavesAHole) {
    CoreNet net;
    make_line(net, 5);
    net.link(5, 1);
    net.run(200);
    for (int i = 0; i < 20; ++i) {
        net.unlink(2, 3);
        net.run(i % 3);
        net.link(2, 3);
        net.run(1 + i % 2);
        EXPECT_TRUE(net.converged()) << "after flap " << i;
    }
    EXPECT_TRUE(net.quiet());
}

TEST(Convergence, RecordsOutliveTheirLimitOnlyByRefresh) {
    CoreNet net;
    make_line(net, 3);
    net.run(2 * 3660 + 120);
    EXPECT_TRUE(net.converged());
    EXPECT_EQ(net.at(1).links().record(PeerId(3))->version, 3U) << "renewed every hour";
}

TEST(Convergence, EqualRunsAreEqual) {
    std::vector<std::uint64_t> counts;
    for (int run = 0; run < 2; ++run) {
        CoreNet net;
        make_line(net, 8);
        net.link(8, 1);
        net.run(60);
        counts.push_back(net.messages());
    }
    EXPECT_EQ(counts[0], counts[1]);
}

TEST(Convergence, AChangeOfOurOwnReachesEverybody) {
    CoreNet net;
    make_line(net, 4);
    net.run(3);
    OwnNode own = net.at(1).links().options().own;
    own.hostname = "renamed";
    own.ipv4 = Prefix{IpAddress::v4(10, 144, 0, 99), 24};
    net.at(1).set_own(own, net.moment());
    net.step();
    EXPECT_EQ(net.at(4).table()->find(PeerId(1))->record->hostname, "renamed");
    EXPECT_EQ(net.at(4).table()->peer_for(IpAddress::v4(10, 144, 0, 99)), PeerId(1));
    EXPECT_FALSE(net.at(4).table()->peer_for(IpAddress::v4(10, 144, 0, 1)));
}

TEST(Convergence, UnknownFieldsOfARecordTravelByteForByte) {
    CoreNet net;
    make_line(net, 3);
    net.run(2);
    // A record of a node beyond: fields out of order, repeated, unknown, with a long varint.
    peer_rpc::RoutePeerInfo message;
    message.set_peer_id(50);
    message.set_version(3);
    Bytes raw{0x48, 0x83, 0x80, 0x00, 0x08,
              0x09, 0xe0, 0x12, 0x05};  // version 3 long, id 9, field 300
    const std::string rest = message.SerializeAsString();
    raw.insert(
        raw.end(), rest.begin(), rest.end()
    );  // and id and version again: the last one counts
    SyncRequest request{
        .sender = PeerId(1),
        .session = 5,
        .is_initiator = true,
        .records = {raw},
        .connections = {},
        .foreign = {}
    };
    request.connections =
        ConnList{{.peer = {.peer = PeerId(50), .version = 1}, .connected = {PeerId(1)}}};
    // Node 1 is its neighbour and says so.
    net.at(1).neighbour_up(PeerId(50), {}, net.moment());
    request.sender = PeerId(50);
    ASSERT_TRUE(
        net.at(1).on_request(PeerId(50), build_sync_request(request), net.moment()).has_value()
    );
    net.run(2);
    const PeerRecord* far = net.at(3).links().record(PeerId(50));
    ASSERT_NE(far, nullptr);
    EXPECT_EQ(to_hex(far->raw), to_hex(raw));
}

}  // namespace
}  // namespace selvage::route::test
