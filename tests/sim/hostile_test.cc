// A member, or a stranger, who sends what nobody should: the node refuses it, counts it, and goes
// on serving everybody else. The inputs are those of tests/vectors/link/refused.json and random
// ones that begin as the reference's messages.
#include <gtest/gtest.h>

#include "../vectors/vector_file.h"
#include "packet/peer_header.h"
#include "peer/handshake.h"
#include "peer_rpc.pb.h"
#include "programs.h"
#include "rpc/typed.h"
#include "rt/with_timeout.h"
#include "seeds.h"
#include "selvage_host.h"

namespace selvage::sim {
namespace {

using packet::PacketType;
using packet::PeerHeader;
using test::Json;

constexpr std::uint32_t kHostileId = 0x66600001;
constexpr std::uint32_t kVectorFrom = 0x01020304;  // the ids that stand for the real ones
constexpr std::uint32_t kVectorTo = 0x0a0b0c0d;

Bytes framed(ByteView packet) {
    const le32 length(static_cast<std::uint32_t>(packet.size()));
    Bytes out(as_bytes_of(length).begin(), as_bytes_of(length).end());
    out.insert(out.end(), packet.begin(), packet.end());
    return out;
}

Bytes build_packet(PeerId to, PacketType type, ByteView payload) {
    PeerHeader header;
    header.from_peer = kHostileId;
    header.to_peer = to.raw();
    header.type = static_cast<std::uint8_t>(type);
    header.payload_len = static_cast<std::uint32_t>(payload.size());
    Bytes out(as_bytes_of(header).begin(), as_bytes_of(header).end());
    out.insert(out.end(), payload.begin(), payload.end());
    return out;
}

// A connection to a node on which anything can be said.
class Intruder {
public:
    Intruder(World& world, Host& host, SelvageHost& victim)
        : world_(world),
          host_(host),
          victim_(victim),
          stream_(world.run(host.connect_tcp({victim.host().address(), 11010})).value()) {}

    void send(ByteView wire) { EXPECT_TRUE(world_.run(stream_->write_all(wire))); }
    // The next packet of the node; closed when the connection ends first, timed_out when nothing
    // happens.
    Result<Bytes> next_packet() {
        return world_.run(rt::with_timeout(host_.runtime(), 8s, read_packet(*stream_)));
    }
    // Becomes a member's connection.
    void shake_hands() {
        peer::PeerOptions self{.my_id = PeerId(kHostileId), .network_name = "n1"};
        self.network_digest = crypto::network_digest("n1", crypto::SecretText("s1"));
        const packet::PacketBuf hello =
            build_hello(host_.pool(), self, self.my_id, self.network_digest);
        send(framed(hello.bytes()));
        const auto reply = next_packet();
        ASSERT_TRUE(reply) << reply.error().message();
        const auto header = header_of(*reply);
        ASSERT_EQ(header.packet_type(), PacketType::handshake);
        ASSERT_EQ(header.from(), victim_.node().id());
    }
    // Whether the node still answers on this connection.
    bool is_up() {
        const Bytes number{9, 9, 0, 0};
        const Bytes ping = build_packet(victim_.node().id(), PacketType::ping, number);
        if (!world_.run(stream_->write_all(framed(ping)))) return false;
        for (int i = 0; i < 50; ++i) {
            const auto packet = next_packet();
            if (!packet) return false;
            if (header_of(*packet).packet_type() == PacketType::pong) return true;
        }
        return false;
    }

private:
    static rt::Task<Result<Bytes>> read_packet(rt::Stream& stream) {
        Bytes prefix(4);
        if (auto got = co_await stream.read_exactly(prefix); !got) co_return got.error();
        le32 length;
        std::memcpy(&length, prefix.data(), sizeof length);
        Bytes packet(std::min<std::uint32_t>(length, 4096));
        if (auto got = co_await stream.read_exactly(packet); !got) co_return got.error();
        co_return packet;
    }
    static PeerHeader header_of(const Bytes& packet) {
        PeerHeader header;
        EXPECT_GE(packet.size(), sizeof header);
        std::memcpy(&header, packet.data(), std::min(packet.size(), sizeof header));
        return header;
    }

