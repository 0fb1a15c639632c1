// Tests of routing as it runs: real RPC endpoints, packets forwarded hop by hop by the tables,
// virtual time.
#include "route/route_service.h"

#include "rt/virtual_runtime.h"

namespace selvage::route {
namespace {

class Mesh;

// A node: endpoint, routing, and a port that knows the way by the node's own table.
class Node final : public rpc::PacketPort {
public:
    Node(Mesh& mesh, std::uint32_t id);
    void send(PeerId to, packet::PacketType type, packet::PacketBuf&& message) override;

    Mesh& mesh;
    PeerId id;
    rpc::ServiceTable services;
    rpc::RpcEndpoint endpoint;
    RouteService routing;
};

class Mesh {
public:
    ~Mesh() {
        for (auto& [id, node] : nodes)
            stop(*node);
        runtime.run_ready();
        EXPECT_EQ(pool.in_use(), 0U);
    }
    Node& add(std::uint32_t id) {
        auto& slot = nodes[PeerId(id)];
        slot = std::make_unique<Node>(*this, id);
        slot->routing.start();
        return *slot;
    }
    void link(std::uint32_t a, std::uint32_t b) {
        at(a).routing.neighbour_up(PeerId(b));
        at(b).routing.neighbour_up(PeerId(a));
        at(a).routing.neighbour_latency(PeerId(b), 7ms);
        at(b).routing.neighbour_latency(PeerId(a), 7ms);
    }
    void kill(std::uint32_t id) {
        stop(at(id));
        nodes.erase(PeerId(id));
        for (auto& [other, node] : nodes)
            node->routing.neighbour_down(PeerId(id));
    }
    Node& at(std::uint32_t id) { return *nodes.at(PeerId(id)); }
    void stop(Node& node) {
        runtime.run(node.routing.stop());
        runtime.run(node.endpoint.close());
    }

    // A packet at `where`, on its way from `from` to `to`.
    void forward(
        PeerId where, PeerId from, PeerId to, packet::PacketType type, Bytes bytes, int hops
    ) {
        const auto node = nodes.find(where);
        if (node == nodes.end() || hops > 7) return;
        ++packets;
        if (where == to) {
            node->second->endpoint.on_packet(from, type, bytes);
            return;
        }
        const auto next = node->second->routing.table()->next_hop(to, Policy::least_hop);
        if (!next) return;
        runtime.timers().at(
            runtime.now() + 1ms, [this, next = *next, from, to, type, bytes = std::move(bytes),
                                  hops] { forward(next, from, to, type, bytes, hops + 1); }
        );
    }

