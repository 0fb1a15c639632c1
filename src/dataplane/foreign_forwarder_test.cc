// Tests of what a shared server does with the packets of a network that it hosts, over a client's
// connection in memory.
#include "dataplane/foreign_forwarder.h"

#include "packet/foreign_packet.h"
#include "rt/virtual_runtime.h"
#include "tunnel/test_tunnel.h"

namespace selvage::dataplane {
namespace {

using namespace std::chrono_literals;
using packet::PacketBatch;
using packet::PacketBuf;
using packet::PacketType;
using packet::PeerHeader;

constexpr PeerId kServer(70);  // our id in the network
constexpr PeerId kClient(1);
constexpr PeerId kBehindClient(2);
constexpr PeerId kOtherServer(80);
constexpr PeerId kFar(3);  // a client of the other server

struct Hosted final : peer::PeerEvents, ControlSink, ForeignLink {
    explicit Hosted(ForeignOptions options = {}) {
        options.my_id = kServer;
        options.network_name = "n1";
        forwarder.emplace(options, runtime, pool, table, *this, *this, counters, drops);
        auto [ours, theirs] = tunnel::TestTunnel::pair(runtime);
        to_client = ours.get();
        client_table.add(std::move(theirs), peer::Role::server);
        table.add(std::move(ours), peer::Role::client);
        runtime.run_for(1s);
        to_client->sent.clear();
        forwarder->set_routes(make_routes());
    }
    ~Hosted() override {
        runtime.run(table.close());
        runtime.run(client_table.close());
    }
    static peer::PeerOptions peer_options(PeerId id) {
        return {
            .my_id = id,
            .network_name = "n1",
            .network_digest = crypto::network_digest("n1", crypto::SecretText("s1"))
        };
    }
    std::shared_ptr<const route::RouteTable> make_routes() {
        route::RouteOptions own{.self = kServer, .network_name = "n1"};
        route::LinkState links(own, 1, runtime.now(), runtime.wall_now());
        links.set_neighbours({kClient, kOtherServer}, runtime.now());
        for (const PeerId peer : {kClient, kBehindClient, kOtherServer, kFar}) {
            route::RouteOptions options{.self = peer, .network_name = "n1"};
            links.add_record(
                route::build_own_record(options, 7, 1, runtime.wall_now()), runtime.now()
            );
        }
        links.add_row({.peer = {kClient, 1}, .connected = {kServer, kBehindClient}}, runtime.now());
        links.add_row({.peer = {kOtherServer, 1}, .connected = {kServer, kFar}}, runtime.now());
        return std::make_shared<route::RouteTable>(
            links, route::EdgeLatencies{},
            std::map<PeerId, route::NeighbourInfo>{
                {kClient, {}}, {kOtherServer, {.own_network = false}}
            },
            1
        );
    }
    PacketBuf build(
        PeerId to, PacketType type, std::string_view payload, std::uint8_t flags = 0,
        std::uint8_t hops = 1
    ) {
        PacketBuf out = pool.copy(as_view(payload));
        auto* header = out.push_front<PeerHeader>();
        header->from_peer = kClient.raw();
        header->to_peer = to.raw();
        header->type = static_cast<std::uint8_t>(type);
        header->flags = flags;
        header->hops = hops;
        header->payload_len = static_cast<std::uint32_t>(payload.size());
        return out;
    }
    void arrive(PacketBuf packet) {
        PacketBatch batch(runtime.now());
        batch.push(std::move(packet));
        forwarder->from_peers(std::move(batch));
    }
    // What the client was sent since the last call, without pings: "to:type:hops".
    std::string sent() {
        std::string out;
        for (const std::string& hex : std::exchange(to_client->sent, {})) {
            const Bytes bytes = from_hex(hex).value();
            PeerHeader header;
            EXPECT_TRUE(Reader(bytes).read(header));
            if (header.packet_type() == PacketType::ping) continue;
            if (header.packet_type() == PacketType::pong) continue;
            out += fmt::format("{}:{}:{} ", header.to(), header.type, header.hops);
        }
        return out;
    }
    void on_peer_up(PeerId) override {}
    void on_peer_down(PeerId) override {}
    void on_peer_packets(PeerId, PacketBatch&&) override {}
    void on_rpc_packet(PeerId from, PacketType, ByteView payload) override {
        calls += fmt::format("{}:{} ", from, as_text(payload));
    }
    std::optional<DropReason> send_wrapped(PeerId via, PacketBuf&& wrapped) override {
        const auto parsed = packet::parse_foreign_packet(wrapped.bytes());
        EXPECT_TRUE(parsed);
        to_servers += fmt::format("{}>{}:{} ", via, parsed->to, parsed->network_name);
        return std::nullopt;
    }

