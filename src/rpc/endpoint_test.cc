// Tests of calls between endpoints that are wired together in memory.
#include "rpc/endpoint.h"

#include "common.pb.h"
#include "rt/virtual_runtime.h"

namespace selvage::rpc {
namespace {

class Echo final : public Service {
public:
    explicit Echo(rt::Runtime& runtime) : runtime_(runtime) {}
    rt::Task<Result<Bytes>> call(Caller caller, std::uint32_t method, Bytes request) override {
        last_peer = caller.peer;
        ++running;
        most_running = std::max(most_running, running);
        switch (method) {
            case 1:
                break;
            case 2:
                co_await rt::sleep_for(runtime_, 10s);
                break;
            case 3:
                --running;
                co_return Error(Errc::denied, "not for you");
            case 4:
                --running;
                co_return Errc::malformed;
            default:
                --running;
                co_return Errc::unsupported;
        }
        --running;
        co_return request;
    }
    PeerId last_peer;
    int running = 0;
    int most_running = 0;

private:
    rt::Runtime& runtime_;
};

// Delivers packets to the endpoints of a small world, perhaps in another order, perhaps not.
class Wire final : public PacketPort {
public:
    explicit Wire(rt::Runtime& runtime) : runtime_(runtime) {}

    void send(PeerId to, packet::PacketType type, packet::PacketBuf&& message) override {
        sent.push_back(
            {.to = to, .type = type, .bytes = Bytes(message.bytes().begin(), message.bytes().end())}
        );
        if (!held) runtime_.post([this] { deliver_all(); });
    }
    void deliver_all() {
        while (!sent.empty())
            deliver(0);
    }
    void deliver(std::size_t index) {
        const Packet packet = std::move(sent[index]);
        sent.erase(sent.begin() + static_cast<std::ptrdiff_t>(index));
        common::RpcPacket parsed;
        const bool ok =
            parsed.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size()));
        const PeerId from = ok ? PeerId(parsed.from_peer()) : PeerId(99);
        if (const auto at = endpoints.find(packet.to); at != endpoints.end()) {
            at->second->on_packet(from, packet.type, packet.bytes);
        }
    }

    struct Packet {
        PeerId to;
        packet::PacketType type;
        Bytes bytes;
    };
    std::vector<Packet> sent;
    std::map<PeerId, RpcEndpoint*> endpoints;
    bool held = false;

private:
    rt::Runtime& runtime_;
};

constexpr PeerId kA{1001};
constexpr PeerId kB{2002};
const Descriptor kEcho{.domain = "net1", .service = "EchoRpc", .method = 1};

struct World {
    rt::VirtualRuntime runtime;
    packet::PacketPool pool;
    Wire wire{runtime};
    ServiceTable services;
    Echo echo{runtime};
    RpcOptions options;
    std::unique_ptr<RpcEndpoint> a;
    std::unique_ptr<RpcEndpoint> b;

    explicit World(RpcOptions limits = {}) : options(limits) {
        services.add("net1", "EchoRpc", echo);
        a = std::make_unique<RpcEndpoint>(runtime, pool, wire, services, kA, options, Log());
        b = std::make_unique<RpcEndpoint>(runtime, pool, wire, services, kB, options, Log());
        wire.endpoints = {{kA, a.get()}, {kB, b.get()}};
    }
    ~World() {
        runtime.run(a->close());
        runtime.run(b->close());
        EXPECT_EQ(pool.in_use(), 0U);
    }
    Result<Bytes> call(std::uint32_t method, Bytes request, Duration timeout = 3s) {
        Descriptor target = kEcho;
        target.method = method;
        return runtime.run(a->call(kB, target, std::move(request), timeout));
    }
};

Bytes noise(std::size_t size) {
    rt::Rng rng(7);
    Bytes out(size);
    for (auto& byte : out)
        byte = static_cast<std::uint8_t>(rng.next());
    return out;
}

TEST(RpcEndpoint, ReturnsWhatTheServiceAnswered) {
    World w;
    EXPECT_EQ(w.call(1, Bytes{1, 2, 3}).value(), (Bytes{1, 2, 3}));
    EXPECT_EQ(w.echo.last_peer, kA);
    EXPECT_EQ(w.call(1, {}).value(), Bytes{});
}

