// The kernel's sockets on loopback: streams, unix sockets, names and trains of datagrams.
#include <sys/stat.h>
#include <sys/un.h>

#include <fcntl.h>

#include <cstdlib>
#include <filesystem>

#include "host/linux/host.h"
#include "host/linux/os.h"
#include "rt/test_loop.h"

namespace selvage::host {
namespace {

using packet::PacketBuf;

const IpAddress kLoopback = IpAddress::v4(127, 0, 0, 1);

class SocketsTest : public testing::Test {
public:
    SocketsTest() {
        std::string pattern = (std::filesystem::temp_directory_path() / "socketsXXXXXX").string();
        directory_ = ::mkdtemp(pattern.data());
    }
    ~SocketsTest() override {
        EXPECT_TRUE(loop_.close(tasks_));
        loop_.settle();
        EXPECT_EQ(pool_.in_use(), 0U);
        std::filesystem::remove_all(directory_);
    }

protected:
    struct Pair {
        rt::StreamPtr near;
        rt::StreamPtr far;
    };
    Pair tcp_pair() {
        auto acceptor = sockets_->listen_tcp({kLoopback, 0}, {}).value();
        auto near = loop_.run(sockets_->connect_tcp(acceptor->local())).value();
        auto far = loop_.run(acceptor->accept()).value();
        return {std::move(near), std::move(far)};
    }
    std::string path() const { return directory_ + "/socket"; }

