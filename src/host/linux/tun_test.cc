// The TUN device in a network namespace of the test's own, so that nothing of the machine changes.
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "host/linux/host.h"
#include "host/linux/os.h"
#include "packet/test_packets.h"
#include "rt/test_loop.h"

namespace selvage::host {
namespace {

using packet::PacketBatch;
using packet::PacketBuf;

class Collector final : public TunSink {
public:
    void from_tun(PacketBatch&& batch) override {
        for (PacketBuf& packet : batch) {
            EXPECT_EQ(packet.headroom(), packet::kHeadroom);
            packets_.emplace_back(packet.bytes().begin(), packet.bytes().end());
        }
    }
    void on_tun_closed(const Error& reason) override {
        ++closed_;
        reason_ = reason.message();
    }
    std::vector<Bytes> packets_;
    int closed_ = 0;
    std::string reason_;
};

// Why this process cannot make network devices of its own; empty when it can.
std::string enter_own_network(Fd& back) {
    back = Fd(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    if (::unshare(CLONE_NEWNET) != 0) return "unshare(CLONE_NEWNET) needs root";
    return {};
}

class TunTest : public testing::Test {
protected:
    void SetUp() override {
        const std::string reason = enter_own_network(back_);
        if (!reason.empty()) GTEST_SKIP() << reason;
        auto tun = factory_->open({.name = "selv0", .mtu = 1300});
        ASSERT_TRUE(tun) << tun.error().message();
        tun_ = std::move(*tun);
        tun_->start(sink_);
    }
    // The same device once more, as a user may have asked for it.
    void reopen(bool offload) {
        tun_.reset();
        const auto factory = make_linux_tun_factory(loop_.runtime(), pool_, {}, {.tun = offload});
        tun_ = factory->open({.name = "selv0", .mtu = 1300}).value();
        tun_->start(sink_);
        ASSERT_TRUE(tun_->add_address(Prefix::parse("10.144.1.1/24").value()));
        ASSERT_TRUE(tun_->add_address(Prefix::parse("fd00::1/64").value()));
    }
    void TearDown() override {
        tun_.reset();
        loop_.settle();
        EXPECT_EQ(pool_.in_use(), 0U);
        if (back_) ::setns(back_.get(), CLONE_NEWNET);
    }
    static std::string routes() {
        std::ifstream file("/proc/thread-self/net/route");
        std::stringstream text;
        text << file.rdbuf();
        return text.str();
    }
    static int request(unsigned long what, ifreq& request, const std::string& name) {
        name.copy(request.ifr_name, IFNAMSIZ - 1);
        const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        return ::ioctl(socket.get(), what, &request);
    }

    Fd back_;
    rt::TestLoop loop_;
    packet::PacketPool pool_{256};
    std::unique_ptr<TunFactory> factory_ = make_linux_tun_factory(loop_.runtime(), pool_);
    Collector sink_;
    TunPtr tun_;
};

Prefix prefix(std::string_view text) {
    return Prefix::parse(text).value();
}

// An IPv4 UDP packet as the mesh would bring it.
Bytes udp_packet(const IpAddress& from, const IpAddress& to, std::uint16_t port, ByteView body) {
    const auto total = static_cast<std::uint16_t>(28 + body.size());
    Bytes out(total);
    const auto put16 = [&out](std::size_t at, std::uint32_t value) {
        out[at] = static_cast<std::uint8_t>(value >> 8);
        out[at + 1] = static_cast<std::uint8_t>(value);
    };
    out[0] = 0x45;
    put16(2, total);
    out[8] = 64;
    out[9] = IPPROTO_UDP;
    std::ranges::copy(from.bytes(), out.begin() + 12);
    std::ranges::copy(to.bytes(), out.begin() + 16);
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < 20; i += 2)
        sum += std::uint32_t{out[i]} * 256 + out[i + 1];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    put16(10, ~sum & 0xffff);
    put16(20, 4000);
    put16(22, port);
    put16(24, std::uint32_t{total} - 20);
    std::ranges::copy(body, out.begin() + 28);
    return out;
}

TEST_F(TunTest, TheDeviceIsUpWithItsNameAndMtuAndQuiet) {
    EXPECT_EQ(tun_->name(), "selv0");
    ifreq flags{};
    ASSERT_EQ(request(SIOCGIFFLAGS, flags, "selv0"), 0);
    EXPECT_TRUE(flags.ifr_flags & IFF_UP);
    ifreq mtu{};
    ASSERT_EQ(request(SIOCGIFMTU, mtu, "selv0"), 0);
    EXPECT_EQ(mtu.ifr_mtu, 1300);
    loop_.settle();
    EXPECT_TRUE(sink_.packets_.empty()) << "the kernel talks on its own";
}

TEST_F(TunTest, PacketsPassBothWays) {
    ASSERT_TRUE(tun_->add_address(prefix("10.144.1.1/24")));
    const IpAddress self = IpAddress::v4(10, 144, 1, 1);
    const IpAddress other = IpAddress::v4(10, 144, 1, 7);
    const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const SocketAddress here({self, 5000});
    ASSERT_EQ(::bind(socket.get(), here.get(), here.size), 0);
    const SocketAddress there({other, 6000});
    for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(::sendto(socket.get(), "ping", 4, 0, there.get(), there.size), 4);
    }
    EXPECT_TRUE(loop_.run_until([&] { return sink_.packets_.size() >= 100; }));
    EXPECT_EQ(sink_.packets_.front().size(), 32U);
    EXPECT_EQ(tun_->stats().rx_packets, 100U);

