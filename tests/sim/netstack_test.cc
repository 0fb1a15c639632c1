// Two of our stacks over a simulated network: IP packets travel in datagrams between two hosts.
#include <gtest/gtest.h>

#include "programs.h"
#include "seeds.h"
#include "sim/kernel_stack.h"
#include "sim/world.h"

namespace selvage::sim {
namespace {

constexpr std::uint16_t kTunnelPort = 4789;

// A stack whose packets travel in UDP datagrams to one other host.
class Overlay final : private netstack::PacketOut, private host::UdpSink {
public:
    Overlay(Host& host, Endpoint other, Prefix address)
        : other_(other),
          stack_({}, host.pool(), stack_seeds(host)),
          sockets_(host.runtime(), stack_, *this),
          socket_(host.open_udp({IpAddress(), kTunnelPort}, {}).value()) {
        sockets_.set_addresses({address});
        socket_->start(*this);
    }
    netstack::OverlaySockets& sockets() { return sockets_; }

private:
    void from_stack(packet::PacketBatch&& batch) override {
        for (packet::PacketBuf& packet : batch) {
            host::Datagram datagram{std::move(packet), other_};
            socket_->send({&datagram, 1});
        }
        batch.clear();
    }
    void on_datagrams(std::span<host::Datagram> datagrams, TimePoint now) override {
        packet::PacketBatch batch(now);
        for (host::Datagram& datagram : datagrams)
            batch.push(std::move(datagram.payload));
        sockets_.input(std::move(batch));
    }

    Endpoint other_;
    netstack::Stack stack_;
    netstack::OverlaySockets sockets_;
    host::UdpSocketPtr socket_;
};

rt::Task<> echo_forever(rt::AcceptorPtr acceptor) {
    auto stream = co_await acceptor->accept();
    if (!stream) co_return;
    Bytes buffer(4096);
    for (;;) {
        const auto got = co_await (*stream)->read_some(buffer);
        if (!got || *got == 0) break;
        if (!co_await (*stream)->write_all(ByteView(buffer).first(*got))) break;
    }
    (void)(*stream)->shutdown_write();
}

void echo_through_two_stacks(World& world, const LinkOptions& link, std::size_t bytes) {
    Host& a = world.add_host("a");
    Host& b = world.add_host("b");
    world.link(a, b, link);
    const Prefix address_a{IpAddress::v4(10, 1, 0, 1), 24};
    const Prefix address_b{IpAddress::v4(10, 1, 0, 2), 24};
    {
        Overlay left(a, {b.address(), kTunnelPort}, address_a);
        Overlay right(b, {a.address(), kTunnelPort}, address_b);
        b.tasks().spawn("echo", echo_forever(right.sockets().listen_tcp(7).value()));
        auto stream = world.run(left.sockets().dial_tcp({address_b.address, 7}, 60s));
        ASSERT_TRUE(stream) << stream.error().message();
        const auto seen = world.run(echo_round(a, **stream, bytes));
        ASSERT_TRUE(seen) << seen.error().message();
        EXPECT_EQ(*seen, bytes);
        EXPECT_TRUE((*stream)->shutdown_write());
        stream->reset();
        world.run_for(10min);  // TIME-WAIT and all
        EXPECT_TRUE(b.tasks().empty());
    }
    world.run_for(1s);
    EXPECT_EQ(a.pool().in_use(), 0U);
    EXPECT_EQ(b.pool().in_use(), 0U);
}

TEST(TwoStacks, CarryAStreamOverAGoodLink) {
    for_seeds([](World& world) { echo_through_two_stacks(world, {.delay = 10ms}, 300'000); });
}

TEST(TwoStacks, CarryAStreamOverABadLink) {
    for_seeds([](World& world) {
        echo_through_two_stacks(
            world,
            {.delay = 20ms, .jitter = 5ms, .loss = 0.03, .duplication = 0.02, .reordering = 0.05},
            200'000
        );
    });
}

TEST(TwoStacks, CarryAStreamThroughANarrowLink) {
    for_seeds([](World& world) {
        echo_through_two_stacks(
            world, {.delay = 30ms, .rate_bytes = 100'000, .queue_bytes = 20'000}, 200'000
        );
    });
}

TEST(TwoStacks, GiveUpOnAPartitionAndSayWhy) {
    World world{{.seed = test_seed()}};
    Host& a = world.add_host("a");
    Host& b = world.add_host("b");
    Overlay left(a, {b.address(), kTunnelPort}, {IpAddress::v4(10, 1, 0, 1), 24});
    world.cut(a, b);
    const auto stream = world.run(left.sockets().dial_tcp({IpAddress::v4(10, 1, 0, 2), 7}, 5s));
    ASSERT_FALSE(stream);
    EXPECT_TRUE(stream.error().is(Errc::timed_out)) << stream.error().message();
    world.run_for(10min);
}

}  // namespace
}  // namespace selvage::sim
