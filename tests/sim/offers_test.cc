// What nodes tell each other of their services: to whom, and what comes back when nobody is there.
#include <gtest/gtest.h>

#include "seeds.h"
#include "selvage_host.h"

namespace selvage::sim {
namespace {

using node::NodeOffers;
using node::Offer;

// echo for everybody, shell for another member, proxy for everybody but untold, discard switched
// off.
void set_services(config::NodeOptions& options) {
    for (edge::ServiceOptions& service : options.services) {
        const std::string_view name = service.spec->name;
        service.enabled = name == "echo" || name == "shell" || name == "proxy";
        service.advertise = name != "proxy";
        service.allow = edge::AllowList();
        const char* who = name == "shell" ? "other" : "any-member";
        service.allow.add(edge::AllowList::parse_rule(who).value());
    }
}

struct Mesh {
    explicit Mesh(World& w)
        : world(w),
          server(w, {.name = "server", .address = "10.144.1.1/24", .adjust = set_services}),
          asker(w, {.name = "asker", .address = "10.144.1.2/24", .peers = {server.url("tcp")}}),
          other(w, {.name = "other", .address = "10.144.1.3/24", .peers = {server.url("udp")}}) {
        for (SelvageHost* host : {&server, &asker, &other})
            host->start();
    }
    bool joined() {
        return world.run_until(
            [&] { return asker.reaches(other) && other.reaches(asker) && server.reaches(asker); },
            60s
        );
    }
    std::vector<NodeOffers> ask(SelvageHost& who, std::vector<PeerId> members) {
        return world.run(who.node().directory().ask_all(std::move(members)));
    }
    World& world;
    SelvageHost server;
    SelvageHost asker;
    SelvageHost other;
};

TEST(Offers, AMemberIsToldOfWhatItMayUseAndNothingElse) {
    World world{{.seed = test_seed()}};
    Mesh mesh(world);
    ASSERT_TRUE(mesh.joined());
    const std::vector<PeerId> server{mesh.server.node().id()};
    const auto told = mesh.ask(mesh.asker, server);
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].answer, NodeOffers::Answer::told);
    EXPECT_EQ(told[0].offers, (std::vector<Offer>{{"echo", 7, "tcp"}}));
    const auto more = mesh.ask(mesh.other, server);
    EXPECT_EQ(more[0].offers, (std::vector<Offer>{{"echo", 7, "tcp"}, {"shell", 23, "tcp"}}));
}

TEST(Offers, NothingIsToldUnlessItIsAdvertised) {
    World world{{.seed = test_seed()}};
    Mesh mesh(world);
    ASSERT_TRUE(mesh.joined());
    const auto told = mesh.ask(mesh.server, {mesh.asker.node().id()});
    EXPECT_EQ(told[0].answer, NodeOffers::Answer::told);
    EXPECT_TRUE(told[0].offers.empty()) << "every service of it is open to every member";
}

TEST(Offers, WhoIsNotThereDoesNotHoldUpTheOthers) {
    World world{{.seed = test_seed()}};
    Mesh mesh(world);
    ASSERT_TRUE(mesh.joined());
    std::vector<PeerId> members{PeerId(1), mesh.server.node().id(), PeerId(2)};
    for (std::uint32_t id = 100; id < 250; ++id)
        members.emplace_back(id);
    const TimePoint before = world.now();
    const auto told = mesh.ask(mesh.asker, members);
    EXPECT_LT(world.now() - before, 12s);
    ASSERT_EQ(told.size(), members.size());
    for (std::size_t i = 0; i < members.size(); ++i) {
        EXPECT_EQ(told[i].peer, members[i]);
        const bool answers = members[i] == mesh.server.node().id();
        EXPECT_EQ(
            told[i].answer, answers ? NodeOffers::Answer::told : NodeOffers::Answer::no_answer
        );
    }
}

rt::Task<> ask_and_note(node::Node& node, std::vector<PeerId> members, bool& done) {
    (void)co_await node.directory().ask_all(std::move(members));
    done = true;
}

TEST(Offers, ANodeThatStopsLetsGoOfWhoWaits) {
    World world{{.seed = test_seed()}};
    Mesh mesh(world);
    ASSERT_TRUE(mesh.joined());
    bool done = false;
    mesh.asker.host().tasks().spawn(
        "ask", ask_and_note(mesh.asker.node(), {PeerId(1), PeerId(2)}, done)
    );
    world.run_for(1s);
    EXPECT_FALSE(done);
    mesh.asker.stop();
    EXPECT_TRUE(done);
}

}  // namespace
}  // namespace selvage::sim
