// The tcp and udp transports over simulated sockets: whole packets in, the same packets out, on
// good and bad links, and a clean end when the other host goes.
#include <gtest/gtest.h>

#include "packet/peer_header.h"
#include "seeds.h"
#include "sim/world.h"
#include "tunnel/transport.h"

namespace selvage::sim {
namespace {

using packet::PacketType;

class Sink final : public tunnel::TunnelSink {
public:
    void on_packets(packet::PacketBatch&& batch) override {
        for (packet::PacketBuf& packet : batch) {
            const auto* header = packet.header<packet::PeerHeader>();
            const std::uint32_t number = header->from_peer;
            intact = intact && packet.size() == size_of(number);
            for (const std::uint8_t byte : packet.bytes().subspan(sizeof *header))
                intact = intact && byte == static_cast<std::uint8_t>(number);
            numbers.push_back(number);
        }
    }
    void on_closed(const Error& error) override {
        ++closed;
        reason = error.message();
    }
    static std::size_t size_of(std::uint32_t number) {
        return sizeof(packet::PeerHeader) + number * 37 % 1300;
    }

    std::vector<std::uint32_t> numbers;
    bool intact = true;
    int closed = 0;
    std::string reason;
};

// One end: a host with its transports.
struct Side {
    explicit Side(Host& h) : host(h), context{h.runtime(), h, h.pool(), {}, h.log()} {}
    // Packet `number` as Sink expects it.
    void send(std::uint32_t number, PacketType type = PacketType::data) {
        packet::PacketBatch batch(host.runtime().now());
        packet::PacketBuf packet = host.pool().take();
        auto* header = packet.push_front<packet::PeerHeader>();
        header->from_peer = number;
        header->type = static_cast<std::uint8_t>(type);
        const std::size_t payload = Sink::size_of(number) - sizeof *header;
        header->payload_len = static_cast<std::uint32_t>(payload);
        if (payload > 0) std::memset(packet.push_back(payload), static_cast<int>(number), payload);
        batch.push(std::move(packet));
        tunnel->send(std::move(batch));
    }
    void end(World& world) {
        if (tunnel) tunnel->close();
        world.run_for(1s);
        tunnel.reset();
        if (acceptor) acceptor->close();
        acceptor.reset();
        world.run(context.tasks.close());
        world.run_for(30s);
        EXPECT_EQ(host.pool().in_use(), 0U);
    }

