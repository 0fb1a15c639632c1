// The management channel over a stream in memory, with an instance made of plain facts.
#include "node/management.h"

#include <gtest/gtest.h>

#include "api_instance.pb.h"
#include "api_manage.pb.h"
#include "edge/test_fakes.h"
#include "rpc/stream_session.h"
#include "rpc/typed.h"
#include "selvage_api.pb.h"
#include "selvage_watch.pb.h"

namespace selvage::node {
namespace {

using edge::TestClient;
namespace api = ::api::instance;
namespace own = ::selvage::api;

class FakeInstance final : public InstanceView {
public:
    explicit FakeInstance(rt::VirtualRuntime& runtime) : runtime_(runtime) {
        facts_.instance_name = "home";
        facts_.instance_id = Uuid::parse("7b1f1a33-8a7e-4d39-9f53-1a2b3c4d5e6f").value();
        facts_.network_name = "meadow";
        facts_.peer = PeerId(1);
        facts_.host_name = "node\x01";
        facts_.version = "selvage-test";
        facts_.addresses.ipv4 = Prefix::parse("10.144.1.1/24").value();
        facts_.uptime = 90s;
        facts_.listeners = {"tcp://0.0.0.0:11010"};
        facts_.host_addresses = {IpAddress::v4(127, 0, 0, 1), IpAddress::v4(192, 168, 1, 5)};
        facts_.config = "hostname = \"node\"\n";
        conns_.push_back(
            {.id = ConnId(1),
             .peer = PeerId(7),
             .host_name = "laptop",
             .network_name = "meadow",
             .tunnel = "tcp",
             .remote = "tcp://10.0.0.7:11010",
             .is_client = true,
             .latency = 1500us,
             .loss_rate = 0.25,
             .rx_bytes = 10,
             .tx_bytes = 20}
        );
        conns_.push_back({.id = ConnId(2), .peer = PeerId(7), .tunnel = "udp"});
        nodes_.push_back(
            {.peer = PeerId(7),
             .host_name = "laptop",
             .version = "2.6.4",
             .ipv4 = Prefix::parse("10.144.1.7/24").value(),
             .udp_nat_type = 200,
             .least_hop = NodeFacts::Way{PeerId(7), 1, 0},
             .least_cost = NodeFacts::Way{PeerId(7), 1, 3}}
        );
        nodes_.push_back({.peer = PeerId(9), .host_name = "gone"});
    }
    InstanceFacts facts() const override { return facts_; }
    std::vector<ConnFacts> connections() const override { return conns_; }
    std::vector<NodeFacts> nodes() const override { return nodes_; }
    std::vector<HostedNetworkFacts> hosted_networks() const override {
        return {
            {.name = "village",
             .self_there = PeerId(70),
             .secret_digest = Bytes(32, 0xab),
             .connections =
                 {
                     {.id = ConnId(5),
                      .peer = PeerId(71),
                      .network_name = "village",
                      .tunnel = "udp"},
                     {.id = ConnId(6),
                      .peer = PeerId(71),
                      .network_name = "village",
                      .tunnel = "tcp"},
                 }}
        };
    }
    std::vector<AnnouncedNetworkFacts> announced_networks() const override {
        return {
            {.server = PeerId(1), .name = "village", .members = {PeerId(71)}, .version = 9},
            {.server = PeerId(7),
             .name = "hamlet\xff",
             .members = {PeerId(81), PeerId(82)},
             .updated_seconds = std::numeric_limits<std::int64_t>::max(),
             .updated_nanos = -1},
        };
    }
    std::vector<connect::ConnectorStatus> connectors() const override {
        return {
            {.url = "tcp://a:1", .state = connect::ConnectorState::connected, .last_error = ""},
            {.url = "tcp://b:1", .state = connect::ConnectorState::waiting, .last_error = ""}
        };
    }
    std::vector<edge::ServiceInfo> services() const override {
        edge::ServiceInfo proxy{
            .name = "proxy",
            .summary = "a proxy",
            .enabled = true,
            .port = 1080,
            .allow = {"laptop"}
        };
        proxy.counters.accepted = 3;
        proxy.counters.refused_not_allowed = 2;
        proxy.counters.refused_limit = 1;
        return {
            proxy, {.name = "echo", .port = 7}, {.name = "shell", .enabled = true, .error = "taken"}
        };
    }
    std::vector<edge::SessionInfo> sessions() const override {
        edge::SessionInfo session{.id = edge::SessionId(4), .service = "proxy", .bytes_in = 5};
        session.caller.peer = PeerId(7);
        session.caller.host_name = "laptop";
        session.since = runtime_.wall_now() - 30s;
        return {session};
    }
    bool kill_session(edge::SessionId id) override { return id == edge::SessionId(4); }
    std::vector<CounterSample> counters() const override {
        static constexpr CounterInfo kBytes{"traffic", "rx_bytes",     CounterKind::counter,
                                            "bytes",   "bytes for us", ""};
        static constexpr CounterInfo kDropped{
            "dropped", "", CounterKind::counter, "packets", "packets not delivered", "reason"
        };
        return {
            {.info = &kBytes, .value = 1},
            {.info = &kDropped, .value = 2, .label = "no_route", .description = "to nobody"},
            {.info = &kDropped, .value = 3, .label = "to_self"}
        };
    }
    rt::Task<Result<Duration>> ping(PeerId peer, Duration) override {
        if (peer != PeerId(7)) co_return Errc::timed_out;
        co_await rt::sleep_for(runtime_, 4ms);
        co_return 4ms;
    }
    rt::Task<Result<rt::StreamPtr>> dial_mesh(Endpoint to) override {
        if (to.port == 81) co_return Errc::refused;
        if (to.port == 82) co_await rt::sleep_for(runtime_, 1h);
        auto [near, far] =
            rt::make_stream_pair(runtime_, {.first = {IpAddress(), 1}, .second = to});
        reached = std::make_unique<TestClient>(runtime_, std::move(far));
        co_return std::move(near);
    }
    rt::Task<Result<std::vector<IpAddress>>> resolve(std::string name) override {
        if (name == "laptop") co_return std::vector{IpAddress::v4(10, 144, 1, 7)};
        if (name == "outside") co_return std::vector{IpAddress::v4(93, 184, 216, 34)};
        co_return Errc::not_found;
    }
    bool in_mesh(const IpAddress& address) const override {
        return Prefix::parse("10.144.1.0/24").value().contains(address);
    }
    WallTime wall_now() const override { return runtime_.wall_now(); }
    const dataplane::Acl& acl() const override { return rules; }
    TimePoint now() const override { return runtime_.now(); }

