// New configurations for a node that carries traffic: what changes at once, what goes on.
#include <gtest/gtest.h>

#include "config/load.h"
#include "programs.h"
#include "seeds.h"
#include "selvage_host.h"

namespace selvage::sim {
namespace {

constexpr std::uint16_t kEchoPort = 7;

// The file that the simulated nodes could have been started with, and further lines.
config::NodeOptions options_of(const SelvageHost& host, const std::string& text) {
    auto options = config::parse_toml(
        fmt::format(
            "network_identity = {{ network_name = \"n1\", network_secret = \"s1\" }}\n"
            "ipv4 = \"{}/24\"\nflags.no_tun = true\n{}",
            host.address(), text
        ),
        "test.toml"
    );
    EXPECT_TRUE(options) << (options ? "" : options.error().message());
    return options ? std::move(*options) : config::NodeOptions();
}

std::string echo_for(std::string_view caller) {
    return fmt::format("service.echo.enabled = true\nservice.echo.allow = [\"{}\"]\n", caller);
}

constexpr const char* kListeners =
    "listeners = [\"tcp://0.0.0.0:11010\", \"udp://0.0.0.0:11010\"]\n";

class Reload : public testing::Test {
protected:
    void start() {
        world_.link(server_.host(), client_.host(), {.delay = 5ms});
        server_.start();
        client_.start();
        ASSERT_TRUE(world_.run_until([&] { return client_.reaches(server_); }, 60s));
    }
    node::ReloadReport reload(SelvageHost& host, const std::string& text) {
        auto report = host.node().reload(options_of(host, text));
        EXPECT_TRUE(report) << (report ? "" : report.error().message());
        world_.run_for(1s);
        return report ? std::move(*report) : node::ReloadReport();
    }
    // Whether a byte sent into an echo session comes back.
    bool echoes(rt::Stream& stream) {
        const std::uint8_t byte = 'x';
        if (!world_.run(stream.write_all({&byte, 1}))) return false;
        std::uint8_t back = 0;
        const auto got = world_.run(stream.read_some({&back, 1}));
        return got && *got == 1 && back == byte;
    }
    rt::StreamPtr open_echo() {
        auto stream = world_.run(client_.dial({server_.address(), kEchoPort}));
        return stream ? std::move(*stream) : nullptr;
    }