    std::string directory_;
    rt::TestLoop loop_;
    packet::PacketPool pool_{256};
    std::unique_ptr<Sockets> sockets_ = make_linux_sockets(loop_.runtime(), pool_);
    rt::TaskScope tasks_{loop_.runtime(), Log()};
};

rt::Task<std::string> read_to_end(rt::Stream& stream) {
    std::string text;
    std::array<std::uint8_t, 4096> buffer{};
    for (;;) {
        auto got = co_await stream.read_some(buffer);
        if (!got) co_return text + "!" + got.error().message();
        if (*got == 0) co_return text;
        text += as_text(ByteView(buffer).first(*got));
    }
}

rt::Task<> read_into(rt::Stream& stream, std::optional<std::string>& out) {
    out = co_await read_to_end(stream);
}

rt::Task<> write_and_finish(rt::Stream& stream, std::string text) {
    const auto wrote = co_await stream.write_all(as_view(text));
    EXPECT_TRUE(wrote) << wrote.error().message();
    EXPECT_TRUE(stream.shutdown_write());
}

TEST_F(SocketsTest, TcpCarriesBytesAndHalfClose) {
    auto [near, far] = tcp_pair();
    EXPECT_EQ(near->remote(), far->local());
    EXPECT_EQ(near->local(), far->remote());
    const std::string big(3'000'000, 'x');
    tasks_.spawn("write", write_and_finish(*near, big));
    EXPECT_EQ(loop_.run(read_to_end(*far)), big);
    tasks_.spawn("answer", write_and_finish(*far, "and back"));
    EXPECT_EQ(loop_.run(read_to_end(*near)), "and back");
}

TEST_F(SocketsTest, AResetIsSeenByTheOtherSide) {
    auto [near, far] = tcp_pair();
    near->reset();
    EXPECT_EQ(loop_.run(read_to_end(*far)), "!Connection reset by peer");
}

TEST_F(SocketsTest, ClosingAndDestroyingEndAReadThatWaits) {
    auto [near, far] = tcp_pair();
    std::optional<std::string> near_text;
    std::optional<std::string> far_text;
    tasks_.spawn("near", read_into(*near, near_text));
    loop_.settle();
    near->close();
    EXPECT_TRUE(loop_.run_until([&] { return near_text.has_value(); }));
    EXPECT_EQ(*near_text, "!connection closed");
    auto [other_near, other_far] = tcp_pair();
    tasks_.spawn("far", read_into(*other_far, far_text));
    loop_.settle();
    other_far.reset();
    EXPECT_TRUE(loop_.run_until([&] { return far_text.has_value(); }));
    EXPECT_EQ(*far_text, "!connection closed");
}

TEST_F(SocketsTest, ACancelledReadUnwindsAndTheStreamLivesOn) {
    auto [near, far] = tcp_pair();
    std::optional<std::string> text;
    rt::TaskScope scope(loop_.runtime(), Log());
    scope.spawn("read", read_into(*near, text));
    loop_.settle();
    EXPECT_TRUE(loop_.close(scope));
    EXPECT_FALSE(text.has_value()) << *text;
    tasks_.spawn("write", write_and_finish(*far, "still here"));
    EXPECT_EQ(loop_.run(read_to_end(*near)), "still here");
}

TEST_F(SocketsTest, ARefusedPortLooksRefused) {
    auto acceptor = sockets_->listen_tcp({kLoopback, 0}, {}).value();
    const Endpoint gone = acceptor->local();
    acceptor.reset();
    const auto stream = loop_.run(sockets_->connect_tcp(gone));
    ASSERT_FALSE(stream);
    EXPECT_TRUE(stream.error().is(Errc::refused)) << stream.error().message();
}

TEST_F(SocketsTest, APortIsGivenOnce) {
    auto first = sockets_->listen_tcp({kLoopback, 0}, {}).value();
    const auto second = sockets_->listen_tcp(first->local(), {});
    ASSERT_FALSE(second);
    EXPECT_TRUE(second.error().is(Errc::in_use)) << second.error().message();
}

TEST_F(SocketsTest, AListenerMayBeBoundToADevice) {
    auto on_loopback = sockets_->listen_tcp({kLoopback, 0}, {.device = "lo"});
    ASSERT_TRUE(on_loopback) << on_loopback.error().message();
    EXPECT_TRUE(loop_.run(sockets_->connect_tcp((*on_loopback)->local())));
    EXPECT_TRUE(sockets_->open_udp({kLoopback, 0}, {.device = "lo"}));
    const auto nowhere = sockets_->listen_tcp({kLoopback, 0}, {.device = "no-such-dev"});
    ASSERT_FALSE(nowhere);
    EXPECT_NE(nowhere.error().message().find("no-such-dev"), std::string::npos);
    EXPECT_FALSE(sockets_->open_udp({kLoopback, 0}, {.device = "no-such-dev"}));
}

TEST_F(SocketsTest, NamesAndLiteralsBecomeAddresses) {
    const auto literal = loop_.run(sockets_->resolve("10.1.2.3"));
    ASSERT_TRUE(literal);
    EXPECT_EQ(*literal, std::vector<IpAddress>{IpAddress::v4(10, 1, 2, 3)});
    const auto name = loop_.run(sockets_->resolve("localhost"));
    ASSERT_TRUE(name) << name.error().message();
    EXPECT_TRUE(name->front().is_loopback());
    EXPECT_FALSE(loop_.run(sockets_->resolve("no-such-name.invalid")));
}

TEST_F(SocketsTest, AUnixSocketIsForItsOwnerOnlyAndGoesWithItsListener) {
    auto acceptor = sockets_->listen_unix(path()).value();
    struct stat found{};
    ASSERT_EQ(::lstat(path().c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0600U);
    auto near = loop_.run(sockets_->connect_unix(path())).value();
    auto far = loop_.run(acceptor->accept()).value();
    tasks_.spawn("write", write_and_finish(*near, "hello"));
    EXPECT_EQ(loop_.run(read_to_end(*far)), "hello");
    acceptor.reset();
    EXPECT_NE(::lstat(path().c_str(), &found), 0);
}

TEST_F(SocketsTest, ALiveUnixSocketIsRefusedAndAStaleOneReplaced) {
    auto first = sockets_->listen_unix(path()).value();
    auto second = sockets_->listen_unix(path());
    ASSERT_FALSE(second);
    EXPECT_TRUE(second.error().is(Errc::in_use)) << second.error().message();
    first.reset();

    // What a killed process leaves behind.
    const Fd stale(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    ASSERT_EQ(::bind(stale.get(), generic, sizeof address), 0);
    EXPECT_TRUE(sockets_->listen_unix(path()));
}

TEST_F(SocketsTest, AFileThatIsNoSocketIsLeftAlone) {
    const Fd file(::creat(path().c_str(), 0600));
    const auto acceptor = sockets_->listen_unix(path());
    ASSERT_FALSE(acceptor);
    EXPECT_TRUE(acceptor.error().is(Errc::exists)) << acceptor.error().message();
    EXPECT_TRUE(std::filesystem::is_regular_file(path()));
    EXPECT_FALSE(sockets_->listen_unix(std::string(200, 'x')));
}

class Collector final : public UdpSink {
public:
    void on_datagrams(std::span<Datagram> datagrams, TimePoint) override {
        EXPECT_LE(datagrams.size(), packet::PacketBatch::kCapacity);
        for (Datagram& datagram : datagrams) {
            EXPECT_EQ(datagram.payload.headroom(), packet::kHeadroom);
            sizes_.push_back(datagram.payload.size());
            from_ = datagram.remote;
            if (keep_) kept_.push_back(std::move(datagram.payload));
        }
    }
    std::vector<std::size_t> sizes_;
    Endpoint from_;
    bool keep_ = false;
    std::vector<PacketBuf> kept_;
};

class UdpTest : public SocketsTest {
protected:
    UdpTest() {
        a_->start(a_sink_);
        b_->start(b_sink_);
    }
    ~UdpTest() override {
        a_.reset();
        b_.reset();
    }
    std::size_t send(const std::vector<std::size_t>& sizes) {
        std::vector<Datagram> out;
        for (const std::size_t size : sizes)
            out.push_back({pool_.copy(Bytes(size, 'd')), b_->local()});
        return a_->send(out);
    }
    Collector a_sink_;
    Collector b_sink_;
    UdpSocketPtr a_ = sockets_->open_udp({kLoopback, 0}, {}).value();
    UdpSocketPtr b_ = sockets_->open_udp({kLoopback, 0}, {}).value();
};

TEST_F(UdpTest, TrainsOfMixedSizesArriveWholeAndInOrder) {
    std::vector<std::size_t> sizes(40, 1400);
    sizes.insert(sizes.end(), {700, 1400, 1400, 20, 20, 0, 30, 1, 2000, 2000});
    EXPECT_EQ(send(sizes), sizes.size());
    EXPECT_TRUE(loop_.run_until([&] { return b_sink_.sizes_.size() >= sizes.size(); }));
    EXPECT_EQ(b_sink_.sizes_, sizes);
    EXPECT_EQ(b_sink_.from_, a_->local());
    EXPECT_EQ(a_->stats().tx_datagrams, sizes.size());
    EXPECT_EQ(b_->stats().rx_datagrams, sizes.size());
}

TEST_F(UdpTest, WhatIsLongerThanABlockIsDroppedAndCounted) {
    const Fd raw(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const SocketAddress to(b_->local());
    const Bytes big(5000, 'x');
    ASSERT_EQ(::sendto(raw.get(), big.data(), big.size(), 0, to.get(), to.size), 5000);
    EXPECT_EQ(send({100}), 1U);
    EXPECT_TRUE(loop_.run_until([&] { return !b_sink_.sizes_.empty(); }));
    EXPECT_EQ(b_sink_.sizes_, std::vector<std::size_t>{100});
    EXPECT_EQ(b_->stats().rx_too_large, 1U);
}

TEST_F(UdpTest, AnEmptyPoolPausesReadingUntilBlocksComeBack) {
    b_sink_.keep_ = true;
    std::size_t sent = 0;
    while (pool_.available() > 0) {
        ASSERT_EQ(send({50}), 1U);
        ++sent;
        loop_.run_until([&] { return b_sink_.kept_.size() == sent; });
    }
    const Fd raw(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const SocketAddress to(b_->local());
    ASSERT_EQ(::sendto(raw.get(), "late", 4, 0, to.get(), to.size), 4);
    EXPECT_TRUE(loop_.run_until([&] { return b_->stats().rx_pauses > 0; }));
    EXPECT_EQ(b_sink_.kept_.size(), sent);
    b_sink_.kept_.clear();
    EXPECT_TRUE(loop_.run_until([&] { return b_sink_.kept_.size() == 1; }));
    EXPECT_EQ(b_sink_.sizes_.back(), 4U);
    b_sink_.kept_.clear();
}

TEST_F(UdpTest, SendingToNowhereIsADropAndNotAFailure) {
    Datagram nowhere{pool_.copy(Bytes(10, 'n')), {IpAddress::v4(0, 0, 0, 0), 0}};
    EXPECT_EQ(a_->send({&nowhere, 1}), 0U);
    EXPECT_EQ(a_->stats().tx_dropped, 1U);
    EXPECT_EQ(send({10}), 1U);
}

TEST_F(UdpTest, ASocketMayBeClosedByItsOwnSink) {
    class Closer final : public UdpSink {
    public:
        explicit Closer(UdpSocketPtr& socket) : socket_(socket) {}
        void on_datagrams(std::span<Datagram>, TimePoint) override {
            ++calls_;
            socket_.reset();
        }
        UdpSocketPtr& socket_;
        int calls_ = 0;
    };
    auto socket = sockets_->open_udp({kLoopback, 0}, {}).value();
    Closer closer(socket);
    socket->start(closer);
    std::vector<Datagram> out;
    for (int i = 0; i < 3; ++i)
        out.push_back({pool_.copy(Bytes(static_cast<std::size_t>(10 + i), 'd')), socket->local()});
    a_->send(out);
    EXPECT_TRUE(loop_.run_until([&] { return socket == nullptr; }));
    loop_.settle();
    EXPECT_EQ(closer.calls_, 1);
}

}  // namespace
}  // namespace selvage::host
