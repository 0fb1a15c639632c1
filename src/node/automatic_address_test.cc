// Tests of the choice of an address on hand-made networks.
#include "node/automatic_address.h"

#include "route/link_state.h"

namespace selvage::node {
namespace {

constexpr TimePoint kNow{std::chrono::hours(1)};

// What node 5 sees: others that are its neighbours, and others that it only heard of.
struct Network {
    route::RouteOptions options{.self = PeerId(5), .network_name = "n1"};
    std::optional<route::LinkState> links;
    std::set<PeerId> neighbours;

    Network() { links.emplace(options, 7, kNow, WallTime{}); }
    void member(std::uint32_t id, std::string_view address, bool reachable = true) {
        route::RouteOptions theirs{.self = PeerId(id), .network_name = "n1"};
        if (!address.empty()) theirs.own.ipv4 = Prefix::parse(address).value();
        // A higher version each time: a member may move.
        const std::uint32_t version = ++version_;
        links->add_record(route::build_own_record(theirs, 9, version, WallTime{}), kNow);
        if (reachable) neighbours.insert(PeerId(id));
    }
    std::string choose(AutomaticAddress& choice, std::string_view current, TimePoint now = kNow) {
        links->set_neighbours(neighbours, kNow);
        std::map<PeerId, route::NeighbourInfo> infos;
        for (const PeerId peer : neighbours)
            infos[peer] = {};
        const route::RouteTable table(*links, {}, infos, 1);
        std::optional<Prefix> held;
        if (!current.empty()) held = Prefix::parse(current).value();
        const auto chosen = choice.choose(table, held, now);
        return chosen ? chosen->to_string() : "none";
    }

private:
    std::uint32_t version_ = 0;
};

TEST(AutomaticAddress, AloneNothingIsChosenAndNothingGivenUp) {
    Network n;
    AutomaticAddress choice;
    EXPECT_EQ(n.choose(choice, ""), "none");
    EXPECT_EQ(n.choose(choice, "10.126.126.7/24"), "10.126.126.7/24");
    n.member(2, "10.126.126.7/24", false);
    EXPECT_EQ(n.choose(choice, "10.126.126.7/24"), "10.126.126.7/24") << "it cannot be reached";
}

TEST(AutomaticAddress, TheFirstFreeOneOfTheOthersNetworkIsTaken) {
    Network n;
    AutomaticAddress choice;
    n.member(1, "");
    EXPECT_EQ(n.choose(choice, ""), "10.126.126.1/24") << "nobody has one";
    n.member(2, "10.144.1.2/29");
    n.member(3, "10.144.1.1/29");
    n.member(4, "10.144.1.3/29", false);
    EXPECT_EQ(n.choose(choice, ""), "10.144.1.4/29") << "one that is away may come back with .3";
    EXPECT_EQ(n.choose(choice, "10.144.1.5/29"), "10.144.1.5/29");
    EXPECT_EQ(n.choose(choice, "10.126.126.1/24"), "10.144.1.4/29") << "the network is another";
    for (const std::uint32_t host : {4U, 5U, 6U})
        n.member(10 + host, fmt::format("10.144.1.{}/29", host));
    EXPECT_EQ(n.choose(choice, ""), "none") << "the network is full";
}

TEST(AutomaticAddress, OfSeveralNetworksTheOneWithTheMostMembersIsJoined) {
    Network n;
    AutomaticAddress choice;
    n.member(1, "10.1.0.1/24");
    n.member(2, "10.2.0.1/24");
    n.member(3, "10.2.0.2/24");
    n.member(6, "10.3.0.1/31");
    n.member(7, "10.3.0.0/31");
    n.member(8, "10.3.0.1/31");
    EXPECT_EQ(n.choose(choice, ""), "10.2.0.3/24") << "a /31 has no room";
    EXPECT_EQ(n.choose(choice, "10.1.0.9/24"), "10.1.0.9/24") << "whoever is in one stays";
}

TEST(AutomaticAddress, OfTwoWithOneAddressTheLargerIdMovesAtOnceAndTheSmallerInTheEnd) {
    Network n;
    AutomaticAddress choice;
    n.member(2, "10.126.126.1/24");
    EXPECT_EQ(n.choose(choice, "10.126.126.1/24"), "10.126.126.2/24") << "2 is smaller than 5";

    Network m;
    m.member(9, "10.126.126.1/24");
    EXPECT_EQ(m.choose(choice, "10.126.126.1/24"), "10.126.126.1/24") << "9 is larger";
    EXPECT_EQ(m.choose(choice, "10.126.126.1/24", kNow + 11s), "10.126.126.1/24");
    EXPECT_EQ(m.choose(choice, "10.126.126.1/24", kNow + 12s), "10.126.126.2/24") << "it is static";

    AutomaticAddress another;
    EXPECT_EQ(m.choose(another, "10.126.126.1/24"), "10.126.126.1/24");
    m.member(9, "10.126.126.3/24");
    EXPECT_EQ(m.choose(another, "10.126.126.1/24", kNow + 6s), "10.126.126.1/24");
    m.member(9, "10.126.126.1/24");
    EXPECT_EQ(m.choose(another, "10.126.126.1/24", kNow + 20s), "10.126.126.1/24")
        << "a new quarrel";
}

}  // namespace
}  // namespace selvage::node
