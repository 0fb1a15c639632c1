// What every edge service promises, tried on each row of the table of services.
#include <gtest/gtest.h>

#include "edge/test_fakes.h"

namespace selvage::edge {
namespace {

// Options under which anybody may come in, whatever the service.
OptionsBuilder open_to_all(const ServiceSpec& spec) {
    OptionsBuilder builder(spec.name);
    static_cast<void>(builder.build());
    // A service that asks for a password says so; the contract is about what comes before.
    if (!builder.problems.empty()) builder.set("auth", std::string("mesh"));
    return builder;
}

class ServiceContract : public testing::TestWithParam<const ServiceSpec*> {
protected:
    ServiceWorld& start(OptionsBuilder builder) {
        auto options = builder.build();
        for (const auto& problem : builder.problems)
            ADD_FAILURE() << problem.key << ": " << problem.text;
        world_ = std::make_unique<ServiceWorld>(std::move(options));
        EXPECT_TRUE(world_->host->start());
        return *world_;
    }
    OptionsBuilder options() { return open_to_all(*GetParam()); }

    std::unique_ptr<ServiceWorld> world_;
};

TEST_P(ServiceContract, IsOffUntilEnabled) {
    ServiceWorld& world = start(options().set("enabled", false));
    EXPECT_FALSE(world.ports.is_open({kNodeAddress, world.port}));
    EXPECT_FALSE(world.info().enabled);
}

TEST_P(ServiceContract, RefusesWhoIsNotOnTheList) {
    ServiceWorld& world = start(options().set_list("allow", {"phone"}));
    auto client = world.ports.connect(world.port);
    EXPECT_TRUE(client->ended());
    EXPECT_EQ(client->received(), "");
    EXPECT_EQ(world.info().counters.refused_not_allowed, 1U);
    EXPECT_EQ(world.sink->count("reason=\"not allowed\""), 1U) << "an audit line is missing";
    auto phone = world.ports.connect(world.port, IpAddress::v4(10, 144, 1, 8));
    EXPECT_FALSE(phone->ended());
}

TEST_P(ServiceContract, RefusesWhomNobodyKnows) {
    ServiceWorld& world = start(options());
    auto client = world.ports.connect(world.port, IpAddress::v4(10, 144, 1, 200));
    EXPECT_TRUE(client->ended());
    EXPECT_EQ(world.info().counters.refused_unknown, 1U);
}

TEST_P(ServiceContract, HoldsItsSessionLimit) {
    ServiceWorld& world = start(options().set("max_sessions", std::int64_t{2}));
    auto first = world.ports.connect(world.port);
    auto second = world.ports.connect(world.port);
    auto third = world.ports.connect(world.port);
    EXPECT_FALSE(first->ended());
    EXPECT_FALSE(second->ended());
    EXPECT_TRUE(third->ended());
    EXPECT_EQ(world.info().counters.refused_limit, 1U);
    first->vanish();
    world.runtime.run_for(10s);
    auto fourth = world.ports.connect(world.port);
    EXPECT_FALSE(fourth->ended());
}

TEST_P(ServiceContract, HoldsItsLimitPerCaller) {
    ServiceWorld& world = start(options().set("max_sessions_per_caller", std::int64_t{1}));
    auto laptop = world.ports.connect(world.port);
    auto again = world.ports.connect(world.port);
    auto phone = world.ports.connect(world.port, IpAddress::v4(10, 144, 1, 8));
    EXPECT_FALSE(laptop->ended());
    EXPECT_TRUE(again->ended());
    EXPECT_FALSE(phone->ended());
}

TEST_P(ServiceContract, SurvivesAPeerThatVanishes) {
    ServiceWorld& world = start(options());
    for (const std::string_view junk :
         {"", "\x05", "\x05\x01", "GET / HTTP/1.0\r\n\r\n", "\xff\xfa"}) {
        auto client = world.ports.connect(world.port);
        if (!junk.empty()) client->send(junk);
        client->vanish();
    }
    world.runtime.run_for(10s);
    EXPECT_TRUE(world.host->sessions().empty());
    auto client = world.ports.connect(world.port);
    EXPECT_FALSE(client->ended());
}

TEST_P(ServiceContract, ClosesIdleSessions) {
    ServiceWorld& world = start(options().set("idle_timeout", std::string("3s")));
    auto client = world.ports.connect(world.port);
    client->stop_reading();  // some services talk by themselves, as long as somebody listens
    world.runtime.run_for(2900ms);
    EXPECT_FALSE(world.host->sessions().empty());
    world.runtime.run_for(200ms);
    EXPECT_EQ(world.info().counters.idle_closed, 1U);
    EXPECT_TRUE(world.host->sessions().empty());
}

TEST_P(ServiceContract, ASessionCanBeListedAndEnded) {
    ServiceWorld& world = start(options());
    auto client = world.ports.connect(world.port);
    const auto sessions = world.host->sessions();
    ASSERT_EQ(sessions.size(), 1U);
    EXPECT_EQ(sessions[0].service, GetParam()->name);
    EXPECT_EQ(sessions[0].caller.host_name, "Laptop");
    EXPECT_TRUE(world.host->kill(sessions[0].id));
    EXPECT_TRUE(client->ended());
    EXPECT_TRUE(world.host->sessions().empty());
    EXPECT_FALSE(world.host->kill(sessions[0].id));
}

TEST_P(ServiceContract, NewOptionsReachLiveSessions) {
    ServiceWorld& world = start(options());
    auto client = world.ports.connect(world.port);
    auto phone = world.ports.connect(world.port, IpAddress::v4(10, 144, 1, 8));
    std::vector<ServiceOptions> changed;
    changed.push_back(options().set_list("allow", {"phone"}).build());
    ASSERT_TRUE(world.host->apply(std::move(changed)));
    world.runtime.run_for(1s);
    EXPECT_TRUE(client->ended());
    EXPECT_FALSE(phone->ended());
    EXPECT_EQ(world.info().counters.revoked, 1U);
    EXPECT_EQ(world.sink->count("no longer allowed"), 1U);
    EXPECT_TRUE(world.ports.connect(world.port)->ended());
}

TEST_P(ServiceContract, ALowerLimitEndsTheYoungest) {
    ServiceWorld& world = start(options());
    auto first = world.ports.connect(world.port);
    auto second = world.ports.connect(world.port);
    std::vector<ServiceOptions> changed;
    changed.push_back(options().set("max_sessions", std::int64_t{1}).build());
    ASSERT_TRUE(world.host->apply(std::move(changed)));
    world.runtime.run_for(1s);
    EXPECT_FALSE(first->ended());
    EXPECT_TRUE(second->ended());
}

TEST_P(ServiceContract, MovesToANewPortAndKeepsItsSessions) {
    ServiceWorld& world = start(options());
    auto client = world.ports.connect(world.port);
    std::vector<ServiceOptions> changed;
    changed.push_back(options().set("port", std::int64_t{4711}).build());
    ASSERT_TRUE(world.host->apply(std::move(changed)));
    world.runtime.run_for(1s);
    EXPECT_FALSE(client->ended());
    EXPECT_FALSE(world.ports.is_open({kNodeAddress, world.port}));
    EXPECT_FALSE(world.ports.connect(4711)->ended());
}

TEST_P(ServiceContract, KeepsItsPortWhenTheNewOneIsTaken) {
    ServiceWorld& world = start(options());
    auto taken = world.ports.publish({.port = 4711});
    std::vector<ServiceOptions> changed;
    changed.push_back(options().set("port", std::int64_t{4711}).build());
    EXPECT_FALSE(world.host->apply(std::move(changed)));
    EXPECT_FALSE(world.ports.connect(world.port)->ended());
    EXPECT_EQ(world.info().port, world.port);
}

TEST_P(ServiceContract, SwitchedOffItsSessionsEndWithinTheGrace) {
    ServiceWorld& world = start(options());
    auto client = world.ports.connect(world.port);
    ASSERT_TRUE(world.host->apply({}));
    world.runtime.run_for(1s);
    EXPECT_FALSE(world.ports.is_open({kNodeAddress, world.port}));
    world.runtime.run_for(1s + 100ms);
    EXPECT_TRUE(client->ended());
    std::vector<ServiceOptions> again;
    again.push_back(options().build());
    ASSERT_TRUE(world.host->apply(std::move(again)));
    EXPECT_FALSE(world.ports.connect(world.port)->ended());
}

TEST_P(ServiceContract, ClosesOnStopWithinTheGrace) {
    ServiceWorld& world = start(options());
    auto client = world.ports.connect(world.port);
    const TimePoint before = world.runtime.now();
    world.runtime.run(world.host->stop());
    EXPECT_LE(world.runtime.now() - before, 2s + 100ms);
    EXPECT_TRUE(client->ended());
    EXPECT_FALSE(world.ports.is_open({kNodeAddress, world.port}));
}

TEST_P(ServiceContract, LeaksNothing) {
    ServiceWorld& world = start(options());
    const std::size_t timers = world.runtime.timers().size();
    for (std::uint64_t round = 0; round < 40; ++round) {
        auto client = world.ports.connect(world.port);
        std::string junk;
        for (std::uint64_t i = 0; i < round * 7; ++i)
            junk.push_back(static_cast<char>(world.runtime.rng().next()));
        if (!junk.empty()) client->send(junk);
        static_cast<void>(client->received());
        client->finish();
        client->vanish();
    }
    world.runtime.run_for(2min);
    EXPECT_TRUE(world.host->sessions().empty());
    EXPECT_EQ(world.runtime.timers().size(), timers);
    EXPECT_EQ(world.terminals.live, 0);
}

INSTANTIATE_TEST_SUITE_P(
    All, ServiceContract, testing::ValuesIn(service_table().begin(), service_table().end()),
    [](const auto& row) { return std::string(row.param->name); }
);

TEST(ServiceHost, OneTakenPortDoesNotTakeTheOthersAway) {
    rt::VirtualRuntime runtime;
    auto sink = std::make_shared<CollectingSink>();
    FakePorts ports(runtime);
    FakeNode node;
    FakeDialer dialer(runtime, ports.net);
    auto taken = ports.publish({.port = 7});
    std::vector<ServiceOptions> options;
    options.push_back(OptionsBuilder("echo").build());
    options.push_back(OptionsBuilder("proxy").build());
    ServiceHost host(
        {.runtime = runtime, .log = Log(sink), .node = node, .dialer = dialer, .ports = ports},
        std::move(options)
    );
    const auto started = host.start();
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().message(), "service echo: port 7: already in use");
    EXPECT_EQ(host.services()[0].error, "service echo: port 7: already in use");
    EXPECT_TRUE(ports.is_open({kNodeAddress, 1080}));
    runtime.run(host.stop());
}

TEST_P(ServiceContract, TheHostKeepsItsPortUnlessToldOtherwise) {
    ServiceWorld& world = start(options());
    std::vector<ServiceOptions> changed;
    world.ports.host_programs.insert(world.port);
    EXPECT_TRUE(world.info().shadows_host) << "a program of the host came later";
    EXPECT_FALSE(world.ports.connect(world.port)->ended()) << "callers stay with the service";
    ASSERT_TRUE(world.host->apply({}));
    world.runtime.run_for(3s);
    changed.push_back(options().build());
    EXPECT_FALSE(world.host->apply(std::move(changed)));
    EXPECT_NE(world.info().error, "");
    EXPECT_FALSE(world.ports.is_open({kNodeAddress, world.port}));
    changed.clear();
    changed.push_back(options().set("shadow_host", true).build());
    ASSERT_TRUE(world.host->apply(std::move(changed)));
    EXPECT_EQ(world.info().error, "");
    EXPECT_FALSE(world.ports.connect(world.port)->ended());
    EXPECT_EQ(world.sink->count("hides a program of the host"), 1U);
}

TEST_P(ServiceContract, AServiceForTheHostAloneLeavesItsPortInTheMeshAlone) {
    std::vector<ServiceOptions> all;
    all.push_back(
        options().set_list("allow", {}).set("listen_host", std::string("127.0.0.1:900")).build()
    );
    ServiceWorld& world = start(options());
    ASSERT_TRUE(world.host->apply(std::move(all)));
    EXPECT_FALSE(world.ports.is_open({kNodeAddress, world.port}));
    const Endpoint host_port{IpAddress::v4(127, 0, 0, 1), 900};
    auto client = world.ports.connect({IpAddress::v4(127, 0, 0, 1), 5}, host_port);
    EXPECT_FALSE(client->ended());
    all.clear();
    all.push_back(options().build());
    ASSERT_TRUE(world.host->apply(std::move(all)));
    EXPECT_TRUE(world.ports.is_open({kNodeAddress, world.port}));
}

TEST(ServiceHost, KnockingDoesNotFillTheLog) {
    ServiceWorld world(OptionsBuilder("echo").set_list("allow", {"phone"}).build());
    ASSERT_TRUE(world.host->start());
    for (int i = 0; i < 100; ++i)
        static_cast<void>(world.ports.connect(world.port));
    EXPECT_EQ(world.sink->count("caller refused"), 10U);
    world.runtime.run_for(2s);
    static_cast<void>(world.ports.connect(world.port));
    EXPECT_EQ(world.sink->count("suppressed=90"), 1U);
    EXPECT_EQ(world.info().counters.refused_not_allowed, 101U);
}

TEST(ServiceHost, OffLoopbackListenHostAsksTheAllowList) {
    const Endpoint outside{IpAddress::v4(192, 168, 1, 5), 7000};
    auto builder = OptionsBuilder("echo");
    builder.set("listen_host", std::string("192.168.1.5:7000"))
        .set_list("allow", {"any-member", "192.168.1.9"});
    ServiceWorld world(builder.build());
    ASSERT_TRUE(world.host->start());
    auto stranger = world.ports.connect({IpAddress::v4(192, 168, 1, 8), 5000}, outside);
    EXPECT_TRUE(stranger->ended());
    auto named = world.ports.connect({IpAddress::v4(192, 168, 1, 9), 5000}, outside);
    named->send("hello");
    EXPECT_EQ(named->received(), "hello");
}

}  // namespace
}  // namespace selvage::edge