    World& world_;
    Host& host_;
    SelvageHost& victim_;
    rt::StreamPtr stream_;
};

// Everything that a node counts as not as it should be.
std::uint64_t complaints(SelvageHost& victim) {
    const rpc::RpcStats rpc = victim.node().rpc().stats();
    std::uint64_t sum = victim.node().forwarder().drops().total() +
                        victim.node().peers().counters().handshakes_refused +
                        rpc.dropped_malformed + rpc.dropped_wrong_ids;
    victim.node().peers().for_each_conn([&](const peer::PeerConn& conn) {
        sum += conn.malformed_count();
    });
    return sum;
}

std::vector<Json> refused(std::string_view transport, std::string_view state) {
    std::vector<Json> out;
    for (const Json& vector : test::load_vectors("link/refused.json")) {
        const Json& inputs = vector.at("inputs");
        if (inputs.at("transport").get<std::string>() != transport) continue;
        if (!inputs.at("state").get<std::string>().starts_with(state)) continue;
        out.push_back(vector);
    }
    return out;
}

// A node with an honest client beside the intruder.
struct Scene {
    explicit Scene(World& w)
        : world(w),
          victim(w, {.name = "victim", .address = "10.144.1.1/24"}),
          honest(w, {.name = "honest", .address = "10.144.1.2/24", .peers = {victim.url("tcp")}}),
          intruder(w.add_host("intruder")) {
        victim.start();
        honest.start();
        EXPECT_TRUE(world.run_until([&] { return honest.reaches(victim); }, 60s));
    }
    void expect_served() {
        auto stream = world.run(honest.dial({victim.address(), 7}));
        ASSERT_TRUE(stream) << stream.error().message();
        const auto seen = world.run(echo_round(honest.host(), **stream, 5000));
        ASSERT_TRUE(seen) << seen.error().message();
        EXPECT_EQ(*seen, 5000U);
    }
    World& world;
    SelvageHost victim;
    SelvageHost honest;
    Host& intruder;
};

TEST(Stranger, IsRefusedBeforeTheHandshakeAsEachVectorSays) {
    World world{{.seed = test_seed()}};
    Scene scene(world);
    const auto vectors = refused("tcp", "before");
    ASSERT_GE(vectors.size(), 15U);
    for (const Json& vector : vectors) {
        SCOPED_TRACE(vector.at("name").get<std::string>());
        const std::string expect = vector.at("expect");
        Intruder intruder(world, scene.intruder, scene.victim);
        intruder.send(test::hex_of(vector.at("wire")));
        auto answer = intruder.next_packet();
        EXPECT_EQ(answer.has_value(), expect.starts_with("reply"));
        if (answer) {
            const auto hello = peer::parse_hello(ByteView(*answer).subspan(sizeof(PeerHeader)));
            ASSERT_TRUE(hello);
            EXPECT_EQ(hello->digest, crypto::NetworkDigest{});
            answer = intruder.next_packet();
        }
        ASSERT_FALSE(answer);
        EXPECT_FALSE(answer.error().is(Errc::timed_out)) << "still connected";
    }
    scene.expect_served();
}

TEST(Stranger, IsIgnoredOverUdpAsEachVectorSays) {
    World world{{.seed = test_seed()}};
    Scene scene(world);
    struct Listener final : host::UdpSink {
        void on_datagrams(std::span<host::Datagram> datagrams, TimePoint) override {
            answers += datagrams.size();
        }
        std::size_t answers = 0;
    } listener;
    auto socket = scene.intruder.open_udp({IpAddress(), 0}, {}).value();
    socket->start(listener);
    const auto vectors = refused("udp", "before");
    ASSERT_GE(vectors.size(), 8U);
    for (const Json& vector : vectors) {
        SCOPED_TRACE(vector.at("name").get<std::string>());
        host::Datagram datagram{
            scene.intruder.pool().copy(test::hex_of(vector.at("wire"))),
            {scene.victim.host().address(), 11010}
        };
        socket->send({&datagram, 1});
        world.run_for(10s);
        EXPECT_EQ(listener.answers, 0U);
    }
    scene.expect_served();
}

TEST(HostileMember, IsRefusedAfterTheHandshakeAsEachVectorSays) {
    World world{{.seed = test_seed()}};
    Scene scene(world);
    const auto vectors = refused("tcp", "after");
    ASSERT_GE(vectors.size(), 20U);
    for (const Json& vector : vectors) {
        SCOPED_TRACE(vector.at("name").get<std::string>());
        const std::string expect = vector.at("expect");
        Intruder intruder(world, scene.intruder, scene.victim);
        ASSERT_NO_FATAL_FAILURE(intruder.shake_hands());
        Bytes wire = test::hex_of(vector.at("wire"));
        if (wire.size() >= 4 + sizeof(PeerHeader)) {
            PeerHeader header;
            std::memcpy(&header, wire.data() + 4, sizeof header);
            if (header.from_peer == kVectorFrom) header.from_peer = kHostileId;
            if (header.to_peer == kVectorTo) header.to_peer = scene.victim.node().id().raw();
            std::memcpy(wire.data() + 4, &header, sizeof header);
        }
        const std::uint64_t before = complaints(scene.victim);
        intruder.send(wire);
        world.run_for(100ms);
        const std::uint64_t after = complaints(scene.victim);
        if (expect.starts_with("drop")) {
            EXPECT_TRUE(intruder.is_up());
            EXPECT_GT(after, before) << "not counted";
        } else {
            EXPECT_FALSE(intruder.is_up());
        }
    }
    scene.expect_served();
}

// A packet that is random, or a message of the reference with a few bits turned.
Bytes random_packet(rt::Rng& rng, const std::vector<Bytes>& seeds, PeerId victim) {
    Bytes packet;
    if (!seeds.empty() && rng.chance(0.7)) {
        packet = seeds[rng.below(seeds.size())];
        for (std::uint64_t flips = rng.below(6); flips > 0; --flips)
            packet[rng.below(packet.size())] ^= static_cast<std::uint8_t>(1U << rng.below(8));
        if (rng.chance(0.2)) packet.resize(rng.below(packet.size()) + 1);
    } else {
        packet.resize(sizeof(PeerHeader) + rng.below(200));
        for (std::uint8_t& byte : packet)
            byte = static_cast<std::uint8_t>(rng.next());
        packet[8] = static_cast<std::uint8_t>(rng.below(24));
    }
    packet.resize(std::max(packet.size(), sizeof(PeerHeader)));
    PeerHeader header;
    std::memcpy(&header, packet.data(), sizeof header);
    header.from_peer = kHostileId;
    if (rng.chance(0.9)) header.to_peer = victim.raw();
    if (rng.chance(0.5)) header.flags = 0;
    std::memcpy(packet.data(), &header, sizeof header);
    return packet;
}

TEST(HostileMember, CannotStopANodeWithRandomPackets) {
    std::vector<Bytes> seeds;
    for (const char* file :
         {"control/packets.json", "control/route-sync.json", "control/rpc-pieces.json",
          "control/rpc-errors.json"}) {
        for (const Json& vector : test::load_vectors(file)) {
            if (!vector.contains("wire")) continue;
            for (Bytes& packet : test::peer_packets(vector)) {
                if (packet.size() > sizeof(PeerHeader)) seeds.push_back(std::move(packet));
            }
        }
    }
    ASSERT_GE(seeds.size(), 20U);
    for_seeds(
        [&](World& world) {
            Scene scene(world);
            rt::Rng rng(world.seed());
            const std::uint64_t before = complaints(scene.victim);
            for (int connection = 0; connection < 10; ++connection) {
                Intruder intruder(world, scene.intruder, scene.victim);
                ASSERT_NO_FATAL_FAILURE(intruder.shake_hands());
                for (int i = 0; i < 100; ++i)
                    intruder.send(framed(random_packet(rng, seeds, scene.victim.node().id())));
                world.run_for(1s);
            }
            EXPECT_GT(complaints(scene.victim), before + 500);
            scene.expect_served();
        },
        {.seeds = 2}
    );
}

// A member that speaks RPC of its own making, in a network that seals nothing.
class RpcIntruder {
public:
    RpcIntruder(World& world, Host& host, SelvageHost& victim)
        : victim_(victim), intruder_(world, host, victim) {
        intruder_.shake_hands();
    }
    // The first method of a service; what the node answers.
    Result<Bytes> call(const std::string& service, ByteView content) {
        rpc::Envelope call = envelope(true);
        call.target.service = call.target.proto_name = service;
        call.transaction = ++transaction_;
        call.body = rpc::build_request(content, 3s);
        send(call, PacketType::rpc_request);
        const auto answer = next(PacketType::rpc_response);
        if (!answer) return answer.error();
        return rpc::parse_reply(answer->body);
    }
    // A finished call of the route service.
    Result<route::SyncReply> sync(const peer_rpc::SyncRouteInfoRequest& request) {
        const auto body = call("OspfRouteRpc", as_view(request.SerializeAsString()));
        if (!body) return body.error();
        return route::parse_sync_reply(*body);
    }
    // Answers the node's next call of that service.
    void answer_sync(const peer_rpc::SyncRouteInfoResponse& response) {
        const auto call = next(PacketType::rpc_request);
        ASSERT_TRUE(call) << call.error().message();
        rpc::Envelope reply = envelope(false);
        reply.transaction = call->transaction;
        reply.body = rpc::build_reply(rpc::to_wire(response), call->target, 0s);
        send(reply, PacketType::rpc_response);
    }
    bool is_up() { return intruder_.is_up(); }

private:
    rpc::Envelope envelope(bool is_request) const {
        rpc::Envelope out;
        out.from = PeerId(kHostileId);
        out.to = victim_.node().id();
        out.target = {
            .domain = "n1", .service = "OspfRouteRpc", .method = 1, .proto_name = "OspfRouteRpc"
        };
        out.is_request = is_request;
        return out;
    }
    void send(const rpc::Envelope& message, PacketType type) {
        const auto pieces = rpc::build_pieces(message);
        ASSERT_TRUE(pieces);
        for (const Bytes& piece : *pieces)
            intruder_.send(framed(build_packet(victim_.node().id(), type, piece)));
    }
    // The next message of that type about routes; those of one piece are all that is awaited.
    Result<rpc::Envelope> next(PacketType type) {
        for (int i = 0; i < 200; ++i) {
            auto packet = intruder_.next_packet();
            if (!packet) return packet.error();
            PeerHeader header;
            std::memcpy(&header, packet->data(), sizeof header);
            if (header.packet_type() != type) continue;
            auto piece = rpc::parse_piece(ByteView(*packet).subspan(sizeof header));
            if (!piece) return piece.error();
            const bool ours = type == PacketType::rpc_request
                                  ? piece->envelope.target.service == "OspfRouteRpc"
                                  : piece->envelope.transaction == transaction_;
            if (ours) return std::move(piece->envelope);
        }
        return Errc::timed_out;
    }

