// Tests of what is refused: inputs that end or disable stock nodes, forgeries, floods. Nothing of
// it may be passed on.
#include "common.pb.h"
#include "peer_rpc.pb.h"
#include "route/core_net.h"

namespace selvage::route::test {
namespace {

// A victim (1) between a hostile neighbour (66) and an honest one (2).
struct Scene {
    CoreNet net;
    peer_rpc::SyncRouteInfoRequest request;

    Scene() {
        net.add(1);
        net.add(2);
        net.link(1, 2);
        net.at(1).neighbour_up(PeerId(66), {}, net.moment());
        net.run(2);
        request.set_my_peer_id(66);
        request.set_my_session_id(5);
        request.set_is_initiator(true);
    }
    RouteCore& victim() { return net.at(1); }
    std::uint64_t refused(Refusal reason) { return victim().links().refusals().of(reason); }
    Result<Bytes> send(PeerId caller = PeerId(66)) {
        const std::string bytes = request.SerializeAsString();
        auto reply = victim().on_request(caller, as_view(bytes), net.moment());
        net.run(2);
        return reply;
    }
    peer_rpc::RoutePeerInfo& add_record(std::uint32_t peer, std::uint32_t version = 1) {
        auto& record = *request.mutable_peer_infos()->add_items();
        record.set_peer_id(peer);
        record.set_version(version);
        record.set_peer_route_id(7);
        record.set_network_length(24);
        record.set_hostname("x");
        return record;
    }
    // Makes the record's node reachable, so that it would be passed on.
    void connect(std::uint32_t peer) {
        auto& list = *request.mutable_conn_peer_list();
        auto& from = *list.add_peer_conn_infos();
        from.mutable_peer_id()->set_peer_id(66);
        from.mutable_peer_id()->set_version(9);
        from.add_connected_peer_ids(peer);
        from.add_connected_peer_ids(1);
    }
    bool honest_node_heard_of(std::uint32_t peer) {
        return net.at(2).links().record(PeerId(peer)) != nullptr;
    }
};

SyncReply reply_of(const Result<Bytes>& reply) {
    return parse_sync_reply(reply.value()).value();
}

TEST(HostileSync, AnHonestRecordWouldBePassedOn) {
    Scene s;
    s.add_record(66);
    s.add_record(100);
    s.connect(100);
    EXPECT_FALSE(reply_of(s.send()).error);
    EXPECT_TRUE(s.honest_node_heard_of(100));
    EXPECT_EQ(s.victim().links().refusals().total(), 0U);
}

struct BadRecord {
    Refusal reason;
    std::function<void(peer_rpc::RoutePeerInfo&)> spoil;
};

TEST(HostileSync, DangerousRecordsAreRefusedAndNeverPassedOn) {
    const std::vector<BadRecord> records{
        {Refusal::ipv4_prefix_length, [](auto& r) { r.set_network_length(33); }},
        {Refusal::ipv4_prefix_length, [](auto& r) { r.set_network_length(0xffffffff); }},
        {Refusal::ipv6_prefix_length,
         [](auto& r) { r.mutable_ipv6_addr()->set_network_length(129); }},
        {Refusal::provider_prefix_length,
         [](auto& r) { r.mutable_ipv6_public_addr_prefix()->set_network_length(200); }},
        {Refusal::lease_prefix_length,
         [](auto& r) { r.mutable_ipv6_public_addr_lease()->set_network_length(129); }},
        {Refusal::record_without_id, [](auto& r) { r.set_peer_id(0); }},
        {Refusal::record_too_large, [](auto& r) { r.set_hostname(std::string(17'000, 'x')); }},
    };
    for (const BadRecord& bad : records) {
        SCOPED_TRACE(refusal_name(bad.reason));
        Scene s;
        s.add_record(66);
        bad.spoil(s.add_record(100));
        s.add_record(101);
        s.connect(100);
        EXPECT_FALSE(reply_of(s.send()).error);
        EXPECT_EQ(s.refused(bad.reason), 1U);
        EXPECT_EQ(s.victim().links().record(PeerId(100)), nullptr);
        EXPECT_FALSE(s.honest_node_heard_of(100));
        EXPECT_NE(s.victim().links().record(PeerId(101)), nullptr) << "the rest is taken";
    }
}

TEST(HostileSync, OurOwnRecordIsDefendedWithAHigherVersion) {
    for (const bool same_route : {true, false}) {
        Scene s;
        auto& forged = s.add_record(1, 500);
        forged.set_hostname("forged");
        forged.set_peer_route_id(same_route ? s.victim().links().route_id() : 4711);
        EXPECT_FALSE(reply_of(s.send()).error) << "never DuplicatePeerId";
        EXPECT_EQ(s.refused(same_route ? Refusal::own_record : Refusal::own_id_other_route), 1U);
        EXPECT_EQ(s.victim().links().own().hostname, "n1");
        EXPECT_EQ(s.victim().links().own().version, 501U);
        EXPECT_EQ(s.net.at(2).links().record(PeerId(1))->version, 501U);
    }
}

TEST(HostileSync, OurOwnRowIsDefendedWithAHigherVersion) {
    Scene s;
    auto& row = *s.request.mutable_conn_peer_list()->add_peer_conn_infos();
    row.mutable_peer_id()->set_peer_id(1);
    row.mutable_peer_id()->set_version(1000);
    (void)s.send();
    EXPECT_EQ(s.refused(Refusal::own_row), 1U);
    EXPECT_TRUE(s.net.converged()) << "we are not isolated";
    EXPECT_EQ(s.net.at(2).links().rows().at(PeerId(1)).version, 1001U);
    EXPECT_TRUE(s.net.at(2).links().rows().at(PeerId(1)).connected.contains(PeerId(2)));
}

TEST(HostileSync, AVersionAboveAllOthersEndsNothing) {
    Scene s;
    s.add_record(1, 0xffffffff).set_peer_route_id(s.victim().links().route_id());
    s.add_record(100, 0xffffffff);
    (void)s.send();
    s.request.clear_peer_infos();
    (void)s.send();
    s.net.run(5);
    EXPECT_TRUE(s.net.converged());
    EXPECT_EQ(s.victim().links().own().version, 0xffffffff);
}

TEST(HostileSync, ShortBitmapsAreRefused) {
    for (const std::size_t bytes : {0U, 1U}) {
        Scene s;
        for (const std::uint32_t id : {66U, 1U, 2U}) {
            auto& peer = *s.request.mutable_conn_bitmap()->add_peer_ids();
            peer.set_peer_id(id);
            peer.set_version(9);
        }
        s.request.mutable_conn_bitmap()->set_bitmap(std::string(bytes, '\xff'));
        EXPECT_FALSE(reply_of(s.send()).error);
        EXPECT_EQ(s.refused(Refusal::bitmap_too_short), 1U);
        EXPECT_FALSE(s.victim().links().rows().contains(PeerId(66)));
    }
}

TEST(HostileSync, BitmapsWithTheSameIdTwiceDoNoHarm) {
    Scene s;
    for (int i = 0; i < 5; ++i) {
        auto& peer = *s.request.mutable_conn_bitmap()->add_peer_ids();
        peer.set_peer_id(i < 3 ? 66 : 0);
        peer.set_version(9);
    }
    s.request.mutable_conn_bitmap()->set_bitmap(std::string(4, '\xff'));
    EXPECT_FALSE(reply_of(s.send()).error);
    EXPECT_FALSE(s.victim().links().rows().contains(PeerId(0)));
}

TEST(HostileSync, ForeignEntriesNeedKeyValueAndDigest) {
    Scene s;
    const auto add = [&](bool key, bool value, std::size_t digest) {
        auto& info = *s.request.mutable_foreign_network_infos()->add_infos();
        if (key) {
            info.mutable_key()->set_peer_id(66);
            info.mutable_key()->set_network_name("net2");
        }
        if (value) {
            info.mutable_value()->set_version(4);
            info.mutable_value()->set_network_secret_digest(std::string(digest, 'd'));
        }
    };
    add(false, true, 32);
    add(true, false, 32);
    add(true, true, 31);
    EXPECT_FALSE(reply_of(s.send()).error);
    EXPECT_EQ(s.refused(Refusal::foreign_without_key), 1U);
    EXPECT_EQ(s.refused(Refusal::foreign_without_value), 1U);
    EXPECT_EQ(s.refused(Refusal::foreign_malformed), 1U);
    EXPECT_TRUE(s.net.at(2).links().foreign().empty());
    add(true, true, 32);
    EXPECT_FALSE(reply_of(s.send()).error);
    ASSERT_EQ(s.net.at(2).links().foreign().size(), 1U) << "a good one is passed on";
    EXPECT_EQ(s.net.at(2).links().foreign().begin()->second.entry.version, 4U);
}

TEST(HostileSync, TheSenderMustBeTheCallerAndANeighbour) {
    Scene s;
    s.add_record(100);
    s.request.set_my_peer_id(2);
    EXPECT_EQ(reply_of(s.send()).error, SyncError::stopped);
    EXPECT_EQ(s.refused(Refusal::wrong_sender), 1U);
    s.request.set_my_peer_id(77);
    EXPECT_EQ(reply_of(s.send(PeerId(77))).error, SyncError::stopped);
    EXPECT_EQ(s.refused(Refusal::not_a_neighbour), 1U);
    EXPECT_EQ(s.victim().links().record(PeerId(100)), nullptr);
}

TEST(HostileSync, WhoDoesNotInitiateNeedsASession) {
    Scene s;
    s.victim().neighbour_up(PeerId(77), {}, s.net.moment());
    s.request.set_my_peer_id(77);
    s.request.set_is_initiator(false);
    s.add_record(100);
    EXPECT_EQ(to_hex(s.send(PeerId(77)).value()), "1801");
    EXPECT_EQ(s.refused(Refusal::no_session), 1U);
}

TEST(HostileSync, GarbageIsADecodeErrorAndRowsWithoutIdsAreSkipped) {
    Scene s;
    EXPECT_TRUE(s.victim()
                    .on_request(PeerId(66), as_view("\xff\xff\xff"), s.net.moment())
                    .error()
                    .is(Errc::malformed));
    // Field 4 as a group: one decoder would see no records where another sees some.
    EXPECT_FALSE(s.victim()
                     .on_request(
                         PeerId(66),
                         from_hex("0842"
                                  "232024")
                             .value(),
                         s.net.moment()
                     )
                     .has_value());
    EXPECT_EQ(s.refused(Refusal::undecodable), 2U);
    s.request.mutable_conn_peer_list()->add_peer_conn_infos()->add_connected_peer_ids(1);
    EXPECT_FALSE(reply_of(s.send()).error);
    EXPECT_EQ(s.refused(Refusal::row_without_id), 1U);
}

TEST(HostileSync, TablesAreBounded) {
    CoreNet net;
    RouteOptions options;
    options.self = PeerId(1);
    options.peers_limit = 10;
    options.records_bytes_total = 2000;
    options.edges_total = 50;
    options.foreign_limit = 5;
    RouteCore& core = net.add(options);
    core.neighbour_up(PeerId(66), {}, net.moment());
    peer_rpc::SyncRouteInfoRequest request;
    request.set_my_peer_id(66);
    request.set_my_session_id(5);
    request.set_is_initiator(true);
    for (std::uint32_t id = 100; id < 400; ++id) {
        auto& record = *request.mutable_peer_infos()->add_items();
        record.set_peer_id(id);
        record.set_version(1);
        record.set_hostname(std::string(300, 'h'));
        auto& row = *request.mutable_conn_peer_list()->add_peer_conn_infos();
        row.mutable_peer_id()->set_peer_id(id);
        row.mutable_peer_id()->set_version(1);
        for (std::uint32_t to = 0; to < 10; ++to)
            row.add_connected_peer_ids(100 + to);
        auto& foreign = *request.mutable_foreign_network_infos()->add_infos();
        foreign.mutable_key()->set_peer_id(id);
        foreign.mutable_key()->set_network_name("n");
        foreign.mutable_value()->set_version(1);
        foreign.mutable_value()->set_network_secret_digest(std::string(32, 'd'));
    }
    const std::string bytes = request.SerializeAsString();
    ASSERT_TRUE(core.on_request(PeerId(66), as_view(bytes), net.moment()).has_value());
    EXPECT_LE(core.links().records().size(), 7U) << "ours and 2000 bytes of others";
    EXPECT_LE(core.links().rows().size(), 7U);
    EXPECT_EQ(core.links().foreign().size(), 5U);
    EXPECT_GE(core.links().refusals().of(Refusal::table_full), 580U);
}

TEST(HostileSync, RandomChangesOfAGoodRequestNeverHarm) {
    Scene s;
    s.add_record(66);
    s.add_record(100).add_proxy_cidrs("10.9.0.0/16");
    s.connect(100);
    const std::string good = s.request.SerializeAsString();
    std::uint64_t state = 12345;
    for (int i = 0; i < 5000; ++i) {
        Bytes bytes(good.begin(), good.end());
        for (int k = 0; k < 3; ++k) {
            state = siphash24({}, as_bytes_of(le64(state)));
            bytes[state % bytes.size()] ^= static_cast<std::uint8_t>(state >> 32);
        }
        (void)s.victim().on_request(PeerId(66), bytes, s.net.moment());
    }
    s.net.run(5);
    EXPECT_TRUE(s.net.converged());
    EXPECT_EQ(s.victim().links().own().hostname, "n1");
}

}  // namespace
}  // namespace selvage::route::test
