// UDP sessions in virtual time, with the test as the network.
#include "tunnel/udp_port.h"

#include "packet/peer_header.h"
#include "rt/virtual_runtime.h"

namespace selvage::tunnel {
namespace {

using packet::PacketBatch;
using packet::PacketBuf;
using packet::PacketPool;

const Endpoint kPeer{IpAddress::v4(192, 0, 2, 7), 7000};
const Endpoint kOther{IpAddress::v4(192, 0, 2, 8), 8000};

// A UDP socket whose datagrams the test sends and reads.
class Wire {
public:
    struct Sent {
        Endpoint to;
        Bytes bytes;
        friend bool operator==(const Sent&, const Sent&) = default;
    };
    explicit Wire(PacketPool& pool) : pool_(pool) {}

    void arrive(const Endpoint& from, const std::vector<Bytes>& datagrams, TimePoint now) {
        std::vector<host::Datagram> batch;
        for (const Bytes& bytes : datagrams)
            batch.push_back({pool_.copy(bytes), from});
        if (sink_ != nullptr) sink_->on_datagrams(batch, now);
    }
    std::vector<Sent> take_sent() { return std::exchange(sent_, {}); }

    PacketPool& pool_;
    host::UdpSink* sink_ = nullptr;
    std::vector<Sent> sent_;
    int open_ = 0;
};

class WireSocket final : public host::UdpSocket {
public:
    explicit WireSocket(Wire& wire) : wire_(wire) { ++wire_.open_; }
    WireSocket(const WireSocket&) = delete;
    WireSocket& operator=(const WireSocket&) = delete;
    ~WireSocket() override {
        close();
        --wire_.open_;
    }
    void start(host::UdpSink& sink) override { wire_.sink_ = &sink; }
    std::size_t send(std::span<host::Datagram> datagrams) override {
        for (host::Datagram& datagram : datagrams) {
            const auto bytes = datagram.payload.bytes();
            wire_.sent_.push_back({datagram.remote, Bytes(bytes.begin(), bytes.end())});
            datagram.payload = {};
        }
        return datagrams.size();
    }
    Endpoint local() const override { return {IpAddress(), 5555}; }
    void close() override { wire_.sink_ = nullptr; }

private:
    Wire& wire_;
};

class WireSockets final : public host::Sockets {
public:
    explicit WireSockets(Wire& wire) : wire_(wire) {}
    rt::Task<Result<rt::StreamPtr>> connect_tcp(Endpoint) override { co_return Errc::unsupported; }
    Result<rt::AcceptorPtr> listen_tcp(Endpoint, host::TcpListenOptions) override {
        return Errc::unsupported;
    }
    Result<host::UdpSocketPtr> open_udp(Endpoint, host::UdpOptions) override {
        return std::make_unique<WireSocket>(wire_);
    }
    rt::Task<Result<std::vector<IpAddress>>> resolve(std::string) override {
        co_return Errc::unsupported;
    }
    rt::Task<Result<rt::StreamPtr>> connect_unix(std::string) override {
        co_return Errc::unsupported;
    }
    Result<rt::AcceptorPtr> listen_unix(std::string) override { return Errc::unsupported; }

private:
    Wire& wire_;
};

class Recorder final : public TunnelSink {
public:
    void on_packets(PacketBatch&& batch) override {
        for (PacketBuf& packet : batch)
            sizes_.push_back(packet.size());
    }
    void on_closed(const Error&) override { ++closed_; }
    std::vector<std::size_t> sizes_;
    int closed_ = 0;
};

Bytes data(std::uint32_t conn_id, std::size_t size) {
    const UdpHeader header = build_udp_header(conn_id, UdpType::data, size);
    Bytes out(sizeof header + size);
    std::memcpy(out.data(), &header, sizeof header);
    return out;
}

rt::Task<> into(rt::Task<Result<TunnelPtr>> task, std::optional<Result<TunnelPtr>>& out) {
    out = co_await std::move(task);
}

class UdpPortTest : public testing::Test {
protected:
    ~UdpPortTest() override {
        if (port_) port_->stop_accepting();
        result_.reset();
        port_.reset();
        runtime_.run(tasks_.close());
        runtime_.run(context_.tasks.close());
        runtime_.run_ready();
        EXPECT_EQ(wire_.open_, 0) << "a socket was left";
        EXPECT_EQ(pool_.in_use(), 0U);
    }
    void listen() {
        port_ = UdpPort::open(context_, {}, Url::parse("udp://0.0.0.0:0").value()).value();
        accept();
    }
    void accept() {
        result_.reset();
        tasks_.spawn("accept", into(UdpPort::accept(port_), result_));
        runtime_.run_ready();
    }
    void connect() {
        auto port = UdpPort::open(context_, {}, std::nullopt).value();
        tasks_.spawn("connect", into(UdpPort::connect(port, kPeer, "udp://peer:7000"), result_));
        runtime_.run_ready();
    }
    void arrive(const Endpoint& from, const std::vector<Bytes>& datagrams) {
        wire_.arrive(from, datagrams, runtime_.now());
        runtime_.run_ready();
    }
    static Bytes syn(std::uint32_t conn_id, std::uint64_t magic = 99) {
        return build_udp_opening(conn_id, UdpType::syn, magic);
    }