TEST(RpcEndpoint, CarriesLongMessagesInPiecesBothWays) {
    World w;
    const Bytes incompressible = noise(300'000);
    EXPECT_EQ(w.call(1, incompressible).value(), incompressible);
}

TEST(RpcEndpoint, CompressesOnlyAfterThePeerSaidThatItCanExpand) {
    World w;
    w.wire.held = true;
    rt::TaskScope scope(w.runtime, Log());
    const auto start = [&]() -> std::size_t {
        scope.spawn("call", [](World& world) -> rt::Task<> {
            (void)co_await world.a->call(kB, kEcho, Bytes(20'000, 7), 3s);
        }(w));
        w.runtime.run_ready();
        const std::size_t pieces = w.wire.sent.size();
        for (int i = 0; i < 4; ++i) {
            w.wire.deliver_all();
            w.runtime.run_for(10ms);
        }
        return pieces;
    };
    EXPECT_EQ(start(), 17U) << "the first request must be uncompressed";
    EXPECT_EQ(start(), 1U) << "the second one can be compressed";
    w.runtime.run_for(130s);
    EXPECT_EQ(start(), 17U) << "what a peer can do is forgotten after 120 s";
    EXPECT_TRUE(scope.empty());
}

TEST(RpcEndpoint, EachFailureHasItsCode) {
    World w;
    EXPECT_TRUE(w.call(3, {}).error().is(Errc::refused));
    EXPECT_NE(w.call(3, {}).error().message().find("not for you"), std::string::npos);
    EXPECT_TRUE(w.call(4, {}).error().is(Errc::malformed));
    EXPECT_TRUE(w.call(9, {}).error().is(Errc::unsupported));
    EXPECT_TRUE(w.call(0, {}).error().is(Errc::unsupported));
    EXPECT_EQ(w.call(257, Bytes{5}).value(), Bytes{5}) << "method numbers count modulo 256";
    Descriptor unknown = kEcho;
    unknown.service = "NoSuchRpc";
    EXPECT_TRUE(w.runtime.run(w.a->call(kB, unknown, {}, 3s)).error().is(Errc::not_found));
    unknown = kEcho;
    unknown.domain = "net2";
    EXPECT_TRUE(w.runtime.run(w.a->call(kB, unknown, {}, 3s)).error().is(Errc::not_found));
    EXPECT_EQ(w.b->stats().unknown_services, 2U);
}

TEST(RpcEndpoint, ACallerThatIsNotThereTimesOut) {
    World w;
    const TimePoint start = w.runtime.now();
    const auto result = w.runtime.run(w.a->call(PeerId(3003), kEcho, {}, 3s));
    EXPECT_TRUE(result.error().is(Errc::timed_out));
    EXPECT_EQ(w.runtime.now() - start, 3s);
    EXPECT_EQ(w.a->stats().calls_timed_out, 1U);
}

TEST(RpcEndpoint, AHandlerThatTakesTooLongIsCancelledAndReported) {
    World w;
    Descriptor slow = kEcho;
    slow.method = 2;
    // The server gives up after the caller's own limit; the caller sees whichever comes first.
    EXPECT_TRUE(w.call(2, {}, 3s).error().is(Errc::timed_out));
    w.runtime.run_for(1s);
    EXPECT_EQ(w.b->active_requests(), 0U);
    EXPECT_TRUE(w.call(2, {}, 11s).has_value());
}

TEST(RpcEndpoint, PiecesMayArriveInAnyOrderAndTwice) {
    World w;
    w.wire.held = true;
    rt::TaskScope scope(w.runtime, Log());
    const Bytes request = noise(5000);
    Result<Bytes> reply = Errc::internal;
    scope.spawn("call", [](World& world, Bytes body, Result<Bytes>& out) -> rt::Task<> {
        out = co_await world.a->call(kB, kEcho, std::move(body), 3s);
    }(w, request, reply));
    w.runtime.run_ready();
    ASSERT_EQ(w.wire.sent.size(), 5U);
    w.wire.sent.push_back(w.wire.sent[2]);
    while (!w.wire.sent.empty() && w.wire.sent.back().to == kB)
        w.wire.deliver(w.wire.sent.size() - 1);
    w.runtime.run_for(1ms);
    while (!w.wire.sent.empty())
        w.wire.deliver(w.wire.sent.size() / 2);
    w.runtime.run_for(1ms);
    EXPECT_EQ(reply.value(), request);
    EXPECT_TRUE(scope.empty());
}

TEST(RpcEndpoint, RefusesMoreRequestsOfOnePeerThanItsShare) {
    World w({.requests_per_peer = 4});
    rt::TaskScope scope(w.runtime, Log());
    Descriptor slow = kEcho;
    slow.method = 2;
    int refused = 0;
    for (int i = 0; i < 10; ++i) {
        scope.spawn("call", [](World& world, Descriptor target, int& count) -> rt::Task<> {
            auto result = co_await world.a->call(kB, target, {}, 20s);
            if (!result && result.error().is(Errc::refused)) ++count;
        }(w, slow, refused));
    }
    w.runtime.run_for(30s);
    EXPECT_EQ(refused, 6);
    EXPECT_EQ(w.echo.most_running, 4);
    EXPECT_EQ(w.b->stats().requests_refused, 6U);
}

TEST(RpcEndpoint, ClosingCancelsHandlersAndCancellingACallForgetsIt) {
    World w;
    rt::TaskScope scope(w.runtime, Log());
    Descriptor slow = kEcho;
    slow.method = 2;
    scope.spawn("call", [](World& world, Descriptor target) -> rt::Task<> {
        (void)co_await world.a->call(kB, target, {}, 20s);
        ADD_FAILURE() << "a cancelled call must not return";
    }(w, slow));
    w.runtime.run_for(1s);
    EXPECT_EQ(w.b->active_requests(), 1U);
    w.runtime.run(scope.close());
    w.runtime.run(w.b->close());
    EXPECT_EQ(w.b->active_requests(), 0U);
}

struct Hostile {
    std::string name;
    std::function<void(common::RpcPacket&)> change;
    std::uint64_t malformed = 0;
    std::uint64_t wrong_ids = 0;
    std::uint64_t answers = 0;
};

TEST(RpcEndpoint, HostilePacketsAreCountedAndNeverHarm) {
    const std::vector<Hostile> inputs{
        {"no descriptor in piece 0", [](auto& p) { p.clear_descriptor(); }, 1, 0, 0},
        {"index beyond the total", [](auto& p) { p.set_total_pieces(2), p.set_piece_idx(2); }, 1, 0,
         0},
        {"total 0 with an index", [](auto& p) { p.set_total_pieces(0), p.set_piece_idx(1); }, 1, 0,
         0},
        {"total 2^32-1", [](auto& p) { p.set_total_pieces(0xffffffff); }, 1, 0, 0},
        {"says that it is a reply", [](auto& p) { p.set_is_request(false); }, 1, 0, 0},
        {"from somebody else", [](auto& p) { p.set_from_peer(5); }, 0, 1, 0},
        {"to somebody else", [](auto& p) { p.set_to_peer(5); }, 0, 1, 0},
        {"very old form of one piece", [](auto& p) { p.set_total_pieces(0); }, 0, 0, 1},
        {"compression 0", [](auto& p) { p.mutable_compression_info(); }, 0, 0, 1},
        {"compression 9",
         [](auto& p) { (void)p.mutable_compression_info()->ParseFromString("\x08\x09"); }, 0, 0, 1},
        {"zstd that is none",
         [](auto& p) {
             p.mutable_compression_info()->set_algo(common::Zstd), p.set_body("garbage");
         },
         0, 0, 1},
        {"body that is no request", [](auto& p) { p.set_body("\xff\xff"); }, 0, 0, 1},
    };
    for (const Hostile& input : inputs) {
        SCOPED_TRACE(input.name);
        World w;
        w.wire.held = true;
        common::RpcPacket packet;
        packet.set_from_peer(kA.raw());
        packet.set_to_peer(kB.raw());
        packet.set_transaction_id(1);
        packet.mutable_descriptor()->set_domain_name("net1");
        packet.mutable_descriptor()->set_service_name("EchoRpc");
        packet.mutable_descriptor()->set_proto_name("EchoRpc");
        packet.mutable_descriptor()->set_method_index(1);
        packet.set_is_request(true);
        packet.set_total_pieces(1);
        input.change(packet);
        const std::string wire = packet.SerializeAsString();
        w.b->on_packet(kA, packet::PacketType::rpc_request, as_view(wire));
        w.runtime.run_ready();
        EXPECT_EQ(w.b->stats().dropped_malformed, input.malformed);
        EXPECT_EQ(w.b->stats().dropped_wrong_ids, input.wrong_ids);
        EXPECT_EQ(w.wire.sent.size(), input.answers);
    }
}

TEST(RpcEndpoint, RandomBytesAndUnaskedRepliesAreDropped) {
    World w;
    rt::Rng rng(3);
    for (int i = 0; i < 2000; ++i) {
        Bytes bytes(rng.below(64));
        for (auto& byte : bytes)
            byte = static_cast<std::uint8_t>(rng.next());
        w.b->on_packet(kA, packet::PacketType::rpc_request, bytes);
        w.b->on_packet(kA, packet::PacketType::rpc_response, bytes);
        w.b->on_packet(kA, packet::PacketType::data, bytes);
    }
    w.runtime.run_for(20s);
    EXPECT_EQ(w.call(1, Bytes{1}).value(), Bytes{1});
}

}  // namespace
}  // namespace selvage::rpc