    std::string calls;
    std::string to_servers;
    rt::VirtualRuntime runtime;
    packet::PacketPool pool;
    peer::PeerTable table{peer_options(kServer), runtime, pool, *this, Log()};
    peer::PeerTable client_table{peer_options(kClient), runtime, pool, *this, Log()};
    ForeignCounters counters;
    DropCounters drops;
    std::optional<ForeignForwarder> forwarder;
    tunnel::TestTunnel* to_client = nullptr;
};

constexpr std::string_view kSealed = "0123456789012345678901234567890123456789";

TEST(ForeignForwarder, PassesPacketsOnUnopenedAndUncounted) {
    Hosted world;
    const auto sealed = packet::flag::kEncrypted;
    world.arrive(world.build(kClient, PacketType::data, kSealed, sealed, 200));
    world.arrive(world.build(kBehindClient, PacketType::rpc_request, "call", 0, 2));
    world.arrive(world.build(kClient, static_cast<PacketType>(99), "unknown"));
    EXPECT_EQ(world.sent(), "1:1:200 2:8:2 1:99:1 ");
    EXPECT_EQ(world.counters.forwarded_packets, 3U);
    EXPECT_EQ(world.drops.total(), 0U);
}

TEST(ForeignForwarder, WrapsWhatOnlyAnotherServerReaches) {
    Hosted world;
    world.arrive(world.build(kFar, PacketType::data, kSealed, packet::flag::kEncrypted));
    world.arrive(world.build(kOtherServer, PacketType::rpc_request, "call"));
    world.arrive(world.build(PeerId(99), PacketType::rpc_request, "nobody knows the way"));
    EXPECT_EQ(world.to_servers, "80>3:n1 80>80:n1 99>99:n1 ");
    EXPECT_EQ(world.sent(), "");
}

TEST(ForeignForwarder, NeverWrapsWhatCameWrapped) {
    Hosted world;
    world.forwarder->from_server(kFar, world.build(kFar, PacketType::rpc_request, "back again"));
    EXPECT_EQ(world.to_servers, "");
    EXPECT_EQ(world.drops[DropReason::no_next_hop], 1U);
    world.forwarder->from_server(kClient, world.build(kClient, PacketType::rpc_request, "call"));
    EXPECT_EQ(world.sent(), "1:8:1 ");
}

TEST(ForeignForwarder, TakesClearCallsForItselfAndNothingElse) {
    Hosted world;
    world.arrive(world.build(kServer, PacketType::rpc_request, "call"));
    world.forwarder->from_server(kServer, world.build(kServer, PacketType::rpc_response, "reply"));
    EXPECT_EQ(world.calls, "1:call 1:reply ");
    const auto sealed = packet::flag::kEncrypted;
    world.arrive(world.build(kServer, PacketType::rpc_request, kSealed, sealed));
    EXPECT_EQ(world.drops[DropReason::bad_seal], 1U);
    world.arrive(world.build(kServer, PacketType::data, kSealed));
    world.arrive(world.build(kServer, PacketType::relay_handshake, "noise"));
    EXPECT_EQ(world.drops[DropReason::unknown_type], 2U);
    EXPECT_EQ(world.calls, "1:call 1:reply ");
}

TEST(ForeignForwarder, SendsItsOwnCallsWithOneHop) {
    Hosted world;
    world.forwarder->send_rpc(kClient, PacketType::rpc_request, world.pool.copy(as_view("call")));
    EXPECT_EQ(world.sent(), "1:8:1 ");
}

// 2-control.md section 11a: what ends or disables a stock node behind us.
TEST(ForeignForwarder, DoesNotPassOnWhatStopsStockNodes) {
    Hosted world;
    world.arrive(world.build(kClient, PacketType::kcp_source, "8 bytes."));
    world.arrive(world.build(kClient, PacketType::data, kSealed));  // clear, IP version 3
    EXPECT_EQ(world.drops[DropReason::malformed_inner], 2U);
    world.arrive(world.build(kClient, PacketType::foreign_network, "short"));
    EXPECT_EQ(world.drops[DropReason::malformed_foreign], 1U);
    // A pong of less than 4 bytes ends the connection's owner; pings and handshakes are none of
    // the other servers' business either.
    for (const PacketType type : {PacketType::pong, PacketType::ping, PacketType::handshake}) {
        world.forwarder->from_server(kClient, world.build(kClient, type, "abc"));
    }
    EXPECT_EQ(world.drops[DropReason::malformed_inner], 5U);
    // Two destinations in one packet.
    world.forwarder->from_server(
        kClient, world.build(kBehindClient, PacketType::rpc_request, "call")
    );
    EXPECT_EQ(world.drops[DropReason::malformed_inner], 6U);
    EXPECT_EQ(world.sent(), "");
}

TEST(ForeignForwarder, CarriesNoDataWhereOnlyCallsAreRelayed) {
    Hosted world({.relays_data = false});
    const auto sealed = packet::flag::kEncrypted;
    for (const PacketType type :
         {PacketType::data, PacketType::kcp_source, PacketType::kcp_destination,
          PacketType::quic_source, PacketType::quic_destination}) {
        world.arrive(world.build(kClient, type, kSealed, sealed));
        world.forwarder->from_server(kClient, world.build(kClient, type, kSealed, sealed));
    }
    EXPECT_EQ(world.drops[DropReason::relay_disabled], 10U);
    world.arrive(world.build(kBehindClient, PacketType::rpc_request, "call"));
    EXPECT_EQ(world.sent(), "2:8:1 ");
}

TEST(ForeignForwarder, CountsTheBytesOfDataAgainstTheLimit) {
    Hosted world({.bytes_per_second = 2 * kSealed.size()});
    const auto sealed = packet::flag::kEncrypted;
    for (int i = 0; i < 3; ++i)
        world.arrive(world.build(kClient, PacketType::data, kSealed, sealed));
    EXPECT_EQ(world.drops[DropReason::relay_rate], 1U);
    world.arrive(world.build(kBehindClient, PacketType::rpc_request, "calls always pass"));
    EXPECT_EQ(world.sent(), "1:1:1 1:1:1 2:8:1 ");
    world.runtime.run_for(1s);
    world.arrive(world.build(kClient, PacketType::data, kSealed, sealed));
    EXPECT_EQ(world.sent(), "1:1:1 ");
}

}  // namespace
}  // namespace selvage::dataplane
