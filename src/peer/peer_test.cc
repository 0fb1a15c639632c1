// Tests of the handshake, the pinger and the table of neighbours, over tunnels in memory.
#include "peer/peer_table.h"
#include "rt/virtual_runtime.h"
#include "tunnel/test_tunnel.h"

namespace selvage::peer {
namespace {

using packet::PacketBatch;
using packet::PacketBuf;
using packet::PacketType;
using packet::PeerHeader;
using tunnel::TestTunnel;

crypto::NetworkDigest digest_of(std::string_view network, std::string_view secret) {
    return crypto::network_digest(network, crypto::SecretText(secret));
}

struct TestNode final : PeerEvents {
    TestNode(
        rt::Runtime& runtime, std::uint32_t id, const std::string& network, std::string_view secret
    )
        : table(
              {.my_id = PeerId(id),
               .network_name = network,
               .network_digest = digest_of(network, secret)},
              runtime, pool, *this, Log()
          ) {}
    void on_peer_up(PeerId peer) override { events += fmt::format("+{} ", peer); }
    void on_peer_down(PeerId peer) override { events += fmt::format("-{} ", peer); }
    void on_peer_packets(PeerId neighbour, PacketBatch&& batch) override {
        for (PacketBuf& packet : batch) {
            EXPECT_EQ(packet.meta().from_peer, neighbour);
            packets.push_back(to_hex(packet.bytes()));
        }
    }
    packet::PacketPool pool;
    std::string events;
    std::vector<std::string> packets;
    PeerTable table;
};

struct Connected {
    TestTunnel* client;
    TestTunnel* server;
    ConnId client_conn;
    ConnId server_conn;
};

Connected connect(rt::Runtime& runtime, TestNode& client, TestNode& server) {
    auto [a, b] = TestTunnel::pair(runtime);
    Connected out{a.get(), b.get(), {}, {}};
    out.server_conn = server.table.add(std::move(b), Role::server);
    out.client_conn = client.table.add(std::move(a), Role::client);
    return out;
}

class PeerTest : public testing::Test {
protected:
    void stop(TestNode& node) { runtime_.run(node.table.close(), 1s); }
    rt::VirtualRuntime runtime_;
};

TEST_F(PeerTest, TwoNodesOfOneNetworkBecomeNeighbours) {
    TestNode a(runtime_, 1, "n1", "s1");
    TestNode b(runtime_, 2, "n1", "s1");
    const auto conns = connect(runtime_, a, b);
    runtime_.run_for(1s);
    EXPECT_EQ(a.events, "+2 ");
    EXPECT_EQ(b.events, "+1 ");
    EXPECT_EQ(a.table.state(conns.client_conn), PeerTable::ConnState::open);
    EXPECT_EQ(a.table.latency(PeerId(2)), 20ms);
    stop(a);
    runtime_.run_for(1s);
    EXPECT_EQ(b.events, "+1 -1 ");
    EXPECT_FALSE(b.table.has(PeerId(1)));
    stop(b);
}

TEST_F(PeerTest, AWrongSecretIsRefusedOnBothSidesWithItsReason) {
    TestNode a(runtime_, 1, "n1", "s1");
    TestNode b(runtime_, 2, "n1", "other");
    const auto conns = connect(runtime_, a, b);
    runtime_.run_for(1s);
    EXPECT_EQ(a.events + b.events, "");
    EXPECT_EQ(
        a.table.end_reason(conns.client_conn).message(),
        "the other side has a different network secret"
    );
    EXPECT_EQ(
        b.table.end_reason(conns.server_conn).message(),
        "the other side has a different network secret"
    );
    EXPECT_EQ(b.table.counters().handshakes_refused, 1U);
}

// Lets clients of the network "n1" in, into a table of their own.
struct TestDesk final : ForeignDesk {
    explicit TestDesk(TestNode& n) : network(n) {}
    Result<PeerId> admit(const Hello& client) override {
        if (client.network_name != "n1") return Error(Errc::denied, "not on the list");
        return network.table.options().my_id;
    }
    Result<> take(std::unique_ptr<PeerConn>& conn) override { return network.table.adopt(conn); }
    TestNode& network;
};

TEST_F(PeerTest, AClientOfAnotherNetworkMovesToTheTableOfItsNetwork) {
    TestNode client(runtime_, 1, "n1", "s1");
    TestNode server(runtime_, 2, "n2", "s2");
    TestNode hosted(runtime_, 77, "n1", "");
    TestDesk desk(hosted);
    server.table.set_foreign_desk(desk);
    const auto conns = connect(runtime_, client, server);
    runtime_.run_for(1s);
    EXPECT_EQ(client.events, "+77 ");
    EXPECT_EQ(server.events, "");
    EXPECT_EQ(hosted.events, "+1 ");
    EXPECT_FALSE(client.table.is_member(PeerId(77)));
    EXPECT_TRUE(hosted.table.is_member(PeerId(1)));
    EXPECT_EQ(server.table.state(conns.server_conn), PeerTable::ConnState::none);
    EXPECT_EQ(server.table.counters().handshakes_foreign, 1U);
    EXPECT_EQ(hosted.table.latency(PeerId(1)), 20ms);

    PacketBatch batch(runtime_.now());
    batch.push(client.pool.copy(from_hex("010000004d0000006300010001000000ff").value()));
    EXPECT_TRUE(client.table.send(PeerId(77), std::move(batch)));
    runtime_.run_for(1s);
    EXPECT_EQ(hosted.packets.size(), 1U);
    EXPECT_TRUE(server.packets.empty());
    stop(client);
    runtime_.run_for(1s);
    EXPECT_EQ(hosted.events, "+1 -1 ");
    stop(hosted);
    stop(server);
}

TEST_F(PeerTest, ARefusedClientOfAnotherNetworkIsAnsweredWithZerosAndClosed) {
    TestNode client(runtime_, 1, "n3", "s1");
    TestNode server(runtime_, 2, "n2", "s2");
    TestNode hosted(runtime_, 77, "n1", "");
    TestDesk desk(hosted);
    server.table.set_foreign_desk(desk);
    const auto conns = connect(runtime_, client, server);
    runtime_.run_for(15ms);
    ASSERT_EQ(conns.server->sent.size(), 1U);
    const Bytes reply = from_hex(conns.server->sent.front()).value();
    const Hello hello = parse_hello(ByteView(reply).subspan(sizeof(PeerHeader))).value();
    EXPECT_EQ(hello.network_name, "n2");
    EXPECT_EQ(hello.digest, crypto::NetworkDigest{});
    EXPECT_NE(hello.peer, PeerId(2));
    runtime_.run_for(1s);
    EXPECT_EQ(server.table.end_reason(conns.server_conn).message(), "not on the list");
    EXPECT_EQ(server.table.counters().handshakes_refused, 1U);
    EXPECT_EQ(server.events + hosted.events, "");
    EXPECT_FALSE(client.table.has(hello.peer));
    stop(client);
    stop(server);
}

TEST_F(PeerTest, WithoutADeskOtherNetworksAreRefused) {
    TestNode a(runtime_, 1, "n1", "s1");
    TestNode b(runtime_, 2, "n2", "s1");
    const auto conns = connect(runtime_, a, b);
    runtime_.run_for(1s);
    EXPECT_EQ(b.table.end_reason(conns.server_conn).message(), "network \"n1\" is not ours");
    EXPECT_EQ(b.events, "");
    stop(a);
}

TEST_F(PeerTest, ASharedServerCannotTakeThePeerIdOfAMember) {
    TestNode a(runtime_, 1, "n1", "s1");
    TestNode member(runtime_, 2, "n1", "s1");
    connect(runtime_, a, member);
    runtime_.run_for(1s);
    TestNode hosted(runtime_, 2, "n1", "");
    TestNode server(runtime_, 9, "n2", "s2");
    TestDesk desk(hosted);
    server.table.set_foreign_desk(desk);
    const auto conns = connect(runtime_, a, server);
    runtime_.run_for(1s);
    EXPECT_EQ(
        a.table.end_reason(conns.client_conn).message(),
        "its peer id is that of a node of another network"
    );
    EXPECT_TRUE(a.table.is_member(PeerId(2)));
    for (TestNode* node : {&a, &member, &hosted, &server})
        stop(*node);
}

TEST_F(PeerTest, OurOwnPeerIdIsRefused) {
    TestNode a(runtime_, 1, "n1", "s1");
    TestNode b(runtime_, 1, "n1", "s1");
    connect(runtime_, a, b);
    runtime_.run_for(1s);
    EXPECT_EQ(a.events + b.events, "");
}

TEST_F(PeerTest, ASilentStrangerIsClosedAfterFiveSeconds) {
    TestNode b(runtime_, 2, "n1", "s1");
    auto [a_end, b_end] = TestTunnel::pair(runtime_);
    const ConnId conn = b.table.add(std::move(b_end), Role::server);
    runtime_.run_for(4900ms);
    EXPECT_EQ(b.table.state(conn), PeerTable::ConnState::starting);
    runtime_.run_for(200ms);
    EXPECT_EQ(b.table.state(conn), PeerTable::ConnState::none);
    EXPECT_TRUE(b.table.end_reason(conn).is(Errc::timed_out));
}

// Sends bytes to a server that waits for a handshake; returns why it closed.
std::string refusal(rt::VirtualRuntime& runtime, std::string_view hex) {
    TestNode b(runtime, 2, "n1", "s1");
    auto [a_end, b_end] = TestTunnel::pair(runtime);
    TestTunnel* server = b_end.get();
    const ConnId conn = b.table.add(std::move(b_end), Role::server);
    server->receive(b.pool.copy(from_hex(hex).value()));
    runtime.run_for(1s);
    EXPECT_EQ(b.table.state(conn), PeerTable::ConnState::none);
    return b.table.end_reason(conn).message();
}

TEST_F(PeerTest, BadFirstPacketsAreRefused) {
    // A Ping, a type that does not exist, a broken message, a digest of 31 bytes.
    EXPECT_EQ(
        refusal(runtime_, "0403020100000000040001000400000000000000"),
        "the first packet is not a handshake"
    );
    EXPECT_EQ(
        refusal(runtime_, "0403020100000000630001000400000000000000"),
        "the first packet is not a handshake"
    );
    EXPECT_EQ(
        refusal(runtime_, "0403020100000000020001000200000008ff"),
        "the handshake is not a valid message"
    );
    const std::string digest31(62, 'a');
    EXPECT_EQ(
        refusal(
            runtime_,
            "04030201000000000200010032000000"
            "08e1cb868f0d108486880818012a026e31321f" +
                digest31
        ),
        "the handshake's digest has 31 bytes, not 32"
    );
}

TEST_F(PeerTest, ThePongIsThePingWithItsTypeChanged) {
    TestNode a(runtime_, 1, "n1", "s1");
    TestNode b(runtime_, 2, "n1", "s1");
    const auto conns = connect(runtime_, a, b);
    runtime_.run_for(1s);
    conns.server->sent.clear();
    conns.server->receive(b.pool.copy(from_hex("aaaaaaaabbbbbbbb04ff09070400000001020304").value())
    );
    runtime_.run_for(50ms);
    EXPECT_THAT(conns.server->sent, testing::Contains("aaaaaaaabbbbbbbb05ff09070400000001020304"));
    stop(a);
    stop(b);
}

TEST_F(PeerTest, ShortPongsAndSecondHandshakesAreCountedAndHarmless) {
    TestNode a(runtime_, 1, "n1", "s1");
    TestNode b(runtime_, 2, "n1", "s1");
    const auto conns = connect(runtime_, a, b);
    runtime_.run_for(1s);
    conns.server->receive(b.pool.copy(from_hex("01000000020000000500010000000000").value()));
    conns.server->receive(b.pool.copy(from_hex("010000000200000005000100030000000102aa").value()));
    conns.server->receive(b.pool.copy(from_hex("01000000000000000200010000000000").value()));
    runtime_.run_for(1s);
    std::uint64_t malformed = 0;
    b.table.for_each_conn([&](const PeerConn& conn) { malformed += conn.malformed_count(); });
    EXPECT_EQ(malformed, 3U);
    EXPECT_TRUE(b.table.has(PeerId(1)));
    stop(a);
    stop(b);
}

TEST_F(PeerTest, ANeighbourThatStopsAnsweringIsNoticed) {
    TestNode a(runtime_, 1, "n1", "s1");
    TestNode b(runtime_, 2, "n1", "s1");
    const auto conns = connect(runtime_, a, b);
    runtime_.run_for(1s);
    conns.server->mute = true;
    // At most 32 s until the next ping, then five of two seconds.
    EXPECT_TRUE(runtime_.run_until([&] { return !a.table.has(PeerId(2)); }, 48s));
    EXPECT_EQ(
        a.table.end_reason(conns.client_conn).message(), "the neighbour no longer answers pings"
    );
    stop(a);
    stop(b);
}

TEST_F(PeerTest, OtherPacketsReachTheOwnerWithTheirNeighbour) {
    TestNode a(runtime_, 1, "n1", "s1");
    TestNode b(runtime_, 2, "n1", "s1");
    connect(runtime_, a, b);
    runtime_.run_for(1s);
    PacketBatch batch(runtime_.now());
    batch.push(a.pool.copy(from_hex("01000000020000006300010001000000ff").value()));
    EXPECT_TRUE(a.table.send(PeerId(2), std::move(batch)));
    EXPECT_FALSE(a.table.send(PeerId(3), PacketBatch(runtime_.now())));
    runtime_.run_for(1s);
    EXPECT_THAT(b.packets, testing::ElementsAre("01000000020000006300010001000000ff"));
    stop(a);
    stop(b);
}

TEST_F(PeerTest, TheNeighbourStaysWhileOneOfItsConnectionsDoes) {
    TestNode a(runtime_, 1, "n1", "s1");
    TestNode b(runtime_, 2, "n1", "s1");
    const auto first = connect(runtime_, a, b);
    connect(runtime_, a, b);
    runtime_.run_for(1s);
    first.client->close();
    runtime_.run_for(1s);
    EXPECT_EQ(a.events, "+2 ");
    EXPECT_EQ(a.table.state(first.client_conn), PeerTable::ConnState::none);
    EXPECT_TRUE(a.table.has(PeerId(2)));
    stop(a);
    stop(b);
}

// Sends one data packet and says which of the tunnels carried it.
std::size_t carrier(
    rt::Runtime& runtime, TestNode& node, PeerId to, const std::vector<Connected>& conns
) {
    PacketBatch batch(runtime.now());
    PacketBuf packet = node.pool.copy(as_view("data"));
    packet.push_front<PeerHeader>()->type = static_cast<std::uint8_t>(PacketType::data);
    batch.push(std::move(packet));
    std::vector<std::size_t> before;
    before.reserve(conns.size());
    for (const Connected& conn : conns)
        before.push_back(conn.client->sent.size());
    EXPECT_TRUE(node.table.send(to, std::move(batch)));
    for (std::size_t i = 0; i < conns.size(); ++i) {
        if (conns[i].client->sent.size() != before[i]) return i;
    }
    return conns.size();
}

TEST_F(PeerTest, OfSeveralConnectionsTheFastestCarriesWhatWeSend) {
    TestNode a(runtime_, 1, "n1", "s1");
    TestNode b(runtime_, 2, "n1", "s1");
    std::vector<Connected> conns;
    for (const Duration delay : {40ms, 10ms, 25ms}) {
        conns.push_back(connect(runtime_, a, b));
        conns.back().client->delay = delay;
    }
    runtime_.run_for(7s);
    EXPECT_EQ(a.table.latency(PeerId(2)), 20ms);
    EXPECT_EQ(carrier(runtime_, a, PeerId(2), conns), 1U);
    // What the other side sends is its own choice, and everything that comes is taken.
    EXPECT_EQ(a.events, "+2 ");
    stop(a);
    stop(b);
}

TEST_F(PeerTest, AConnectionWhosePingsAreLostIsAvoidedBeforeItIsClosed) {
    TestNode a(runtime_, 1, "n1", "s1");
    TestNode b(runtime_, 2, "n1", "s1");
    std::vector<Connected> conns;
    for (const Duration delay : {10ms, 30ms}) {
        conns.push_back(connect(runtime_, a, b));
        conns.back().client->delay = delay;
    }
    runtime_.run_for(7s);
    ASSERT_EQ(carrier(runtime_, a, PeerId(2), conns), 0U);
    conns[0].server->mute = true;
    // What is sent and not answered brings the next ping at once; it waits 2 s.
    for (int i = 0; i < 2; ++i) {
        ASSERT_EQ(carrier(runtime_, a, PeerId(2), conns), 0U);
        runtime_.run_for(1s);
    }
    runtime_.run_for(3s);
    EXPECT_EQ(a.table.state(conns[0].client_conn), PeerTable::ConnState::open);
    EXPECT_EQ(carrier(runtime_, a, PeerId(2), conns), 1U);
    // An answer ends the doubt.
    conns[0].server->mute = false;
    runtime_.run_for(10s);
    EXPECT_EQ(carrier(runtime_, a, PeerId(2), conns), 0U);
    stop(a);
    stop(b);
}

TEST_F(PeerTest, ADeadConnectionInUseIsClosedWithinThePingsLimit) {
    TestNode a(runtime_, 1, "n1", "s1");
    TestNode b(runtime_, 2, "n1", "s1");
    std::vector<Connected> conns{connect(runtime_, a, b)};
    runtime_.run_for(100s);  // pings are 16 s or more apart by now
    conns[0].server->mute = true;
    for (int second = 0; second < 13 && a.table.has(PeerId(2)); ++second) {
        (void)carrier(runtime_, a, PeerId(2), conns);
        runtime_.run_for(1s);
    }
    EXPECT_FALSE(a.table.has(PeerId(2)));
    stop(b);
}

TEST_F(PeerTest, ACheckFindsADeadConnectionWithinASecond) {
    TestNode a(runtime_, 1, "n1", "s1");
    TestNode b(runtime_, 2, "n1", "s1");
    const auto conns = connect(runtime_, a, b);
    runtime_.run_for(100s);  // pings are 16 s or more apart by now
    conns.server->mute = true;
    conns.client->sent.clear();
    a.table.check_alive(PeerId(2));
    runtime_.run_for(990ms);
    EXPECT_EQ(a.table.state(conns.client_conn), PeerTable::ConnState::open);
    EXPECT_EQ(conns.client->sent.size(), 4U);
    runtime_.run_for(20ms);
    EXPECT_FALSE(a.table.has(PeerId(2)));
    EXPECT_EQ(
        a.table.end_reason(conns.client_conn).message(),
        "the neighbour did not answer when its place was in doubt"
    );
    stop(b);
}

TEST_F(PeerTest, ACheckOfALiveConnectionEndsWithItsFirstPacket) {
    TestNode a(runtime_, 1, "n1", "s1");
    TestNode b(runtime_, 2, "n1", "s1");
    const auto conns = connect(runtime_, a, b);
    runtime_.run_for(100s);
    conns.client->sent.clear();
    for (int i = 0; i < 59; ++i) {
        a.table.check_alive(PeerId(2));
        a.table.check_alive(PeerId(3));  // nobody
        runtime_.run_for(1s);
    }
    EXPECT_TRUE(a.table.has(PeerId(2)));
    // One check in a minute, of one ping; the others are of the schedule and of the other side.
    EXPECT_LE(conns.client->sent.size(), 10U);
    EXPECT_EQ(a.table.latency(PeerId(2)), 20ms);
    stop(a);
    stop(b);
}

TEST_F(PeerTest, ACheckWaitsForALongWay) {
    TestNode a(runtime_, 1, "n1", "s1");
    TestNode b(runtime_, 2, "n1", "s1");
    const auto conns = connect(runtime_, a, b);
    conns.client->delay = 1400ms;
    runtime_.run_for(100s);
    a.table.check_alive(PeerId(2));
    runtime_.run_for(10s);
    EXPECT_TRUE(a.table.has(PeerId(2)));
    stop(a);
    stop(b);
}

TEST_F(PeerTest, HandshakesInProgressAreBounded) {
    TestNode b(runtime_, 2, "n1", "s1");
    std::vector<std::unique_ptr<TestTunnel>> strangers;
    for (int i = 0; i < 300; ++i) {
        auto [a_end, b_end] = TestTunnel::pair(runtime_);
        b.table.add(std::move(b_end), Role::server);
        strangers.push_back(std::move(a_end));
    }
    EXPECT_EQ(b.table.counters().handshakes_over_limit, 300 - 256);
    stop(b);
}

// The full frame of 1-link.md section 4.2, without features, as our own client sends it.
TEST(Handshake, MatchesTheWorkedExample) {
    packet::PacketPool pool;
    PeerOptions options{
        .my_id = PeerId(0x01020304),
        .network_name = "default",
        .network_digest = digest_of("default", "test123")
    };
    const PacketBuf hello = build_hello(pool, options, options.my_id, options.network_digest);
    EXPECT_EQ(
        to_hex(hello.bytes()),
        "0403020100000000020001003800000008e1cb868f0d10848688081801"
        "2a0764656661756c743220ae39d6ff816ae0ee66cff76a5c8c23907222de03f7e1209cc89fb358db056941"
    );
    const Hello parsed = parse_hello(hello.bytes().subspan(16)).value();
    EXPECT_EQ(parsed.peer, PeerId(0x01020304));
    EXPECT_EQ(parsed.network_name, "default");
}

TEST(Pinger, SlowsDownWhileAllIsWellAndSpeedsUpWhenNothingComesBack) {
    rt::Rng rng(1);
    Pinger pinger(rng);
    TimePoint now{};
    std::uint64_t rx = 0;
    std::vector<long> gaps;
    TimePoint last{};
    for (int tick = 0; tick < 200; ++tick, now += 1s) {
        const auto decision = pinger.on_tick(now, ++rx, 0);
        ASSERT_FALSE(decision.dead);
        if (!decision.ping) continue;
        gaps.push_back((now - last) / 1s);
        last = now;
        pinger.on_pong(*decision.ping, now + 5ms);
    }
    EXPECT_THAT(std::span(gaps).first(5), testing::ElementsAre(0, 2, 4, 8, 16));
    EXPECT_EQ(pinger.latency(), 5ms);
    EXPECT_EQ(pinger.loss_rate(), 0);
    // Packets go out, none come in: a ping goes out at the next tick.
    EXPECT_TRUE(pinger.on_tick(now, rx, 100).ping);
}

TEST(Pinger, IsSilentWhenNothingAtAllCameWhileTwoPingsWaited) {
    rt::Rng rng(1);
    Pinger pinger(rng);
    TimePoint now{};
    ASSERT_TRUE(pinger.on_tick(now, 5, 0).ping);
    EXPECT_FALSE(pinger.silent());
    pinger.on_tick(now + 2s, 6, 0);
    EXPECT_TRUE(pinger.in_doubt());
    EXPECT_FALSE(pinger.silent()) << "something came";
    pinger.on_tick(now + 4s, 6, 0);
    EXPECT_FALSE(pinger.silent()) << "one ping";
    pinger.on_tick(now + 6s, 6, 0);
    EXPECT_TRUE(pinger.silent());
    pinger.on_tick(now + 7s, 7, 0);
    EXPECT_FALSE(pinger.silent()) << "something comes again";
}

TEST(Pinger, FiveLostPingsAreTheEnd) {
    rt::Rng rng(1);
    Pinger pinger(rng);
    TimePoint now{};
    int ticks = 0;
    while (!pinger.on_tick(now, 0, 0).dead) {
        now += 1s;
        ASSERT_LT(++ticks, 30);
    }
    EXPECT_EQ(now - TimePoint{}, 10s);
    EXPECT_EQ(pinger.loss_rate(), 1);
}

}  // namespace
}  // namespace selvage::peer