    edge::ClientPtr reached;
    dataplane::Acl rules{SipKey{1, 2}};

private:
    rt::VirtualRuntime& runtime_;
    InstanceFacts facts_;
    std::vector<ConnFacts> conns_;
    std::vector<NodeFacts> nodes_;
};

// Listens in memory; unix sockets and TCP ports alike.
class FakeSockets final : public host::Sockets {
public:
    explicit FakeSockets(rt::VirtualRuntime& runtime) : ports(runtime) {}
    rt::Task<Result<rt::StreamPtr>> connect_tcp(Endpoint) override { co_return Errc::unsupported; }
    Result<rt::AcceptorPtr> listen_tcp(Endpoint local, host::TcpListenOptions) override {
        return ports.listen(local);
    }
    Result<host::UdpSocketPtr> open_udp(Endpoint, host::UdpOptions) override {
        return Errc::unsupported;
    }
    rt::Task<Result<std::vector<IpAddress>>> resolve(std::string) override {
        co_return Errc::not_found;
    }
    rt::Task<Result<rt::StreamPtr>> connect_unix(std::string) override {
        co_return Errc::unsupported;
    }
    Result<rt::AcceptorPtr> listen_unix(std::string path) override {
        unix_paths.push_back(path);
        return ports.listen({IpAddress(), static_cast<std::uint16_t>(unix_paths.size())});
    }
    edge::FakePorts ports;
    std::vector<std::string> unix_paths;
};

rt::Task<> run_client(rpc::StreamSession& session) {
    static_cast<void>(co_await session.run());
}

class ManagementTest : public testing::Test {
protected:
    void start(ManagementOptions options = {.socket_path = "/run/x.sock", .portal = {}}) {
        management_ = std::make_unique<Management>(
            runtime_, pool_, sockets_, instance_, std::move(options), Log(sink_)
        );
        EXPECT_TRUE(management_->start());
    }
    void open() {
        auto [near, far] = rt::make_stream_pair(runtime_);
        management_->serve(std::move(far));
        client_ = std::make_unique<rpc::StreamSession>(
            runtime_, pool_, std::move(near), none_, rpc::StreamSessionOptions{}, Log()
        );
        scope_.spawn("client", run_client(*client_));
    }
    void SetUp() override {
        start();
        open();
    }
    void TearDown() override {
        if (management_) runtime_.run(management_->stop());
        runtime_.run(scope_.close());
    }