    World world_;
    SelvageHost server_{world_, {.name = "server", .address = "10.144.1.1/24"}};
    SelvageHost client_{
        world_, {.name = "client", .address = "10.144.1.2/24", .peers = {server_.url("tcp")}}
    };
};

TEST_F(Reload, SessionsThatAreStillAllowedGoOn) {
    start();
    auto session = open_echo();
    ASSERT_TRUE(session);
    ASSERT_TRUE(echoes(*session));
    const auto report = reload(server_, kListeners + echo_for("client") + "hostname = \"other\"\n");
    EXPECT_TRUE(config::changes_key(report.changes, "service.echo.allow"));
    EXPECT_TRUE(report.failures.empty());
    EXPECT_TRUE(echoes(*session));
}

TEST_F(Reload, ACallerThatMayNoLongerIsEndedWithinSeconds) {
    start();
    auto session = open_echo();
    ASSERT_TRUE(session);
    ASSERT_TRUE(echoes(*session));
    reload(server_, kListeners + echo_for("somebody-else"));
    EXPECT_FALSE(echoes(*session));
    EXPECT_TRUE(server_.node().services().sessions().empty());
}

TEST_F(Reload, TheNewHostNameReachesThePeers) {
    start();
    reload(server_, std::string(kListeners) + "hostname = \"lighthouse\"\n");
    EXPECT_EQ(server_.node().host_name(), "lighthouse");
    EXPECT_TRUE(world_.run_until(
        [&] {
            const auto* entry = client_.node().routes().table()->find(server_.node().id());
            return entry != nullptr && entry->record->hostname == "lighthouse";
        },
        30s
    ));
}

TEST_F(Reload, AListenerThatGoesKeepsItsTunnelsAndANewOneAccepts) {
    start();
    reload(server_, "listeners = [\"tcp://0.0.0.0:12000\"]\n");
    EXPECT_TRUE(client_.has_neighbour(server_));
    const auto urls = server_.node().listeners().urls();
    ASSERT_FALSE(urls.empty());
    EXPECT_EQ(urls.front().port, 12000);
    reload(
        client_, fmt::format("peer = [{{ uri = \"tcp://{}:12000\" }}]\n", server_.host().address())
    );
    EXPECT_TRUE(world_.run_until(
        [&] {
            const auto status = client_.node().connectors().status();
            return status.size() == 1 && status[0].state == connect::ConnectorState::connected;
        },
        30s
    ));
}

TEST_F(Reload, AListenerThatCannotBeBoundChangesNothing) {
    start();
    auto taken = world_.run([&]() -> rt::Task<Result<rt::AcceptorPtr>> {
        co_return static_cast<host::Sockets&>(server_.host())
            .listen_tcp({IpAddress::v4(0, 0, 0, 0), 12000}, {});
    }());
    ASSERT_TRUE(taken);
    auto report = server_.node().reload(options_of(
        server_,
        "listeners = [\"tcp://0.0.0.0:12001\", \"tcp://0.0.0.0:12000\"]\n"
        "hostname = \"other\"\n"
    ));
    ASSERT_FALSE(report);
    EXPECT_NE(report.error().message().find("listeners"), std::string::npos);
    EXPECT_NE(report.error().message().find("12000"), std::string::npos);
    EXPECT_EQ(server_.node().host_name(), "server");
    EXPECT_TRUE(std::ranges::none_of(server_.node().listeners().urls(), [](const auto& url) {
        return url.port == 12001;
    }));
}

TEST_F(Reload, ConnectorsComeAndGoWhileRunning) {
    start();
    connect::Connectors& connectors = client_.node().connectors();
    const auto udp = tunnel::Url::parse(server_.url("udp")).value();
    ASSERT_TRUE(connectors.add(udp));
    EXPECT_TRUE(connectors.add(udp).error().is(Errc::exists));
    EXPECT_TRUE(world_.run_until(
        [&] {
            const auto status = connectors.status();
            return status.size() == 2 && status[1].state == connect::ConnectorState::connected;
        },
        30s
    ));
    EXPECT_FALSE(connectors.status()[1].configured);
    // A reload is about the configured ones.
    reload(client_, fmt::format("peer = [{{ uri = \"{}\" }}]\n", server_.url("tcp")));
    EXPECT_EQ(connectors.status().size(), 2U);
    reload(client_, "hostname = \"client\"\n");
    ASSERT_EQ(connectors.status().size(), 1U);
    EXPECT_TRUE(connectors.remove(udp));
    EXPECT_FALSE(connectors.remove(udp));
    EXPECT_TRUE(connectors.status().empty());
    EXPECT_TRUE(client_.has_neighbour(server_)) << "the connection itself stays";
}

std::string forward(std::uint16_t port, std::uint16_t to) {
    return fmt::format(
        "[[port_forward]]\nbind_addr = \"127.0.0.1:{}\"\ndst_addr = \"10.144.1.1:{}\"\nproto = "
        "\"tcp\"\n",
        port, to
    );
}

TEST_F(Reload, ForwardsComeChangeAndGoWhileTheOthersFlowsGoOn) {
    start();
    const auto call = [this](std::uint16_t port) -> rt::StreamPtr {
        const Endpoint at{IpAddress::v4(127, 0, 0, 1), port};
        auto stream = world_.run(client_.host().connect_tcp(at));
        return stream ? std::move(*stream) : nullptr;
    };
    const std::string peer =
        fmt::format("peer = [{{ uri = \"{}\" }}]\n", server_.url("tcp")) + kListeners;
    EXPECT_TRUE(
        reload(client_, peer + forward(8001, kEchoPort) + forward(8002, kEchoPort)).failures.empty()
    );
    auto stays = call(8001);
    auto changes = call(8002);
    ASSERT_TRUE(stays && changes);
    ASSERT_TRUE(echoes(*stays));
    ASSERT_TRUE(echoes(*changes));
    // The second leads elsewhere now, by the same port; a third is new.
    const auto report = reload(
        client_, peer + forward(8002, 6666) + forward(8001, kEchoPort) + forward(8003, kEchoPort)
    );
    EXPECT_TRUE(config::changes_key(report.changes, "port_forward"));
    EXPECT_TRUE(report.failures.empty());
    EXPECT_TRUE(echoes(*stays));
    EXPECT_FALSE(echoes(*changes));
    auto third = call(8003);
    ASSERT_TRUE(third);
    EXPECT_TRUE(echoes(*third));
    for (const edge::ForwardInfo& info : client_.node().forwards().list())
        EXPECT_EQ(info.error, "");
    auto elsewhere = call(8002);
    ASSERT_TRUE(elsewhere) << "the new one listens where the old one did";
    EXPECT_FALSE(echoes(*elsewhere));
    reload(client_, peer);
    EXPECT_FALSE(echoes(*stays));
    EXPECT_FALSE(call(8001));
    EXPECT_TRUE(client_.node().forwards().list().empty());
}

TEST_F(Reload, AForwardWhosePortIsTakenIsToldAndTheOthersRun) {
    start();
    auto taken = world_.run([&]() -> rt::Task<Result<rt::AcceptorPtr>> {
        co_return static_cast<host::Sockets&>(client_.host())
            .listen_tcp({IpAddress::v4(127, 0, 0, 1), 8001}, {});
    }());
    ASSERT_TRUE(taken);
    const std::string peer =
        fmt::format("peer = [{{ uri = \"{}\" }}]\n", server_.url("tcp")) + kListeners;
    const auto report = reload(client_, peer + forward(8001, kEchoPort) + forward(8002, kEchoPort));
    ASSERT_EQ(report.failures.size(), 1U);
    EXPECT_NE(report.failures[0].find("8001"), std::string::npos) << report.failures[0];
    const auto list = client_.node().forwards().list();
    ASSERT_EQ(list.size(), 2U);
    EXPECT_NE(list[0].error, "");
    EXPECT_EQ(list[1].error, "");
}

TEST_F(Reload, WhatNeedsARestartIsSaidAgainAndAgain) {
    start();
    const std::string text = std::string(kListeners) + "flags.mtu = 1300\n";
    EXPECT_TRUE(config::changes_key(reload(server_, text).changes, "flags.mtu"));
    const auto again = reload(server_, text);
    EXPECT_TRUE(config::changes_key(again.changes, "flags.mtu"));
    EXPECT_FALSE(config::changes_key(again.changes, "listeners"));
}

}  // namespace
}  // namespace selvage::sim