    rt::VirtualRuntime runtime{5};
    packet::PacketPool pool;
    std::map<PeerId, std::unique_ptr<Node>> nodes;
    std::uint64_t packets = 0;
};

RouteOptions options_for(std::uint32_t id) {
    RouteOptions options;
    options.self = PeerId(id);
    options.network_name = "net1";
    options.own.hostname = "n" + std::to_string(id);
    options.own.ipv4 = Prefix{IpAddress::v4(10, 144, 0, static_cast<std::uint8_t>(id)), 24};
    return options;
}

Node::Node(Mesh& m, std::uint32_t raw)
    : mesh(m),
      id(raw),
      endpoint(m.runtime, m.pool, *this, services, id, {}, Log()),
      routing(m.runtime, endpoint, services, options_for(raw), Log()) {}

void Node::send(PeerId to, packet::PacketType type, packet::PacketBuf&& message) {
    mesh.forward(id, id, to, type, Bytes(message.bytes().begin(), message.bytes().end()), 1);
}

bool knows_all(Mesh& mesh, std::uint32_t count) {
    for (auto& [id, node] : mesh.nodes) {
        const auto table = node->routing.table();
        if (static_cast<std::size_t>(std::ranges::count_if(
                table->entries(),
                [](const RouteEntry& entry) { return entry.least_hop.has_value(); }
            )) != count) {
            return false;
        }
    }
    return true;
}

TEST(RouteService, ALineConvergesWithinASecond) {
    Mesh mesh;
    for (std::uint32_t id = 1; id <= 5; ++id)
        mesh.add(id);
    for (std::uint32_t id = 1; id < 5; ++id)
        mesh.link(id, id + 1);
    EXPECT_TRUE(mesh.runtime.run_until([&] { return knows_all(mesh, 5); }, 1s));
    EXPECT_EQ(mesh.at(1).routing.table()->peer_for(IpAddress::v4(10, 144, 0, 5)), PeerId(5));
}

TEST(RouteService, ADeathIsKnownEverywhereWithinASecondAndANewNodeTakesItsPlace) {
    Mesh mesh;
    for (std::uint32_t id = 1; id <= 4; ++id)
        mesh.add(id);
    for (std::uint32_t id = 1; id < 4; ++id)
        mesh.link(id, id + 1);
    mesh.link(4, 1);
    ASSERT_TRUE(mesh.runtime.run_until([&] { return knows_all(mesh, 4); }, 2s));
    mesh.runtime.run_for(100s);
    mesh.kill(2);
    EXPECT_TRUE(mesh.runtime.run_until([&] { return knows_all(mesh, 3); }, 1s));
    EXPECT_EQ(mesh.at(1).routing.table()->next_hop(PeerId(3), Policy::least_hop), PeerId(4));
    mesh.add(9);
    mesh.link(1, 9);
    mesh.link(9, 3);
    EXPECT_TRUE(mesh.runtime.run_until([&] { return knows_all(mesh, 4); }, 2s));
}

TEST(RouteService, LatenciesReachEverybodyThroughThePeerCenter) {
    Mesh mesh;
    for (std::uint32_t id = 1; id <= 3; ++id)
        mesh.add(id);
    mesh.link(3, 2);
    mesh.link(2, 1);
    EXPECT_TRUE(mesh.runtime.run_until([&] { return knows_all(mesh, 3); }, 1s));
    EXPECT_EQ(mesh.at(3).routing.table()->find(PeerId(1))->least_hop->latency_ms, 1000U);
    EXPECT_EQ(mesh.at(3).routing.peer_center_leader(), PeerId(1));
    mesh.runtime.run_for(40s);
    EXPECT_EQ(mesh.at(3).routing.table()->find(PeerId(1))->least_hop->latency_ms, 14U);
    EXPECT_EQ(mesh.at(1).routing.table()->find(PeerId(3))->least_hop->latency_ms, 14U);
}

TEST(RouteService, ALeaderThatDiesIsReplaced) {
    Mesh mesh;
    for (std::uint32_t id = 1; id <= 4; ++id)
        mesh.add(id);
    mesh.link(4, 3);
    mesh.link(3, 2);
    mesh.link(4, 1);
    mesh.runtime.run_for(40s);
    mesh.kill(1);
    mesh.runtime.run_for(40s);
    EXPECT_EQ(mesh.at(4).routing.peer_center_leader(), PeerId(2));
    EXPECT_EQ(mesh.at(4).routing.table()->find(PeerId(2))->least_hop->latency_ms, 14U);
}

TEST(RouteService, AQuietNetworkIsQuiet) {
    Mesh mesh;
    for (std::uint32_t id = 1; id <= 3; ++id)
        mesh.add(id);
    mesh.link(1, 2);
    mesh.link(2, 3);
    mesh.runtime.run_for(60s);
    const std::uint64_t before = mesh.packets;
    mesh.runtime.run_for(60s);
    // Keepalives of three initiators, one report and four fetches of the two that do not lead;
    // each call is a request and a reply, counted at every node that they visit.
    EXPECT_LT(mesh.packets - before, 130U);
}

TEST(RouteService, OtherServicesAreAnsweredAsUnknown) {
    Mesh mesh;
    mesh.add(1);
    mesh.add(2);
    mesh.link(1, 2);
    mesh.runtime.run_for(1s);
    for (const auto* service :
         {"DirectConnectorRpc", "UdpHolePunchRpc", "TcpHolePunchRpc", "PublicIpv6AddrRpc"}) {
        const rpc::Descriptor target{.domain = "net1", .service = service, .method = 1};
        const auto reply = mesh.runtime.run(mesh.at(1).endpoint.call(PeerId(2), target, {}, 5s));
        EXPECT_TRUE(reply.error().is(Errc::not_found)) << service;
    }
    const rpc::Descriptor unknown_method{.domain = "net1", .service = "PeerCenterRpc", .method = 3};
    EXPECT_TRUE(mesh.runtime.run(mesh.at(1).endpoint.call(PeerId(2), unknown_method, {}, 5s))
                    .error()
                    .is(Errc::unsupported));
    const rpc::Descriptor report{.domain = "net1", .service = "PeerCenterRpc", .method = 1};
    const auto forged = mesh.runtime.run(
        mesh.at(1).endpoint.call(PeerId(2), report, build_report(PeerId(9), {}), 5s)
    );
    EXPECT_TRUE(forged.error().is(Errc::refused)) << "a report about somebody else";
}

TEST(RouteService, ANeighbourThatNeverAnswersDoesNotHoldUpTheOthers) {
    Mesh mesh;
    for (std::uint32_t id = 1; id <= 3; ++id)
        mesh.add(id);
    mesh.at(2).routing.neighbour_up(PeerId(99));  // nobody there
    mesh.link(1, 2);
    mesh.link(2, 3);
    EXPECT_TRUE(mesh.runtime.run_until([&] { return knows_all(mesh, 3); }, 3s));
    mesh.runtime.run_for(60s);
    EXPECT_TRUE(knows_all(mesh, 3));
}

TEST(RouteService, EqualSeedsGiveEqualRuns) {
    std::vector<std::uint64_t> packets;
    for (int run = 0; run < 2; ++run) {
        Mesh mesh;
        for (std::uint32_t id = 1; id <= 6; ++id)
            mesh.add(id);
        for (std::uint32_t id = 1; id < 6; ++id)
            mesh.link(id, id + 1);
        mesh.runtime.run_for(30s);
        mesh.kill(3);
        mesh.runtime.run_for(100s);
        packets.push_back(mesh.packets);
    }
    EXPECT_EQ(packets[0], packets[1]);
}

}  // namespace
}  // namespace selvage::route