    Host& host;
    tunnel::TransportContext context;
    tunnel::TunnelAcceptorPtr acceptor;
    tunnel::TunnelPtr tunnel;
    Sink sink;
};

struct Pair {
    Pair(World& w, const std::string& scheme_, const LinkOptions& link)
        : world(w), scheme(scheme_), client(w.add_host("client")), server(w.add_host("server")) {
        world.link(client.host, server.host, link);
    }
    void open() {
        const auto* spec = tunnel::find_transport(scheme);
        ASSERT_NE(spec, nullptr);
        server.acceptor =
            spec->listen(server.context, tunnel::Url::parse(scheme + "://0.0.0.0:11010").value())
                .value();
        server.host.tasks().spawn("accept", accept_one(server));
        const auto url =
            tunnel::Url::parse(fmt::format("{}://{}:11010", scheme, server.host.address())).value();
        auto connected = world.run(spec->connect(client.context, url, server.host.address()));
        ASSERT_TRUE(connected) << connected.error().message();
        client.tunnel = std::move(*connected);
        client.tunnel->start(client.sink);
    }
    static rt::Task<> accept_one(Side& side) {
        auto accepted = co_await side.acceptor->accept();
        if (!accepted) co_return;
        side.tunnel = std::move(*accepted);
        side.tunnel->start(side.sink);
    }
    void end() {
        client.end(world);
        server.end(world);
    }
    World& world;
    std::string scheme;
    Side client;
    Side server;
};

class Tunnels : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Schemes, Tunnels, testing::Values("tcp", "udp"), [](const auto& param) {
    return std::string(param.param);
});

TEST_P(Tunnels, CarryWholePacketsBothWays) {
    for_seeds(
        [](World& world) {
            Pair pair(world, GetParam(), {.delay = 10ms, .jitter = 3ms});
            pair.open();
            for (std::uint32_t i = 1; i <= 500; ++i) {
                pair.client.send(i);
                if (i == 1) world.run_for(100ms);  // lets the server accept
                if (pair.server.tunnel) pair.server.send(i + 1000, PacketType::rpc_request);
                world.run_for(1ms);
            }
            world.run_for(1s);
            EXPECT_EQ(pair.server.sink.numbers.size(), 500U);
            EXPECT_EQ(pair.client.sink.numbers.size(), 500U);
            EXPECT_TRUE(std::ranges::is_sorted(pair.server.sink.numbers));
            EXPECT_TRUE(pair.server.sink.intact);
            EXPECT_TRUE(pair.client.sink.intact);
            pair.end();
        },
        {.seeds = 2, .world = {.hash_payloads = true}}
    );
}

TEST_P(Tunnels, KeepTheirPromisesOnABadLink) {
    for_seeds([](World& world) {
        Pair pair(
            world, GetParam(), {.delay = 10ms, .jitter = 3ms, .loss = 0.03, .reordering = 0.05}
        );
        pair.open();
        pair.client.send(1);
        world.run_until([&] { return pair.server.tunnel != nullptr; }, 10s);
        for (std::uint32_t i = 2; i <= 500; ++i) {
            pair.client.send(i);
            world.run_for(10ms);
        }
        world.run_for(60s);
        EXPECT_TRUE(pair.server.sink.intact);
        if (tunnel::find_transport(GetParam())->traits.reliable) {
            EXPECT_EQ(pair.server.sink.numbers.size(), 500U);
            EXPECT_TRUE(std::ranges::is_sorted(pair.server.sink.numbers));
        } else {
            EXPECT_GT(pair.server.sink.numbers.size(), 450U);
        }
        pair.end();
    });
}

TEST_P(Tunnels, ReportTheirEndExactlyOnce) {
    World world{{.seed = test_seed()}};
    Pair pair(world, GetParam(), {});
    pair.open();
    pair.client.send(1);
    world.run_for(1s);
    pair.client.tunnel->close();
    pair.client.tunnel->close();
    world.run_for(1s);
    EXPECT_EQ(pair.client.sink.closed, 1);
    // Only a stream can tell the other side.
    if (tunnel::find_transport(GetParam())->traits.reliable) {
        EXPECT_EQ(pair.server.sink.closed, 1);
    }
    pair.end();
    EXPECT_EQ(pair.client.sink.closed, 1);
    EXPECT_EQ(pair.server.sink.closed, 1);
}

TEST_P(Tunnels, FailToConnectWithAReason) {
    World world{{.seed = test_seed()}};
    Side client(world.add_host("client"));
    Host& server = world.add_host("server");
    const auto* spec = tunnel::find_transport(GetParam());
    const auto url =
        tunnel::Url::parse(fmt::format("{}://{}:11010", GetParam(), server.address())).value();
    const auto nobody_listens = world.run(spec->connect(client.context, url, server.address()));
    ASSERT_FALSE(nobody_listens);
    EXPECT_FALSE(nobody_listens.error().message().empty());
    client.end(world);
}

TEST(TcpTunnel, EndsWhenTheOtherHostVanishesWithDataUnderWay) {
    World world{{.seed = test_seed()}};
    Pair pair(world, "tcp", {});
    pair.open();
    pair.client.send(1);
    world.run_for(1s);
    pair.server.host.power_off();
    // The kernel takes 256 KiB without an answer; then the write makes no progress.
    for (int turn = 0; turn < 200 && pair.client.sink.closed == 0; ++turn) {
        for (int i = 0; i < 20; ++i)
            pair.client.send(1299);
        world.run_for(50ms);
    }
    EXPECT_EQ(pair.client.sink.closed, 1);
    EXPECT_FALSE(pair.client.sink.reason.empty());
    pair.end();
}

TEST(TcpTunnel, RefusesFramesThatCannotBe) {
    World world{{.seed = test_seed()}};
    Pair pair(world, "tcp", {});
    pair.open();
    auto hostile = world.run(pair.client.host.connect_tcp({pair.server.host.address(), 11010}));
    ASSERT_TRUE(hostile);
    world.run_for(100ms);
    pair.server.host.tasks().spawn("accept", Pair::accept_one(pair.server));
    world.run_for(100ms);
    const Bytes garbage = from_hex("d107000078787878787878787878").value();
    EXPECT_TRUE(world.run((*hostile)->write_all(garbage)));
    world.run_for(1s);
    EXPECT_EQ(pair.server.sink.closed, 1);
    EXPECT_EQ(pair.server.context.stats.bad_frames, 1U);
    pair.end();
}

}  // namespace
}  // namespace selvage::sim