    rt::VirtualRuntime runtime_;
    PacketPool pool_{512};
    Wire wire_{pool_};
    WireSockets sockets_{wire_};
    TransportContext context_{.runtime = runtime_, .sockets = sockets_, .pool = pool_};
    rt::TaskScope tasks_{runtime_, Log()};
    std::shared_ptr<UdpPort> port_;
    std::optional<Result<TunnelPtr>> result_;
};

TEST_F(UdpPortTest, TheListenerAnswersEverySynAndAcceptsWithTheFirstData) {
    listen();
    arrive(kPeer, {syn(1, 0x1122)});
    arrive(kPeer, {syn(1, 0x3344)});
    const auto sent = wire_.take_sent();
    ASSERT_EQ(sent.size(), 2U);
    EXPECT_EQ(sent[0], (Wire::Sent{kPeer, build_udp_opening(1, UdpType::sack, 0x1122)}));
    EXPECT_EQ(sent[1], (Wire::Sent{kPeer, build_udp_opening(1, UdpType::sack, 0x3344)}));
    EXPECT_FALSE(result_.has_value());
    arrive(kPeer, {data(1, 40), data(1, 50)});
    ASSERT_TRUE(result_ && *result_);
    EXPECT_EQ((**result_)->info().remote, "udp://192.0.2.7:7000");
    EXPECT_EQ((**result_)->info().local, "udp://0.0.0.0:5555");
    Recorder sink;
    (**result_)->start(sink);
    runtime_.run_ready();
    EXPECT_THAT(sink.sizes_, testing::ElementsAre(40U, 50U));
    arrive(kPeer, {syn(1, 0x5566)});
    EXPECT_EQ(wire_.take_sent().size(), 1U) << "also for a live session";
    EXPECT_EQ(port_->session_count(), 1U);
    result_.reset();
}

TEST_F(UdpPortTest, SessionsAreKnownByAddressAndId) {
    listen();
    arrive(kPeer, {syn(1), syn(2)});
    arrive(kOther, {syn(1)});
    arrive(kPeer, {data(1, 20)});
    arrive(kOther, {data(1, 30)});
    arrive(kPeer, {data(2, 40)});
    EXPECT_EQ(port_->session_count(), 3U);
    arrive(kOther, {data(2, 50)});
    EXPECT_EQ(context_.stats.udp_unknown_session, 1U);
    EXPECT_EQ(port_->session_count(), 3U);
}

// 1-link.md section 1.8: a packet without a whole peer header ends the connection, silently.
TEST_F(UdpPortTest, APacketShorterThanItsHeaderEndsItsSession) {
    listen();
    arrive(kPeer, {syn(1), data(1, 20)});
    ASSERT_TRUE(result_ && *result_);
    Recorder sink;
    (**result_)->start(sink);
    runtime_.run_ready();
    (void)wire_.take_sent();
    arrive(kOther, {data(1, 15)});
    EXPECT_EQ(port_->session_count(), 1U) << "another address has no session to end";
    arrive(kPeer, {data(1, 15)});
    EXPECT_EQ(port_->session_count(), 0U);
    EXPECT_EQ(context_.stats.udp_malformed, 2U);
    EXPECT_TRUE(wire_.take_sent().empty());
}

TEST_F(UdpPortTest, GarbageIsCountedAndIgnored) {
    listen();
    arrive(kPeer, {syn(1), data(1, 20)});
    ASSERT_TRUE(result_ && *result_);
    Recorder sink;
    (**result_)->start(sink);
    runtime_.run_ready();
    Bytes wrong_length = data(1, 40);
    wrong_length.push_back(0);
    Bytes long_syn = syn(2);
    long_syn.push_back(0);
    long_syn[6] = 9;
    arrive(kPeer, {{}, {1, 2, 3}, wrong_length, long_syn});
    EXPECT_EQ(context_.stats.udp_malformed, 4U);
    for (const int type : {0, 4, 5, 6, 7, 200}) {
        Bytes strange = data(1, 6);
        strange[4] = static_cast<std::uint8_t>(type);
        arrive(kPeer, {strange});
    }
    EXPECT_EQ(context_.stats.udp_ignored_type, 6U);
    arrive(kPeer, {build_udp_opening(1, UdpType::sack, 5)});
    EXPECT_EQ(context_.stats.udp_unknown_session, 1U);
    EXPECT_THAT(sink.sizes_, testing::ElementsAre(20U));
    EXPECT_EQ(sink.closed_, 0);
    result_.reset();
}

TEST_F(UdpPortTest, AFloodOfSynsIsBoundedAndForgotten) {
    context_.options.udp_half_open_limit = 50;
    listen();
    for (std::uint32_t id = 1; id <= 1000; ++id)
        arrive({IpAddress::v4(id), 1}, {syn(id)});
    EXPECT_EQ(port_->half_open_count(), 50U);
    EXPECT_EQ(context_.stats.udp_refused, 950U);
    // Whoever came last is not the one who pays.
    arrive({IpAddress::v4(1000), 1}, {data(1000, 20)});
    EXPECT_TRUE(result_ && *result_);
    runtime_.run_for(11s);
    arrive(kPeer, {syn(7)});
    EXPECT_EQ(port_->half_open_count(), 1U);
    arrive({IpAddress::v4(999), 1}, {data(999, 20)});
    EXPECT_EQ(port_->session_count(), 1U) << "999 came too late";
    result_.reset();
}

TEST_F(UdpPortTest, SessionsAreBoundedInTotalPerAddressAndBeforeAccept) {
    context_.options.udp_sessions_per_address = 3;
    context_.options.accept_queue = 5;
    listen();
    for (std::uint32_t id = 1; id <= 10; ++id)
        arrive(kPeer, {syn(id), data(id, 20)});
    EXPECT_EQ(port_->session_count(), 3U);
    for (std::uint32_t id = 1; id <= 20; ++id)
        arrive({IpAddress::v4(id), 1}, {syn(id), data(id, 20)});
    // One of them was accepted, five wait.
    EXPECT_EQ(port_->session_count(), 6U);
    result_.reset();
    EXPECT_EQ(port_->session_count(), 5U) << "a session ends with its tunnel";
}

TEST_F(UdpPortTest, BeforeTheStartABoundedNumberOfPacketsIsKept) {
    context_.options.unstarted_packets = 10;
    listen();
    arrive(kPeer, {syn(1)});
    for (int i = 0; i < 100; ++i)
        arrive(kPeer, {data(1, 20)});
    ASSERT_TRUE(result_ && *result_);
    EXPECT_EQ(pool_.in_use(), 10U);
    EXPECT_EQ((**result_)->stats().rx_dropped, 90U);
    result_.reset();
    EXPECT_EQ(pool_.in_use(), 0U);
}

TEST_F(UdpPortTest, TheConnectorRepeatsItsSynAndGivesUp) {
    connect();
    runtime_.run_for(10s);
    ASSERT_TRUE(result_.has_value());
    EXPECT_TRUE(result_->error().is(Errc::timed_out));
    const auto sent = wire_.take_sent();
    ASSERT_EQ(sent.size(), 3U) << "at once, after one and after two seconds";
    EXPECT_EQ(sent[0], sent[1]);
    EXPECT_EQ(sent[0], sent[2]);
    EXPECT_EQ(sent[0].to, kPeer);
    EXPECT_EQ(sent[0].bytes.size(), 16U);
}

TEST_F(UdpPortTest, TheConnectorTakesTheAddressThatTheSackCameFrom) {
    connect();
    const auto sent = wire_.take_sent();
    ASSERT_EQ(sent.size(), 1U);
    const auto frame = parse_udp_frame(sent[0].bytes).value();
    const auto sack = [&](std::uint32_t id, std::uint64_t magic) {
        return build_udp_opening(id, UdpType::sack, magic);
    };
    arrive(kOther, {sack(frame.conn_id, magic_of(frame) + 1), sack(frame.conn_id + 1, 0)});
    EXPECT_FALSE(result_.has_value()) << "a wrong magic or id is nothing";
    arrive(kOther, {sack(frame.conn_id, magic_of(frame)), data(frame.conn_id, 33)});
    ASSERT_TRUE(result_ && *result_);
    Tunnel& tunnel = ***result_;
    EXPECT_EQ(tunnel.info().remote, "udp://peer:7000");
    EXPECT_EQ(tunnel.info().resolved_remote, "udp://192.0.2.8:8000");
    Recorder sink;
    tunnel.start(sink);
    runtime_.run_ready();
    EXPECT_THAT(sink.sizes_, testing::ElementsAre(33U)) << "data right behind the SACK counts";
    arrive(kPeer, {data(frame.conn_id, 44)});
    EXPECT_EQ(sink.sizes_.size(), 1U) << "the session is with the other address now";
    PacketBatch batch;
    batch.push(pool_.copy(Bytes(16, 1)));
    tunnel.send(std::move(batch));
    EXPECT_EQ(wire_.take_sent().back().to, kOther);
    result_.reset();
    EXPECT_EQ(wire_.open_, 0) << "a connector's socket goes with its tunnel";
}

TEST_F(UdpPortTest, AConnectThatIsCancelledAfterItsSackLeavesNothing) {
    connect();
    const auto frame_bytes = wire_.take_sent().front().bytes;
    const auto frame = parse_udp_frame(frame_bytes).value();
    wire_.arrive(
        kPeer, {build_udp_opening(frame.conn_id, UdpType::sack, magic_of(frame))}, runtime_.now()
    );
    tasks_.cancel();
    runtime_.run_ready();
    result_.reset();
    EXPECT_EQ(wire_.open_, 0);
}

}  // namespace
}  // namespace selvage::tunnel
