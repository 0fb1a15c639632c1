// The calls that read: EasyTier's and our own, and the channel itself.
#include "node/management_test_support.h"
#include "packet/pcapng.h"

namespace selvage::node {
namespace {

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
    EXPECT_TRUE(raw("ConfigRpc", 2, {}).error().is(Errc::unsupported));
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

TEST_F(ManagementTest, DroppedPacketsAreToldAsFarAsTheyWereClear) {
    dataplane::DropSample sealed{
        .reason = dataplane::DropReason::bad_seal,
        .at = runtime_.now() - 5s,
        .arrival = {.neighbour = PeerId{8}, .header = packet::PeerHeader{}, .bytes = 99},
        .ip = std::nullopt
    };
    sealed.arrival.header->from_peer = 7;
    dataplane::DropSample own{
        .reason = dataplane::DropReason::no_route,
        .at = runtime_.now(),
        .arrival = {},
        .ip = packet::IpMeta{}
    };
    own.ip->source = IpAddress::v4(10, 144, 1, 1);
    own.ip->destination = IpAddress::v4(10, 144, 1, 9);
    own.ip->has_ports = true;
    own.ip->destination_port = 80;
    instance_.drops = {sealed, own};
    const auto list = ask<own::ListDropsResponse>("SelvageWatchRpc", 2, own::ListDropsRequest{});
    ASSERT_TRUE(list);
    ASSERT_EQ(list->samples_size(), 2);
    EXPECT_EQ(list->samples(0).reason(), "bad_seal");
    EXPECT_EQ(list->samples(0).milliseconds_ago(), 5000U);
    EXPECT_EQ(list->samples(0).neighbour(), 8U);
    EXPECT_EQ(list->samples(0).from_peer(), 7U);
    EXPECT_EQ(list->samples(0).bytes(), 99U);
    EXPECT_EQ(list->samples(0).source(), "");
    EXPECT_EQ(list->samples(1).neighbour(), 0U);
    EXPECT_EQ(list->samples(1).destination(), "10.144.1.9:80");
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

TEST_F(ManagementTest, OffersOfOneMemberAndOfAllThatCanBeReached) {
    own::ListOffersRequest request;
    request.set_target("laptop");
    auto told = ask<own::ListOffersResponse>("SelvageRpc", 31, request);
    ASSERT_TRUE(told) << told.error().message();
    ASSERT_EQ(told->nodes_size(), 1);
    EXPECT_EQ(told->nodes(0).peer_name(), "laptop");
    EXPECT_EQ(told->nodes(0).address(), "10.144.1.7");
    EXPECT_EQ(told->nodes(0).state(), "told");
    ASSERT_EQ(told->nodes(0).offers_size(), 1);
    EXPECT_EQ(told->nodes(0).offers(0).service(), "proxy");
    EXPECT_EQ(told->nodes(0).offers(0).port(), 1080U);
    request.set_target("gone");
    EXPECT_FALSE(ask<own::ListOffersResponse>("SelvageRpc", 31, request)) << "no route";
    request.set_target("");
    told = ask<own::ListOffersResponse>("SelvageRpc", 31, request);
    ASSERT_TRUE(told) << told.error().message();
    EXPECT_EQ(told->nodes_size(), 1) << "who cannot be reached is not asked";
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

TEST_F(ManagementTest, AConnectionBecomesACaptureUntilTheCallerHasHadEnough) {
    own::CaptureRequest request;
    request.set_flow("icmp");
    auto taken = runtime_.run(client_->call_for_stream(
        {.domain = "", .service = "SelvageWatchRpc", .method = 3, .proto_name = {}},
        rpc::to_wire(request), 30s
    ));
    ASSERT_TRUE(taken) << taken.error().message();
    TestClient near(runtime_, std::move(taken->stream));
    packet::IpMeta ip;
    ip.protocol = 1;
    const auto offer = [&] {
        instance_.watched.offer(
            dataplane::TapDirection::from_mesh, PeerId{7}, ip, as_view("an echo request"),
            runtime_.now()
        );
    };
    offer();
    EXPECT_NE(near.received().find("an echo request"), std::string::npos);
    ip.protocol = 6;
    offer();
    EXPECT_EQ(near.received(), "") << "another protocol";
    near.finish();
    const std::string end = near.received();
    const auto block = packet::parse_pcapng_block(as_view(end)).value();
    ASSERT_TRUE(block);
    EXPECT_EQ(block->type, packet::pcapng::kStatistics);
    EXPECT_EQ(packet::parse_statistics(block->body)->packets, 1U);
    EXPECT_TRUE(near.ended());
    EXPECT_TRUE(instance_.watched.empty()) << "nobody watches any more";
}

TEST_F(ManagementTest, ACaptureOfNobodyIsRefused) {
    own::CaptureRequest request;
    request.set_peer("nobody-of-that-name");
    EXPECT_FALSE(raw("SelvageWatchRpc", 3, rpc::to_wire(request)));
    request.clear_peer();
    request.set_flow("carrier pigeon");
    EXPECT_FALSE(raw("SelvageWatchRpc", 3, rpc::to_wire(request)));
    EXPECT_TRUE(instance_.watched.empty());
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

TEST_F(ManagementTest, TheOwnerGetsTokensThatWorkForAWhile) {
    own::CreateTokenRequest request;
    request.set_service("shell");
    const auto made = ask<own::CreateTokenResponse>("SelvageTokenRpc", 1, request);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->ttl_seconds(), 600U);
    EXPECT_EQ(made->token().size(), 27U);
    request.set_ttl_seconds(24 * 3600 + 1);
    EXPECT_FALSE(ask<own::CreateTokenResponse>("SelvageTokenRpc", 1, request));
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

// Calls over the portal as the command line does.
rt::Task<Result<Bytes>> ask_over(rpc::StreamSession& session, std::string service) {
    co_return co_await session.endpoint().call(
        rpc::kSessionPeer,
        {.domain = "", .service = std::move(service), .method = 1, .proto_name = {}}, Bytes{}, 1s
    );
}

rt::Task<> run_session(rpc::StreamSession& session) {
    static_cast<void>(co_await session.run());
}

TEST(ManagementPortal, MakesNoTokensAndNoCaptures) {
    rt::VirtualRuntime runtime;
    packet::PacketPool pool;
    FakeSockets sockets(runtime);
    FakeInstance instance(runtime);
    const Endpoint portal{IpAddress::v4(127, 0, 0, 1), 15888};
    Management management(
        runtime, pool, sockets, instance, {.socket_path = "", .portal = portal}, Log()
    );
    ASSERT_TRUE(management.start());
    rpc::ServiceTable none;
    rpc::StreamSession session(
        runtime, pool, sockets.ports.dial({IpAddress::v4(127, 0, 0, 1), 5000}, portal), none, {},
        Log()
    );
    rt::TaskScope scope(runtime, Log());
    scope.spawn("session", run_session(session));
    EXPECT_TRUE(runtime.run(ask_over(session, "SelvageRpc")));
    const auto refused = runtime.run(ask_over(session, "SelvageTokenRpc"));
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error().is(Errc::not_found)) << refused.error().message();
    const auto capture = runtime.run(session.endpoint().call(
        rpc::kSessionPeer,
        {.domain = "", .service = "SelvageWatchRpc", .method = 3, .proto_name = {}}, Bytes{}, 30s
    ));
    ASSERT_FALSE(capture);
    EXPECT_NE(capture.error().message().find("portal"), std::string::npos);
    session.stop();
    runtime.run(scope.close());
    runtime.run(management.stop());
}

}  // namespace
}  // namespace selvage::node