    SelvageHost& victim_;
    Intruder intruder_;
    std::int64_t transaction_ = 0;
};

peer_rpc::SyncRouteInfoRequest sync_request() {
    peer_rpc::SyncRouteInfoRequest out;
    out.set_my_peer_id(kHostileId);
    out.set_my_session_id(5);
    out.set_is_initiator(true);
    return out;
}

peer_rpc::RoutePeerInfo& add_record(peer_rpc::SyncRouteInfoRequest& request, std::uint32_t peer) {
    auto& record = *request.mutable_peer_infos()->add_items();
    record.set_peer_id(peer);
    record.set_version(1);
    record.set_peer_route_id(7);
    record.set_network_length(24);
    record.set_hostname("x");
    return record;
}

// The intruder's row, so that what it tells of can be reached, and would be passed on.
void connect_to(
    peer_rpc::SyncRouteInfoRequest& request, PeerId victim, std::initializer_list<std::uint32_t> to
) {
    auto& row = *request.mutable_conn_peer_list()->add_peer_conn_infos();
    row.mutable_peer_id()->set_peer_id(kHostileId);
    row.mutable_peer_id()->set_version(1000);
    row.add_connected_peer_ids(victim.raw());
    for (const std::uint32_t peer : to)
        row.add_connected_peer_ids(peer);
}

struct DangerousSync {
    route::Refusal reason;
    std::function<void(peer_rpc::SyncRouteInfoRequest&, peer_rpc::RoutePeerInfo&)> spoil;
};

// Each input of 2-control.md that ends or disables a stock node which receives it in a sync.
std::vector<DangerousSync> dangerous_syncs(PeerId victim) {
    using route::Refusal;
    const auto bitmap = [](std::size_t peers, std::size_t bytes) {
        return [peers, bytes](auto& request, auto&) {
            for (std::uint32_t i = 0; i < peers; ++i) {
                auto& peer = *request.mutable_conn_bitmap()->add_peer_ids();
                peer.set_peer_id(kHostileId + i);
                peer.set_version(900);
            }
            request.mutable_conn_bitmap()->set_bitmap(std::string(bytes, '\xff'));
        };
    };
    return {
        {Refusal::ipv6_prefix_length,
         [](auto&, auto& r) { r.mutable_ipv6_addr()->set_network_length(129); }},
        {Refusal::provider_prefix_length,
         [](auto&, auto& r) { r.mutable_ipv6_public_addr_prefix()->set_network_length(200); }},
        {Refusal::lease_prefix_length,
         [](auto&, auto& r) { r.mutable_ipv6_public_addr_lease()->set_network_length(129); }},
        {Refusal::ipv4_prefix_length, [](auto&, auto& r) { r.set_network_length(200); }},
        {Refusal::bitmap_too_short, bitmap(3, 0)},
        {Refusal::bitmap_too_short, bitmap(9, 10)},
        {Refusal::foreign_without_key,
         [](auto& request, auto&) {
             auto& info = *request.mutable_foreign_network_infos()->add_infos();
             info.mutable_value()->set_network_secret_digest(std::string(32, 'd'));
         }},
        {Refusal::foreign_without_value,
         [](auto& request, auto&) {
             auto& info = *request.mutable_foreign_network_infos()->add_infos();
             info.mutable_key()->set_peer_id(kHostileId);
             info.mutable_key()->set_network_name("net2");
         }},
        {Refusal::own_id_other_route,
         [victim](auto& request, auto&) { add_record(request, victim.raw()).set_version(5000); }},
    };
}

// No cipher, so that its calls and ours can be read here.
struct ClearScene {
    explicit ClearScene(World& w)
        : world(w),
          victim(w, {.name = "victim", .address = "10.144.1.1/24", .encryption = false}),
          honest(
              w, {.name = "honest",
                  .address = "10.144.1.2/24",
                  .peers = {victim.url("tcp")},
                  .encryption = false}
          ),
          intruder(w.add_host("intruder")) {
        victim.start();
        honest.start();
        EXPECT_TRUE(world.run_until([&] { return honest.reaches(victim); }, 60s));
    }
    const route::LinkState& links(SelvageHost& host) { return host.node().routes().core().links(); }
    World& world;
    SelvageHost victim;
    SelvageHost honest;
    Host& intruder;
};

TEST(HostileMember, DangerousSyncsAreRefusedCountedAndNeverPassedOn) {
    World world{{.seed = test_seed()}};
    ClearScene scene(world);
    RpcIntruder intruder(world, scene.intruder, scene.victim);
    const PeerId victim = scene.victim.node().id();
    std::uint32_t id = 100;
    for (const DangerousSync& each : dangerous_syncs(victim)) {
        SCOPED_TRACE(route::refusal_name(each.reason));
        const std::uint64_t before = scene.links(scene.victim).refusals().of(each.reason);
        auto request = sync_request();
        auto& record = add_record(request, ++id);
        each.spoil(request, record);
        const auto reply = intruder.sync(request);
        ASSERT_TRUE(reply) << reply.error().message();
        EXPECT_NE(reply->error, route::SyncError::duplicate_peer_id);
        EXPECT_GT(scene.links(scene.victim).refusals().of(each.reason), before) << "not counted";
    }
    // The way that bad ones would have taken.
    auto good = sync_request();
    add_record(good, kHostileId);
    add_record(good, 500);
    connect_to(good, victim, {101, 102, 103, 104, 500});
    ASSERT_TRUE(intruder.sync(good));
    EXPECT_TRUE(world.run_until(
        [&] { return scene.links(scene.honest).record(PeerId(500)) != nullptr; }, 30s
    ));
    for (std::uint32_t bad = 101; bad <= 104; ++bad)
        EXPECT_EQ(scene.links(scene.honest).record(PeerId(bad)), nullptr) << bad;
    EXPECT_TRUE(scene.links(scene.honest).foreign().empty());
    EXPECT_TRUE(scene.honest.reaches(scene.victim)) << "our record and row are ours";
    EXPECT_TRUE(intruder.is_up());
}

// docs/decisions/0018: stock nodes stop asking then.
TEST(Member, IsToldWhichServicesThereAreNot) {
    World world{{.seed = test_seed()}};
    ClearScene scene(world);
    RpcIntruder member(world, scene.intruder, scene.victim);
    for (const char* service :
         {"DirectConnectorRpc", "UdpHolePunchRpc", "TcpHolePunchRpc", "PublicIpv6AddrRpc"}) {
        const auto answer = member.call(service, {});
        ASSERT_FALSE(answer) << service;
        EXPECT_TRUE(answer.error().is(Errc::not_found)) << service;
    }
    EXPECT_TRUE(member.sync(sync_request())) << "this one is there";
}

TEST(HostileMember, ToBeCalledADuplicateEndsNothing) {
    World world{{.seed = test_seed()}};
    ClearScene scene(world);
    RpcIntruder intruder(world, scene.intruder, scene.victim);
    ASSERT_TRUE(intruder.sync(sync_request())) << "a session, so that the node tells us its table";
    peer_rpc::SyncRouteInfoResponse duplicate;
    duplicate.set_error(peer_rpc::DuplicatePeerId);
    intruder.answer_sync(duplicate);
    const PeerId before = scene.victim.node().id();
    world.run_for(1s);
    EXPECT_EQ(scene.victim.node().routes().core().stats().told_duplicate, 1U);
    EXPECT_EQ(scene.victim.node().id(), before);
    EXPECT_FALSE(scene.victim.node().failure());
    EXPECT_TRUE(intruder.is_up());
    EXPECT_TRUE(scene.honest.reaches(scene.victim));
    ASSERT_TRUE(intruder.sync(sync_request())) << "and it may begin anew";
}

}  // namespace
}  // namespace selvage::sim