    Result<Bytes> raw(std::string service, std::uint32_t method, Bytes request) {
        return runtime_.run(client_->endpoint().call(
            rpc::kSessionPeer,
            {.domain = "", .service = std::move(service), .method = method, .proto_name = {}},
            std::move(request), 30s
        ));
    }
    template <class Reply, class Request>
    Result<Reply> ask(std::string service, std::uint32_t method, const Request& request) {
        auto reply = raw(std::move(service), method, rpc::to_wire(request));
        if (!reply) return reply.error();
        return rpc::from_wire<Reply>(*reply);
    }

    rt::VirtualRuntime runtime_;
    packet::PacketPool pool_;
    std::shared_ptr<edge::CollectingSink> sink_ = std::make_shared<edge::CollectingSink>();
    FakeSockets sockets_{runtime_};
    FakeInstance instance_{runtime_};
    rpc::ServiceTable none_;
    std::unique_ptr<Management> management_;
    std::unique_ptr<rpc::StreamSession> client_;
    rt::TaskScope scope_{runtime_, Log()};
};

TEST_F(ManagementTest, ListsPeersWithAllTheirConnections) {
    const auto reply = ask<api::ListPeerResponse>("PeerManageRpc", 1, api::ListPeerRequest{});
    ASSERT_TRUE(reply) << reply.error().message();
    ASSERT_EQ(reply->peer_infos_size(), 1);
    ASSERT_EQ(reply->peer_infos(0).conns_size(), 2);
    const auto& conn = reply->peer_infos(0).conns(0);
    EXPECT_EQ(conn.peer_id(), 7U);
    EXPECT_EQ(conn.my_peer_id(), 1U);
    EXPECT_EQ(conn.tunnel().tunnel_type(), "tcp");
    EXPECT_EQ(conn.stats().latency_us(), 1500U);
    EXPECT_FLOAT_EQ(conn.loss_rate(), 0.25F);
    EXPECT_TRUE(Uuid::parse(conn.conn_id())) << conn.conn_id();
}

TEST_F(ManagementTest, ListsRoutesThatExistWithValuesThatToolsCanRead) {
    const auto reply = ask<api::ListRouteResponse>("PeerManageRpc", 3, api::ListRouteRequest{});
    ASSERT_TRUE(reply);
    ASSERT_EQ(reply->routes_size(), 1) << "a node without a way to it is no route";
    const auto& route = reply->routes(0);
    EXPECT_EQ(route.hostname(), "laptop");
    EXPECT_EQ(route.ipv4_addr().address().addr(), 0x0a900107U);
    EXPECT_EQ(route.cost(), 1);
    EXPECT_EQ(route.path_latency(), 1);
    EXPECT_EQ(route.path_latency_latency_first(), 3);
    EXPECT_EQ(route.stun_info().udp_nat_type(), common::Unknown);
}

TEST_F(ManagementTest, ForeignNetworksAreListedHereAndElsewhere) {
    const auto hosted =
        ask<api::ListForeignNetworkResponse>("PeerManageRpc", 5, api::ListForeignNetworkRequest{});
    ASSERT_TRUE(hosted) << hosted.error().message();
    ASSERT_EQ(hosted->foreign_networks().count("village"), 1U);
    const auto& village = hosted->foreign_networks().at("village");
    EXPECT_EQ(village.my_peer_id_for_this_network(), 70U);
    EXPECT_EQ(village.network_secret_digest(), std::string(32, '\xab'));
    ASSERT_EQ(village.peers_size(), 1);
    ASSERT_EQ(village.peers(0).conns_size(), 2);
    EXPECT_EQ(village.peers(0).conns(0).my_peer_id(), 70U);

    const auto global = ask<api::ListGlobalForeignNetworkResponse>(
        "PeerManageRpc", 6, api::ListGlobalForeignNetworkRequest{}
    );
    ASSERT_TRUE(global) << global.error().message();
    const auto& own = global->foreign_networks().at(1).foreign_networks(0);
    EXPECT_EQ(own.network_name(), "village");
    EXPECT_EQ(own.last_updated(), "\"1970-01-01T00:00:00.000000000+00:00\"");
    EXPECT_EQ(own.version(), 9U);
    const auto& other = global->foreign_networks().at(7).foreign_networks(0);
    EXPECT_EQ(other.network_name(), "hamlet\\xff") << "names are others' and made harmless";
    EXPECT_EQ(other.last_updated(), "\"9999-12-31T23:59:59.000000000+00:00\"");
    EXPECT_EQ(other.peer_ids_size(), 2);

    const auto summary = ask<api::GetForeignNetworkSummaryResponse>(
        "PeerManageRpc", 8, api::ListGlobalForeignNetworkRequest{}
    );
    ASSERT_TRUE(summary) << summary.error().message();
    EXPECT_EQ(summary->summary().info_map().at(7).network_count(), 1U);
    EXPECT_EQ(summary->summary().info_map().at(7).peer_count(), 2U);
}

TEST_F(ManagementTest, NodeInfoTellsNoSecretsAndOnlyTextThatIsText) {
    const auto reply =
        ask<api::ShowNodeInfoResponse>("PeerManageRpc", 7, api::ShowNodeInfoRequest{});
    ASSERT_TRUE(reply);
    const auto& info = reply->node_info();
    EXPECT_EQ(info.hostname(), "node\\x01");
    EXPECT_EQ(info.ipv4_addr(), "10.144.1.1/24");
    EXPECT_EQ(info.inst_id(), "7b1f1a33-8a7e-4d39-9f53-1a2b3c4d5e6f");
    EXPECT_EQ(info.config(), "hostname = \"node\"\n");
    EXPECT_EQ(info.ip_list().interface_ipv4s_size(), 1) << "loopback is nobody's business";
}

TEST_F(ManagementTest, SelectorsChooseTheInstance) {
    api::ListPeerRequest request;
    auto works = [&] {
        return ask<api::ListPeerResponse>("PeerManageRpc", 1, request).has_value();
    };
    request.mutable_instance()->mutable_instance_selector();
    EXPECT_TRUE(works());
    request.mutable_instance()->mutable_instance_selector()->set_name("home");
    EXPECT_TRUE(works());
    request.mutable_instance()->mutable_instance_selector()->set_name("office");
    EXPECT_FALSE(works());
    auto* id = request.mutable_instance()->mutable_id();
    EXPECT_FALSE(works());
    id->set_part1(0x7b1f1a33);
    id->set_part2(0x8a7e4d39);
    id->set_part3(0x9f531a2b);
    id->set_part4(0x3c4d5e6f);
    EXPECT_TRUE(works());
}

TEST_F(ManagementTest, TellsWhichInstancesRun) {
    const auto ids = ask<::api::manage::ListNetworkInstanceResponse>(
        "WebClientService", 5, ::api::manage::ListNetworkInstanceRequest{}
    );
    ASSERT_TRUE(ids);
    ASSERT_EQ(ids->inst_ids_size(), 1);
    ::api::manage::ListNetworkInstanceMetaRequest request;
    *request.add_inst_ids() = ids->inst_ids(0);
    request.add_inst_ids()->set_part1(5);
    const auto metas =
        ask<::api::manage::ListNetworkInstanceMetaResponse>("WebClientService", 8, request);
    ASSERT_TRUE(metas);
    ASSERT_EQ(metas->metas_size(), 1);
    EXPECT_EQ(metas->metas(0).instance_name(), "home");
    EXPECT_EQ(metas->metas(0).network_name(), "meadow");
    EXPECT_EQ(metas->metas(0).config_permission(), 3U);
}

TEST_F(ManagementTest, CallsThatChangeThingsAreRefused) {
    for (const std::uint32_t method : {1U, 2U, 3U, 4U, 6U, 7U, 9U, 0U}) {
        EXPECT_TRUE(raw("WebClientService", method, {}).error().is(Errc::unsupported)) << method;
    }
    EXPECT_TRUE(raw("ConfigRpc", 1, {}).error().is(Errc::not_found));
    EXPECT_TRUE(raw("PeerManageRpc", 4, {}).error().is(Errc::unsupported));
    EXPECT_TRUE(raw("PeerManageRpc", 1, {0xff}).error().is(Errc::malformed));
}

TEST_F(ManagementTest, ConnectorsAndCountersAreTold) {
    const auto connectors =
        ask<api::ListConnectorResponse>("ConnectorManageRpc", 1, api::ListConnectorRequest{});
    ASSERT_TRUE(connectors);
    ASSERT_EQ(connectors->connectors_size(), 2);
    EXPECT_EQ(connectors->connectors(0).status(), api::CONNECTED);
    EXPECT_EQ(connectors->connectors(1).status(), api::DISCONNECTED);
    const auto stats = ask<api::GetStatsResponse>("StatsRpc", 1, api::GetStatsRequest{});
    ASSERT_TRUE(stats);
    ASSERT_EQ(stats->metrics_size(), 3);
    EXPECT_EQ(stats->metrics(1).name(), "dropped.no_route");
    EXPECT_EQ(stats->metrics(1).value(), 2U);
    const auto text =
        ask<api::GetPrometheusStatsResponse>("StatsRpc", 2, api::GetPrometheusStatsRequest{});
    EXPECT_NE(text->prometheus_text().find("selvage_traffic_rx_bytes_total{"), std::string::npos);
    // One heading for both reasons.
    const std::string& lines = text->prometheus_text();
    const auto heading = lines.find("# TYPE selvage_dropped_packets_total counter\n");
    ASSERT_NE(heading, std::string::npos);
    EXPECT_EQ(lines.find("# TYPE", heading + 1), std::string::npos);
    EXPECT_NE(lines.find(",reason=\"no_route\"} 2\n", heading), std::string::npos);
    EXPECT_NE(lines.find(",reason=\"to_self\"} 3\n", heading), std::string::npos);
}

TEST_F(ManagementTest, CountersAreToldWithTheirMeaning) {
    const auto stats = ask<own::StatsResponse>("SelvageRpc", 8, own::StatsRequest{});
    ASSERT_TRUE(stats);
    ASSERT_EQ(stats->counters_size(), 3);
    EXPECT_EQ(stats->counters(0).name(), "traffic.rx_bytes");
    EXPECT_EQ(stats->counters(0).unit(), "bytes");
    EXPECT_EQ(stats->counters(0).kind(), "counter");
    EXPECT_EQ(stats->counters(1).name(), "dropped.no_route");
    EXPECT_EQ(stats->counters(1).description(), "to nobody");
    EXPECT_EQ(stats->counters(2).description(), "packets not delivered");
}

TEST_F(ManagementTest, TheAclIsToldToToolsOfBothKinds) {
    dataplane::AclRules rules;
    dataplane::AclChain chain;
    chain.name = "in";
    chain.type = dataplane::AclChainType::inbound;
    chain.enabled = true;
    chain.default_action = dataplane::AclAction::drop;
    dataplane::AclRule web;
    web.name = "web";
    web.enabled = true;
    web.protocol = dataplane::AclProtocol::any;
    web.ports = {{80, 90}};
    web.action = dataplane::AclAction::allow;
    web.stateful = true;
    chain.rules = {web, dataplane::AclRule{}};
    rules.chains.push_back(chain);
    rules.tcp_whitelist = {{80, 80}};
    instance_.rules.apply(std::move(rules));
    packet::IpMeta ip;
    ip.source = IpAddress::v4(10, 144, 1, 7);
    ip.destination = IpAddress::v4(10, 144, 1, 1);
    ip.protocol = 6;
    ip.has_ports = true;
    ip.source_port = 5000;
    ip.destination_port = 80;
    ip.total_length = 60;
    for (const int port : {80, 80, 91}) {
        ip.destination_port = static_cast<std::uint16_t>(port);
        instance_.rules.judge(dataplane::AclChainType::inbound, ip, 0, 0, runtime_.now());
    }

    const auto stats = ask<api::GetAclStatsResponse>("AclManageRpc", 1, api::GetAclStatsRequest{});
    ASSERT_TRUE(stats);
    ASSERT_EQ(stats->acl_stats().rules_size(), 3) << "the whitelist is rules, too";
    EXPECT_EQ(stats->acl_stats().rules(0).rule().ports(0), "80-90");
    EXPECT_EQ(stats->acl_stats().rules(0).stat().packet_count(), 2U);
    EXPECT_EQ(stats->acl_stats().rules(0).stat().byte_count(), 120U);
    ASSERT_EQ(stats->acl_stats().conn_track_size(), 1);
    EXPECT_EQ(stats->acl_stats().conn_track(0).src_addr().port(), 5000U);
    EXPECT_EQ(stats->acl_stats().conn_track(0).state(), acl::Established);
    const auto& global = stats->acl_stats().global();
    EXPECT_EQ(global.at("InboundPacketsTotal"), 3U);
    EXPECT_EQ(global.at("PacketsDropped"), 1U);
    EXPECT_EQ(global.at("CacheHits"), 1U);
    EXPECT_EQ(global.at("CacheMaxSize"), 1024U);
    EXPECT_FALSE(global.contains("OutboundPacketsTotal"));
    const auto open = ask<api::GetWhitelistResponse>("AclManageRpc", 2, api::GetWhitelistRequest{});
    ASSERT_TRUE(open);
    EXPECT_EQ(open->tcp_ports(0), "80");
    EXPECT_EQ(open->udp_ports_size(), 0);

    const auto list = ask<own::ListAclResponse>("SelvageWatchRpc", 1, own::ListAclRequest{});
    ASSERT_TRUE(list);
    ASSERT_EQ(list->chains_size(), 2);
    EXPECT_EQ(list->chains(0).default_action(), "Drop");
    EXPECT_EQ(list->chains(0).rules_off(), 1U);
    EXPECT_EQ(list->chains(1).default_action(), "") << "another chain decides";
    EXPECT_EQ(list->chains(0).rules(0).packets(), 2U);
}

TEST_F(ManagementTest, StatusServicesAndSessionsAreTold) {
    const auto status = ask<own::StatusResponse>("SelvageRpc", 1, own::StatusRequest{});
    ASSERT_TRUE(status);
    EXPECT_EQ(status->ipv4(), "10.144.1.1/24");
    EXPECT_EQ(status->neighbours(), 1U);
    EXPECT_EQ(status->routes(), 1U);
    EXPECT_EQ(status->uptime_seconds(), 90U);
    const auto services =
        ask<own::ListServicesResponse>("SelvageRpc", 2, own::ListServicesRequest{});
    ASSERT_EQ(services->services_size(), 3);
    EXPECT_EQ(services->services(0).refused(), 3U);
    EXPECT_EQ(services->services(0).state(), "listening");
    EXPECT_EQ(services->services(1).state(), "off");
    EXPECT_EQ(services->services(2).state(), "taken");
    const auto sessions =
        ask<own::ListSessionsResponse>("SelvageRpc", 3, own::ListSessionsRequest{});
    ASSERT_EQ(sessions->sessions_size(), 1);
    EXPECT_EQ(sessions->sessions(0).id(), 4U);
    EXPECT_EQ(sessions->sessions(0).seconds(), 30U);
    own::KillSessionRequest kill;
    kill.set_id(4);
    EXPECT_TRUE(ask<own::KillSessionResponse>("SelvageRpc", 7, kill));
    kill.set_id(5);
    EXPECT_FALSE(ask<own::KillSessionResponse>("SelvageRpc", 7, kill));
}

TEST_F(ManagementTest, PingTakesANameAnAddressOrAnId) {
    for (const auto* target : {"laptop", "10.144.1.7", "7"}) {
        own::PingRequest request;
        request.set_target(target);
        const auto reply = ask<own::PingResponse>("SelvageRpc", 4, request);
        ASSERT_TRUE(reply) << target << ": " << reply.error().message();
        EXPECT_EQ(reply->round_trip_us(), 4000U);
        EXPECT_EQ(reply->peer_name(), "laptop");
    }
    own::PingRequest request;
    request.set_target("nobody");
    EXPECT_EQ(
        ask<own::PingResponse>("SelvageRpc", 4, request).error().message(),
        "no member is called nobody"
    );
    request.set_target("gone");
    EXPECT_FALSE(ask<own::PingResponse>("SelvageRpc", 4, request));
}

Result<rt::StreamPtr> connect_to(
    rt::VirtualRuntime& runtime, rpc::StreamSession& session, std::string target
) {
    own::OpenStreamRequest request;
    request.set_target(std::move(target));
    auto taken = runtime.run(session.call_for_stream(
        {.domain = "", .service = "SelvageRpc", .method = 5, .proto_name = {}},
        rpc::to_wire(request), 30s
    ));
    if (!taken) return taken.error();
    return std::move(taken->stream);
}

TEST_F(ManagementTest, AConnectionBecomesAPipeIntoTheMesh) {
    auto stream = connect_to(runtime_, *client_, "laptop:22");
    ASSERT_TRUE(stream) << stream.error().message();
    TestClient near(runtime_, std::move(*stream));
    near.send("hello");
    EXPECT_EQ(instance_.reached->received(), "hello");
    instance_.reached->send("welcome");
    EXPECT_EQ(near.received(), "welcome");
    near.finish();
    EXPECT_TRUE(instance_.reached->ended());
    instance_.reached->send("last words");
    instance_.reached->finish();
    EXPECT_EQ(near.received(), "last words");
    EXPECT_TRUE(near.ended());
}

TEST_F(ManagementTest, WhatCannotBeReachedIsToldAndTheSessionGoesOn) {
    const auto why = [&](const char* target) {
        auto stream = connect_to(runtime_, *client_, target);
        return stream ? std::string("connected") : stream.error().message();
    };
    EXPECT_NE(why("laptop:81").find("connection refused"), std::string::npos);
    EXPECT_TRUE(connect_to(runtime_, *client_, "laptop:82").error().is(Errc::timed_out));
    EXPECT_NE(why("outside:80").find("outside is not in the mesh"), std::string::npos);
    EXPECT_NE(why("nobody:80").find("nobody: not found"), std::string::npos);
    EXPECT_NE(why("laptop").find("HOST:PORT is meant"), std::string::npos);
    EXPECT_NE(why("laptop:0").find("the port is a number"), std::string::npos);
    EXPECT_EQ(why("[10.144.1.7]:22"), "connected");
}

TEST(ManagementPortal, ServesProgramsOfThisHostOnly) {
    rt::VirtualRuntime runtime;
    packet::PacketPool pool;
    FakeSockets sockets(runtime);
    FakeInstance instance(runtime);
    auto sink = std::make_shared<edge::CollectingSink>();
    const Endpoint wanted{IpAddress::v4(0, 0, 0, 0), 15888};
    auto taken = sockets.ports.listen(wanted);
    Management management(
        runtime, pool, sockets, instance,
        {.socket_path = "", .portal = Endpoint{IpAddress::v4(0, 0, 0, 0), 0}}, Log(sink)
    );
    ASSERT_TRUE(management.start());
    ASSERT_EQ(management.portal()->port, 15889) << "the next free port of the range";
    auto local = sockets.ports.connect({IpAddress::v4(127, 0, 0, 1), 5000}, *management.portal());
    auto remote =
        sockets.ports.connect({IpAddress::v4(192, 168, 1, 9), 5000}, *management.portal());
    EXPECT_FALSE(local->ended());
    EXPECT_TRUE(remote->ended());
    EXPECT_EQ(sink->count("portal refused"), 1U);
    runtime.run(management.stop());
}

}  // namespace
}  // namespace selvage::node
