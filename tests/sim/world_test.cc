// The simulated world itself: links behave as told, sockets as a kernel's, equal seeds run equal.
#include "sim/world.h"

#include <gtest/gtest.h>

#include <numeric>

#include "seeds.h"
#include "sim/pcap.h"

namespace selvage::sim {
namespace {

// Remembers what arrives.
class Collector final : public host::UdpSink {
public:
    explicit Collector(World& world) : world_(world) {}
    void on_datagrams(std::span<host::Datagram> datagrams, TimePoint) override {
        for (host::Datagram& datagram : datagrams) {
            numbers.push_back(datagram.payload.bytes()[0] * 256U + datagram.payload.bytes()[1]);
            times.push_back(world_.now());
            last_remote = datagram.remote;
        }
    }
    std::vector<unsigned> numbers;
    std::vector<TimePoint> times;
    Endpoint last_remote;

private:
    World& world_;
};

void send_number(
    Host& host, host::UdpSocket& socket, Endpoint to, unsigned number, std::size_t bytes = 100
) {
    Bytes payload(bytes);
    payload[0] = static_cast<std::uint8_t>(number >> 8);
    payload[1] = static_cast<std::uint8_t>(number);
    host::Datagram datagram{host.pool().copy(payload), to};
    socket.send({&datagram, 1});
}

// Two hosts with a UDP socket each.
struct UdpPair {
    explicit UdpPair(World& w)
        : world(w),
          a(w.add_host("a")),
          b(w.add_host("b")),
          at_b(w),
          socket_a(a.open_udp({IpAddress(), 1000}, {}).value()),
          socket_b(b.open_udp({IpAddress(), 2000}, {}).value()) {
        socket_b->start(at_b);
    }
    void send(unsigned first, unsigned count, Duration gap = 1ms) {
        for (unsigned i = 0; i < count; ++i) {
            send_number(a, *socket_a, {b.address(), 2000}, first + i);
            world.run_for(gap);
        }
    }
    World& world;
    Host& a;
    Host& b;
    Collector at_b;
    host::UdpSocketPtr socket_a;
    host::UdpSocketPtr socket_b;
};

TEST(Links, DeliverAfterTheirDelayInOrder) {
    for_seeds([](World& world) {
        UdpPair pair(world);
        world.link(pair.a, pair.b, {.delay = 30ms, .jitter = 20ms});
        const TimePoint start = world.now();
        pair.send(0, 200);
        world.run_for(1s);
        ASSERT_EQ(pair.at_b.numbers.size(), 200U);
        EXPECT_TRUE(std::ranges::is_sorted(pair.at_b.numbers));
        EXPECT_GE(pair.at_b.times.front() - start, 30ms);
        EXPECT_LE(pair.at_b.times.back() - start, 30ms + 20ms + 200ms);
        EXPECT_EQ(pair.at_b.last_remote, (Endpoint{pair.a.address(), 1000}));
    });
}

TEST(Links, LoseAboutAsManyAsTold) {
    for_seeds([](World& world) {
        UdpPair pair(world);
        world.link(pair.a, pair.b, {.loss = 0.2});
        pair.send(0, 2000, 10us);
        world.run_for(1s);
        EXPECT_NEAR(static_cast<double>(pair.at_b.numbers.size()), 1600, 100);
        EXPECT_EQ(world.link_one_way(pair.a, pair.b).stats().lost, 2000 - pair.at_b.numbers.size());
    });
}

TEST(Links, ReorderAndDuplicateWhenTold) {
    for_seeds([](World& world) {
        UdpPair pair(world);
        world.link(pair.a, pair.b, {.duplication = 0.1, .reordering = 0.1});
        pair.send(0, 500);
        world.run_for(1s);
        EXPECT_FALSE(std::ranges::is_sorted(pair.at_b.numbers));
        EXPECT_GT(pair.at_b.numbers.size(), 520U);
        const std::set<unsigned> distinct(pair.at_b.numbers.begin(), pair.at_b.numbers.end());
        EXPECT_EQ(distinct.size(), 500U);
    });
}

TEST(Links, HoldBackWhatIsAboveTheirRateAndLoseWhatIsAboveTheirQueue) {
    World world{{.seed = test_seed()}};
    UdpPair pair(world);
    // 128 bytes each with headers: 100 frames a second, 10 of them wait.
    world.link(pair.a, pair.b, {.delay = 0ms, .rate_bytes = 12800, .queue_bytes = 1280});
    const TimePoint start = world.now();
    for (unsigned i = 0; i < 20; ++i)
        send_number(pair.a, *pair.socket_a, {pair.b.address(), 2000}, i);
    world.run_for(1s);
    ASSERT_EQ(pair.at_b.numbers.size(), 10U);
    EXPECT_EQ(pair.at_b.times.back() - start, 100ms);
    EXPECT_EQ(world.link_one_way(pair.a, pair.b).stats().lost_queue_full, 10U);
}

TEST(Links, SwallowDatagramsAboveTheMtuWhereFragmentsDoNotPass) {
    World world{{.seed = test_seed()}};
    UdpPair pair(world);
    world.link(pair.a, pair.b, {.mtu = 1280, .fragments = false});
    send_number(pair.a, *pair.socket_a, {pair.b.address(), 2000}, 1, 1252);
    send_number(pair.a, *pair.socket_a, {pair.b.address(), 2000}, 2, 1253);
    world.run_for(1s);
    EXPECT_EQ(pair.at_b.numbers, std::vector<unsigned>{1});
    world.link(pair.a, pair.b, {.mtu = 1280, .fragments = true});
    send_number(pair.a, *pair.socket_a, {pair.b.address(), 2000}, 3, 1253);
    world.run_for(1s);
    EXPECT_EQ(pair.at_b.numbers, (std::vector<unsigned>{1, 3}));
}

TEST(Partitions, CutOneWayOrBothAndHeal) {
    World world{{.seed = test_seed()}};
    UdpPair pair(world);
    Collector at_a(world);
    pair.socket_a->start(at_a);
    const auto both = [&](unsigned number) {
        send_number(pair.a, *pair.socket_a, {pair.b.address(), 2000}, number);
        send_number(pair.b, *pair.socket_b, {pair.a.address(), 1000}, number);
        world.run_for(100ms);
    };
    both(1);
    world.cut_one_way(pair.a, pair.b);
    both(2);
    world.cut(pair.a, pair.b);
    both(3);
    world.heal(pair.a, pair.b);
    both(4);
    EXPECT_EQ(pair.at_b.numbers, (std::vector<unsigned>{1, 4}));
    EXPECT_EQ(at_a.numbers, (std::vector<unsigned>{1, 2, 4}));
}

TEST(SimUdp, GivesUpBlocksOfThePoolAndDropsWhenThereAreNone) {
    World world{{.seed = test_seed()}};
    Host& a = world.add_host("a");
    Host& b = world.add_host("b", {.addresses = {IpAddress::v4(198, 18, 9, 9)}, .pool_blocks = 4});
    auto from = a.open_udp({a.address(), 0}, {}).value();
    auto to = b.open_udp({IpAddress(), 5}, {}).value();
    struct Keeper final : host::UdpSink {
        void on_datagrams(std::span<host::Datagram> datagrams, TimePoint) override {
            for (auto& datagram : datagrams)
                kept.push_back(std::move(datagram.payload));
        }
        std::vector<packet::PacketBuf> kept;
    } keeper;
    to->start(keeper);
    for (unsigned i = 0; i < 6; ++i)
        send_number(a, *from, {b.address(), 5}, i);
    world.run_for(1s);
    EXPECT_EQ(keeper.kept.size(), 4U);
    EXPECT_EQ(b.udp_dropped(), 2U);
    keeper.kept.clear();
    EXPECT_EQ(b.pool().in_use(), 0U);
    EXPECT_EQ(a.pool().in_use(), 0U);
}

TEST(SimUdp, SpeaksIpv6) {
    World world{{.seed = test_seed()}};
    Host& a = world.add_host("a");
    Host& b = world.add_host("b");
    Collector at_b(world);
    const IpAddress any6 = IpAddress::v6({});
    auto from = a.open_udp({any6, 0}, {}).value();
    auto to = b.open_udp({any6, 7}, {}).value();
    to->start(at_b);
    send_number(a, *from, {b.address6(), 7}, 9);
    world.run_for(1s);
    EXPECT_EQ(at_b.numbers, std::vector<unsigned>{9});
    EXPECT_EQ(at_b.last_remote.address, a.address6());
}

// --- TCP ---

rt::Task<> echo_one(rt::StreamPtr stream) {
    Bytes buffer(5000);
    for (;;) {
        const auto got = co_await stream->read_some(buffer);
        if (!got || *got == 0) break;
        if (!co_await stream->write_all(std::span(buffer).first(*got))) break;
    }
    (void)stream->shutdown_write();
}

rt::Task<> echo_server(Host& host, rt::AcceptorPtr acceptor) {
    for (;;) {
        auto stream = co_await acceptor->accept();
        if (!stream) co_return;
        host.tasks().spawn("echo", echo_one(std::move(*stream)));
    }
}

rt::Task<> write_pattern(rt::Stream& stream, std::size_t bytes) {
    Bytes chunk(7777);
    std::size_t sent = 0;
    while (sent < bytes) {
        const std::size_t count = std::min(chunk.size(), bytes - sent);
        for (std::size_t i = 0; i < count; ++i)
            chunk[i] = static_cast<std::uint8_t>((sent + i) * 31 >> 3);
        if (!co_await stream.write_all(ByteView(chunk).first(count))) co_return;
        sent += count;
    }
    (void)stream.shutdown_write();
}

// How many bytes of the pattern came back, and whether all were right and the end clean.
struct PatternSeen {
    std::size_t bytes = 0;
    bool intact = true;
    bool clean_end = false;
};
rt::Task<> read_pattern(rt::Stream& stream, PatternSeen& seen) {
    Bytes buffer(3001);
    for (;;) {
        const auto got = co_await stream.read_some(buffer);
        if (!got) co_return;
        if (*got == 0) break;
        for (std::size_t i = 0; i < *got; ++i) {
            const auto wanted = static_cast<std::uint8_t>((seen.bytes + i) * 31 >> 3);
            seen.intact = seen.intact && buffer[i] == wanted;
        }
        seen.bytes += *got;
    }
    seen.clean_end = true;
}

void expect_echo(World& world, std::size_t bytes, Duration limit) {
    Host& a = world.host("a");
    Host& b = world.host("b");
    b.tasks().spawn("server", echo_server(b, b.listen_tcp({IpAddress(), 80}, {}).value()));
    auto stream = world.run(a.connect_tcp({b.address(), 80}));
    ASSERT_TRUE(stream) << stream.error().message();
    PatternSeen seen;
    a.tasks().spawn("write", write_pattern(**stream, bytes));
    a.tasks().spawn("read", read_pattern(**stream, seen));
    EXPECT_TRUE(world.run_until([&] { return seen.clean_end; }, limit));
    EXPECT_EQ(seen.bytes, bytes);
    EXPECT_TRUE(seen.intact);
    a.tasks().cancel();
    world.run_for(1s);
}

TEST(SimTcp, CarriesAStreamOverABadLink) {
    for_seeds([](World& world) {
        Host& a = world.add_host("a");
        Host& b = world.add_host("b");
        world.link(
            a, b,
            {.delay = 20ms, .jitter = 5ms, .loss = 0.05, .duplication = 0.02, .reordering = 0.05}
        );
        expect_echo(world, 300'000, 10min);
    });
}

TEST(SimTcp, IsAsFastAsItsLink) {
    World world{{.seed = test_seed()}};
    Host& a = world.add_host("a");
    Host& b = world.add_host("b");
    world.link(a, b, {.delay = 10ms, .rate_bytes = 1'000'000});
    const TimePoint start = world.now();
    expect_echo(world, 2'000'000, 10min);
    const std::chrono::duration<double> took = world.now() - start;
    EXPECT_GT(took.count(), 2.0);
    EXPECT_LT(took.count(), 5.0);
}

TEST(SimTcp, SurvivesAPathThatBecomesNarrower) {
    World world{{.seed = test_seed()}};
    Host& a = world.add_host("a");
    Host& b = world.add_host("b");
    world.loop().timers().at(world.now() + 60ms, [&] { world.link(a, b, {.mtu = 576}); });
    expect_echo(world, 500'000, 2min);
}

TEST(SimTcp, IsRefusedWhereNobodyListensAndTimesOutWhereNobodyIs) {
    World world{{.seed = test_seed()}};
    Host& a = world.add_host("a");
    Host& b = world.add_host("b");
    const auto refused = world.run(a.connect_tcp({b.address(), 81}));
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error().is(Errc::refused));
    const auto silent = world.run(a.connect_tcp({IpAddress::v4(203, 0, 113, 1), 80}));
    ASSERT_FALSE(silent);
    EXPECT_TRUE(silent.error().is(Errc::timed_out));
    EXPECT_EQ(a.tcp_connections(), 0U);
}

TEST(SimTcp, StopsAWriterWhoseReaderDoesNotRead) {
    World world{{.seed = test_seed()}};
    Host& a = world.add_host("a");
    Host& b = world.add_host("b");
    auto acceptor = b.listen_tcp({IpAddress(), 80}, {}).value();
    auto client = world.run(a.connect_tcp({b.address(), 80})).value();
    auto server = world.run(acceptor->accept()).value();
    a.tasks().spawn("write", write_pattern(*client, 5'000'000));
    world.run_for(60s);
    EXPECT_FALSE(a.tasks().empty());
    PatternSeen seen;
    b.tasks().spawn("read", read_pattern(*server, seen));
    EXPECT_TRUE(world.run_until([&] { return seen.clean_end; }, 60s));
    EXPECT_EQ(seen.bytes, 5'000'000U);
    EXPECT_TRUE(seen.intact);
}

rt::Task<> expect_read_error(rt::Stream& stream, std::optional<Errc>& out) {
    Bytes buffer(10);
    const auto got = co_await stream.read_some(buffer);
    for (const Errc code : {Errc::reset, Errc::closed, Errc::timed_out}) {
        if (!got && got.error().is(code)) out = code;
    }
}

TEST(SimTcp, SeesAResetWhenTheOtherProcessDiesAndSilenceWhenItsHostDoes) {
    World world{{.seed = test_seed()}};
    Host& a = world.add_host("a");
    Host& b = world.add_host("b");
    auto acceptor = b.listen_tcp({IpAddress(), 80}, {}).value();
    auto client = world.run(a.connect_tcp({b.address(), 80})).value();
    std::optional<Errc> seen;
    a.tasks().spawn("read", expect_read_error(*client, seen));
    b.reset_sockets();
    world.run_for(1s);
    EXPECT_EQ(seen, Errc::reset);

    acceptor = b.listen_tcp({IpAddress(), 80}, {}).value();
    client = world.run(a.connect_tcp({b.address(), 80})).value();
    seen.reset();
    a.tasks().spawn("read", expect_read_error(*client, seen));
    b.power_off();
    world.run_for(60s);
    EXPECT_FALSE(seen);
    b.power_on();
    // The new incarnation does not know the connection.
    const Bytes hello(5);
    EXPECT_TRUE(world.run(client->write_all(hello)));
    world.run_for(5s);
    EXPECT_EQ(seen, Errc::reset);
}

TEST(SimTcp, KeepsListenersApart) {
    World world{{.seed = test_seed()}};
    Host& a = world.add_host("a");
    auto first = a.listen_tcp({IpAddress(), 80}, {});
    ASSERT_TRUE(first);
    EXPECT_TRUE(a.listen_tcp({a.address(), 80}, {}).error().is(Errc::in_use));
    EXPECT_TRUE(a.listen_tcp({IpAddress::v6({}), 80}, {}));
    EXPECT_FALSE(a.listen_tcp({IpAddress::v4(9, 9, 9, 9), 80}, {}));
    first->reset();
    EXPECT_TRUE(a.listen_tcp({a.address(), 80}, {}));
    auto self = world.run(a.connect_tcp({IpAddress::v4(127, 0, 0, 1), 80}));
    ASSERT_FALSE(self);
}

TEST(SimUnix, ConnectsOnOneHostOnly) {
    World world{{.seed = test_seed()}};
    Host& a = world.add_host("a");
    Host& b = world.add_host("b");
    auto acceptor = a.listen_unix("/run/x").value();
    EXPECT_TRUE(a.listen_unix("/run/x").error().is(Errc::in_use));
    EXPECT_TRUE(world.run(b.connect_unix("/run/x")).error().is(Errc::not_found));
    auto client = world.run(a.connect_unix("/run/x")).value();
    auto server = world.run(acceptor->accept()).value();
    const Bytes hello{1, 2, 3};
    ASSERT_TRUE(world.run(client->write_all(hello)));
    Bytes got(3);
    ASSERT_TRUE(world.run(server->read_exactly(got)));
    EXPECT_EQ(got, hello);
}

TEST(SimNames, ResolveLateOrFailAsTold) {
    World world{{.seed = test_seed()}};
    Host& a = world.add_host("a");
    world.set_name("web.example", {.addresses = {IpAddress::v4(198, 18, 0, 9)}, .delay = 300ms});
    world.set_name("slow.example", {.delay = 5s, .failure = Errc::timed_out});
    const TimePoint start = world.now();
    const auto found = world.run(a.resolve("web.example"));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->front(), IpAddress::v4(198, 18, 0, 9));
    EXPECT_EQ(world.now() - start, 300ms);
    EXPECT_TRUE(world.run(a.resolve("slow.example")).error().is(Errc::timed_out));
    EXPECT_TRUE(world.run(a.resolve("nobody.example")).error().is(Errc::not_found));
    EXPECT_EQ(world.run(a.resolve("10.0.0.1")).value().front(), IpAddress::v4(10, 0, 0, 1));
}

// --- equal runs, checkers, reports ---

std::uint64_t busy_run(std::uint64_t seed) {
    World world{{.seed = seed, .link = {.jitter = 3ms, .loss = 0.1}}};
    world.add_host("a");
    world.add_host("b");
    expect_echo(world, 50'000, 5min);
    return world.trace_hash();
}

TEST(TraceHash, IsEqualForEqualSeedsAndOnlyForThem) {
    EXPECT_EQ(busy_run(1), busy_run(1));
    EXPECT_NE(busy_run(1), busy_run(2));
}

TEST(Checkers, StopTheRunAndSayWhatWasWrong) {
    World world{{.seed = test_seed()}};
    const TimePoint end = world.now() + 5s;
    world.add_checker("not too late", [&] {
        return world.now() >= end ? std::string("five seconds have passed") : std::string();
    });
    world.loop().timers().at(end, [] {});
    EXPECT_FALSE(world.run_until([] { return false; }, 10s));
    ASSERT_EQ(world.violations().size(), 1U);
    EXPECT_EQ(world.violations().front(), "not too late: five seconds have passed");
    EXPECT_EQ(world.now(), end);
}

TEST(Pcap, HoldsOnePacketPerFrame) {
    World world{{.seed = test_seed()}};
    UdpPair pair(world);
    send_number(pair.a, *pair.socket_a, {pair.b.address(), 2000}, 7, 12);
    world.run_for(1s);
    const Bytes file = build_pcap(world.network());
    ASSERT_EQ(file.size(), 24U + 16 + 20 + 8 + 12);
    EXPECT_EQ(to_hex(ByteView(file).first(4)), "4d3cb2a1");
    EXPECT_EQ(file[24 + 16], 0x45);
}

// --- TUN ---

Bytes build_echo_request(const IpAddress& from, const IpAddress& to) {
    Bytes packet = from_hex(
                       "4500001c0000000040010000" + to_hex(from.bytes()) + to_hex(to.bytes()) +
                       "0800f7ff00000000"
    )
                       .value();
    return packet;
}

class TunCollector final : public host::TunSink {
public:
    void from_tun(packet::PacketBatch&& batch) override {
        for (auto& packet : batch)
            packets.emplace_back(packet.bytes().begin(), packet.bytes().end());
    }
    void on_tun_closed(const Error&) override { ++closed; }
    std::vector<Bytes> packets;
    int closed = 0;
};

TEST(SimTun, CarriesPacketsBetweenSelvageAndTheKernelAndAnswersPings) {
    World world{{.seed = test_seed()}};
    Host& a = world.add_host("a");
    auto device = a.tun().open({.mtu = 1300}).value();
    TunCollector sink;
    device->start(sink);
    const Prefix own{IpAddress::v4(10, 1, 0, 1), 24};
    ASSERT_TRUE(device->add_address(own));
    EXPECT_TRUE(a.tun().open({}).error().is(Errc::in_use));

    // The kernel's programs reach the prefix, and nothing else, through the device.
    EXPECT_TRUE(a.tun().send(build_echo_request(own.address, IpAddress::v4(10, 1, 0, 2))));
    EXPECT_FALSE(a.tun().send(build_echo_request(own.address, IpAddress::v4(10, 2, 0, 2))));
    world.run_for(1ms);
    ASSERT_EQ(sink.packets.size(), 1U);

    // The kernel answers a ping.
    packet::PacketBatch batch;
    batch.push(a.pool().copy(build_echo_request(IpAddress::v4(10, 1, 0, 2), own.address)));
    device->send(std::move(batch));
    world.run_for(1ms);
    ASSERT_EQ(sink.packets.size(), 2U);
    EXPECT_EQ(sink.packets[1][20], 0);

    a.tun().destroy_device();
    world.run_for(1ms);
    EXPECT_EQ(sink.closed, 1);
    device.reset();
    EXPECT_TRUE(a.tun().open({}));
}

TEST(SimTun, IsDeniedToAnOrdinaryUser) {
    World world{{.seed = test_seed()}};
    Host& a = world.add_host("a");
    a.tun().set_allowed(false);
    EXPECT_TRUE(a.tun().open({}).error().is(Errc::denied));
}

}  // namespace
}  // namespace selvage::sim