    PacketBatch batch;
    batch.push(pool_.copy(udp_packet(other, self, 5000, as_view("pong"))));
    batch.push(pool_.copy(Bytes{0xff, 1, 2, 3}));
    tun_->send(std::move(batch));
    std::array<char, 16> got{};
    EXPECT_TRUE(loop_.run_until([&] { return ::recv(socket.get(), got.data(), 16, 0) == 4; }));
    EXPECT_STREQ(got.data(), "pong");
    EXPECT_EQ(tun_->stats().tx_packets, 1U);
    EXPECT_EQ(tun_->stats().tx_dropped, 1U) << "what is not IP is refused and counted";
}

Fd udp_socket_at(const Endpoint& local) {
    Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const SocketAddress here(local);
    EXPECT_EQ(::bind(socket.get(), here.get(), here.size), 0);
    return socket;
}

TEST_F(TunTest, DatagramsOfOneCallComeAsOrdinaryPackets) {
    for (const bool offload : {true, false}) {
        reopen(offload);
        sink_.packets_.clear();
        const Fd socket = udp_socket_at({IpAddress::v4(10, 144, 1, 1), 5000});
        const int size = 1000;
        ASSERT_EQ(::setsockopt(socket.get(), SOL_UDP, UDP_SEGMENT, &size, sizeof size), 0);
        const SocketAddress there({IpAddress::v4(10, 144, 1, 7), 6000});
        const Bytes sent = packet::test_payload(20500);
        ASSERT_EQ(
            ::sendto(socket.get(), sent.data(), sent.size(), 0, there.get(), there.size), 20500
        );
        EXPECT_TRUE(loop_.run_until([&] { return sink_.packets_.size() >= 21; }));
        Bytes got;
        for (const Bytes& packet : sink_.packets_) {
            const auto meta = packet::parse_ip(packet).value();
            const ByteView transport = ByteView(packet).subspan(20);
            const auto start = packet::pseudo_header_sum(
                meta.source, meta.destination, meta.protocol,
                static_cast<std::uint32_t>(transport.size())
            );
            EXPECT_EQ(packet::checksum_add(transport, start), 0xffff);
            got.insert(got.end(), packet.begin() + 28, packet.end());
        }
        EXPECT_EQ(got, sent);
        EXPECT_EQ(tun_->stats().rx_packets, 21U);
        if (!offload) EXPECT_EQ(tun_->stats().rx_trains, 0U);
    }
}

TEST_F(TunTest, DatagramsOfABatchReachTheirSocketAsTheyAre) {
    for (const bool offload : {true, false}) {
        reopen(offload);
        const Fd socket = udp_socket_at({IpAddress::v4(10, 144, 1, 1), 5000});
        PacketBatch batch;
        packet::TestPacket packet{
            .udp = true, .source = 0x0a900107, .destination = 0x0a900101, .destination_port = 5000
        };
        for (int i = 0; i < 10; ++i) {
            packet.payload = packet::test_payload(i == 9 ? 77 : 900, static_cast<std::size_t>(i));
            Bytes bytes = packet.build();
            if (i == 4) bytes.back() ^= 1;  // the kernel must see this one's checksum
            batch.push(pool_.copy(bytes));
            ++packet.id;
        }
        tun_->send(std::move(batch));
        for (int i = 0; i < 10; ++i) {
            if (i == 4) continue;
            Bytes got(2000);
            ssize_t size = -1;
            EXPECT_TRUE(loop_.run_until([&] {
                size = ::recv(socket.get(), got.data(), got.size(), 0);
                return size >= 0;
            }));
            got.resize(static_cast<std::size_t>(size));
            EXPECT_EQ(got, packet::test_payload(i == 9 ? 77 : 900, static_cast<std::size_t>(i)));
        }
        EXPECT_EQ(tun_->stats().tx_packets, 10U);
        EXPECT_EQ(tun_->stats().tx_refused_trains, 0U);
        if (!offload) EXPECT_EQ(tun_->stats().tx_trains, 0U);
    }
}

// Turns every packet round, so that this kernel talks TCP to itself through the device: what it
// sends to `away` comes back as if `away` had sent it to us, from a third address.
class Mirror final : public TunSink {
public:
    explicit Mirror(bool v6) : v6_(v6) {}
    void attach(Tun& tun) { tun_ = &tun; }
    void from_tun(PacketBatch&& batch) override {
        PacketBatch back(batch.now());
        for (PacketBuf& packet : batch) {
            const std::size_t source = v6_ ? 23 : 15;  // the last bytes of the addresses
            const std::size_t destination = v6_ ? 39 : 19;
            std::uint8_t* bytes = packet.data();
            if (packet.size() < 40 || (bytes[0] >> 4 == 6) != v6_) continue;
            if (bytes[destination] != kAway && bytes[destination] != kThird) continue;
            // The sum changes with the addresses; both of a packet stay the same in total.
            const std::uint8_t other = bytes[destination] == kAway ? kThird : kAway;
            const std::size_t sum = v6_ ? 40 + 16 : 20 + 16;
            adjust(bytes + sum, bytes[source], bytes[destination], other, bytes[source]);
            if (!v6_) adjust(bytes + 10, bytes[source], bytes[destination], other, bytes[source]);
            bytes[destination] = bytes[source];
            bytes[source] = other;
            back.push(std::move(packet));
        }
        if (!back.empty()) tun_->send(std::move(back));
    }
    void on_tun_closed(const Error&) override {}
    static constexpr std::uint8_t kAway = 7;
    static constexpr std::uint8_t kThird = 9;

private:
    static void adjust(std::uint8_t* field, int a, int b, int to_a, int to_b) {
        const std::uint32_t old = std::uint32_t{field[0]} << 8 | field[1];
        std::uint32_t sum = (~old & 0xffff) + 2 * 0xffff;
        sum = sum - static_cast<std::uint32_t>(a + b) + static_cast<std::uint32_t>(to_a + to_b);
        while (sum > 0xffff)
            sum = (sum & 0xffff) + (sum >> 16);
        field[0] = static_cast<std::uint8_t>(~sum >> 8);
        field[1] = static_cast<std::uint8_t>(~sum);
    }
    bool v6_;
    Tun* tun_ = nullptr;
};

// Everything that a connection sends must arrive, in trains or without.
TEST_F(TunTest, TcpPassesInTrains) {
    for (const bool offload : {true, false}) {
        for (const bool v6 : {false, true}) {
            Mirror mirror(v6);
            tun_.reset();
            const auto factory =
                make_linux_tun_factory(loop_.runtime(), pool_, {}, {.tun = offload});
            tun_ = factory->open({.name = "selv0", .mtu = 1300}).value();
            mirror.attach(*tun_);
            tun_->start(mirror);
            ASSERT_TRUE(tun_->add_address(prefix("10.144.1.1/24")));
            ASSERT_TRUE(tun_->add_address(prefix("fd00::1/64")));
            const auto self = IpAddress::parse(v6 ? "fd00::1" : "10.144.1.1").value();
            const auto away = IpAddress::parse(v6 ? "fd00::7" : "10.144.1.7").value();
            const int family = v6 ? AF_INET6 : AF_INET;
            const Fd listener(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
            const int on = 1;
            ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
            const SocketAddress here({self, 7000});
            ASSERT_EQ(::bind(listener.get(), here.get(), here.size), 0);
            ASSERT_EQ(::listen(listener.get(), 1), 0);
            const Fd client(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
            const SocketAddress there({away, 7000});
            ::connect(client.get(), there.get(), there.size);
            Fd server;
            ASSERT_TRUE(loop_.run_until([&] {
                server = Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK));
                return static_cast<bool>(server);
            }));
            const Bytes sent = packet::test_payload(3 << 20);
            Bytes got;
            std::size_t at = 0;
            EXPECT_TRUE(loop_.run_until([&] {
                if (at < sent.size()) {
                    const ssize_t n = ::send(client.get(), &sent[at], sent.size() - at, 0);
                    if (n > 0) at += static_cast<std::size_t>(n);
                }
                std::array<std::uint8_t, 65536> piece;
                const ssize_t n = ::recv(server.get(), piece.data(), piece.size(), 0);
                if (n > 0) got.insert(got.end(), piece.begin(), piece.begin() + n);
                return got.size() == sent.size();
            }));
            EXPECT_TRUE(got == sent);
            const Tun::Stats& stats = tun_->stats();
            EXPECT_EQ(stats.rx_trains > 0, offload);
            EXPECT_EQ(stats.tx_trains > 0, offload);
            EXPECT_EQ(stats.tx_refused_trains, 0U);
            EXPECT_EQ(stats.rx_dropped, 0U);
        }
    }
}

TEST_F(TunTest, AddressesAndRoutesComeAndGo) {
    ASSERT_TRUE(tun_->add_address(prefix("10.144.1.1/24")));
    EXPECT_THAT(routes(), testing::HasSubstr("selv0\t0001900A"));  // the network's own route
    ASSERT_TRUE(tun_->add_route(prefix("192.168.7.0/24"), 65535));
    EXPECT_THAT(routes(), testing::HasSubstr("selv0\t0007A8C0"));
    const auto again = tun_->add_route(prefix("192.168.7.0/24"), 65535);
    ASSERT_FALSE(again);
    EXPECT_TRUE(again.error().is(Errc::exists)) << again.error().message();
    EXPECT_TRUE(tun_->remove_route(prefix("192.168.7.0/24"), 65535));
    EXPECT_THAT(routes(), testing::Not(testing::HasSubstr("0007A8C0")));
    const auto gone = tun_->remove_route(prefix("192.168.7.0/24"), 65535);
    ASSERT_FALSE(gone);
    EXPECT_TRUE(gone.error().is(Errc::not_found)) << gone.error().message();
    EXPECT_TRUE(tun_->remove_address(prefix("10.144.1.1/24")));
    EXPECT_THAT(routes(), testing::Not(testing::HasSubstr("0001900A")));
    EXPECT_TRUE(tun_->add_address(prefix("fd00::1/64")));
    EXPECT_TRUE(tun_->add_route(prefix("fd01::/64"), 100));
}

TEST_F(TunTest, WhatAnEarlierRunLeftOnALastingDeviceIsRemoved) {
    ASSERT_EQ(std::system("ip tuntap add dev stays0 mode tun"), 0);
    ASSERT_EQ(std::system("ip link set stays0 up; ip addr add 10.8.0.1/24 dev stays0"), 0);
    ASSERT_EQ(std::system("ip route add 192.168.8.0/24 dev stays0 metric 65535 proto 94"), 0);
    ASSERT_EQ(std::system("ip route add 192.168.9.0/24 dev stays0"), 0);
    auto tun = factory_->open({.name = "stays0"});
    ASSERT_TRUE(tun) << tun.error().message();
    EXPECT_THAT(routes(), testing::Not(testing::HasSubstr("stays0\t0008A8C0"))) << "ours";
    EXPECT_THAT(routes(), testing::Not(testing::HasSubstr("stays0\t0000080A"))) << "the address";
    ASSERT_TRUE((*tun)->add_address(prefix("10.8.0.2/24")));
    ASSERT_TRUE((*tun)->add_address(prefix("fd08::2/64")));
    ASSERT_TRUE((*tun)->add_route(prefix("192.168.10.0/24"), 65535));
    ASSERT_TRUE((*tun)->add_route(prefix("fd09::/64"), 65535));
    tun->reset();
    EXPECT_EQ(std::system("test -z \"$(ip route show dev stays0 proto 94)\""), 0);
    EXPECT_EQ(std::system("test -z \"$(ip -6 route show dev stays0 proto 94)\""), 0);
    EXPECT_EQ(std::system("test -z \"$(ip -o addr show dev stays0 scope global)\""), 0);
    EXPECT_EQ(std::system("ip link del stays0"), 0);
}

TEST_F(TunTest, TheDeviceGoesWithItsOwner) {
    ifreq flags{};
    ASSERT_EQ(request(SIOCGIFFLAGS, flags, "selv0"), 0);
    tun_.reset();
    EXPECT_NE(request(SIOCGIFFLAGS, flags, "selv0"), 0);
    EXPECT_EQ(sink_.closed_, 0);
}

TEST_F(TunTest, ADeviceThatSomebodyElseDeletesIsReportedOnce) {
    ASSERT_EQ(std::system("ip link del selv0"), 0);
    EXPECT_TRUE(loop_.run_until([&] { return sink_.closed_ > 0; }));
    loop_.settle();
    EXPECT_EQ(sink_.closed_, 1);
    PacketBatch batch;
    batch.push(pool_.copy(Bytes(20, 0x45)));
    tun_->send(std::move(batch));
    EXPECT_EQ(tun_->stats().tx_dropped, 1U);
}

TEST_F(TunTest, BadOptionsAreRefusedWithASentence) {
    for (const char* name : {"much-too-long-a-name", "a/b", "a b", "x%d"}) {
        const auto tun = factory_->open({.name = name});
        ASSERT_FALSE(tun) << name;
        EXPECT_TRUE(tun.error().is(Errc::bad_argument)) << tun.error().message();
    }
    EXPECT_FALSE(factory_->open({.name = "ok0", .mtu = 100}));
    EXPECT_FALSE(factory_->open({.name = "ok0", .mtu = 9000}));
    const auto taken = factory_->open({.name = "lo"});
    ASSERT_FALSE(taken);
    EXPECT_TRUE(taken.error().is(Errc::in_use)) << taken.error().message();
}

}  // namespace
}  // namespace selvage::host
