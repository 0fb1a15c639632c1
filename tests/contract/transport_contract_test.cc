// What every transport promises, checked for each row of the table: whole packets in, the same
// packets out; bounded memory; exactly one on_closed; garbage is survived.
#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "loop_world.h"
#include "packet/peer_header.h"
#include "tunnel/memory_hub.h"
#include "tunnel/transport.h"

namespace selvage::tunnel {
namespace {

using packet::PacketBatch;
using packet::PacketBuf;
using packet::PacketType;
using packet::PeerHeader;

class Recorder final : public TunnelSink {
public:
    void on_packets(PacketBatch&& batch) override {
        EXPECT_EQ(closed_, 0) << "packets after on_closed";
        EXPECT_FALSE(batch.empty());
        for (PacketBuf& packet : batch) {
            packets_.emplace_back(packet.bytes().begin(), packet.bytes().end());
            EXPECT_GE(packet.headroom(), packet::kHeadroom) << "no room for the next header";
        }
        if (then_) then_();
    }
    void on_closed(const Error& reason) override {
        ++closed_;
        reason_ = reason;
    }
    std::vector<Bytes> packets_;
    int closed_ = 0;
    Error reason_ = Errc::internal;
    std::function<void()> then_;
};

Bytes make_packet(std::size_t size, std::uint32_t number, PacketType type = PacketType::data) {
    Bytes out(size, static_cast<std::uint8_t>(number));
    PeerHeader header;
    // Of one flow: transports keep the order within each, and may let others go before it.
    header.from_peer = 1;
    header.hops = static_cast<std::uint8_t>(number);
    header.type = static_cast<std::uint8_t>(type);
    header.payload_len = static_cast<std::uint32_t>(size - sizeof header);
    std::memcpy(out.data(), &header, sizeof header);
    return out;
}

rt::Task<> connect_into(
    TransportContext& context, const TransportSpec& spec, Url url,
    std::optional<Result<TunnelPtr>>& out
) {
    const auto literal = IpAddress::parse(url.host);
    out = co_await spec.connect(context, url, literal.value_or(IpAddress()));
}

rt::Task<> accept_into(TunnelAcceptor& acceptor, std::optional<Result<TunnelPtr>>& out) {
    out = co_await acceptor.accept();
}

class TransportContract : public testing::TestWithParam<std::string> {
public:
    TransportContract() {
        std::string pattern = (std::filesystem::temp_directory_path() / "contractXXXXXX").string();
        directory_ = ::mkdtemp(pattern.data());
        client_.options.udp_connect_limit = 300ms;
        client_.options.udp_syn_interval = 100ms;
    }
    ~TransportContract() override {
        near_.reset();
        far_.reset();
        acceptor_.reset();
        EXPECT_TRUE(world_.close(tasks_)) << "tasks are left";
        EXPECT_TRUE(world_.close(client_.tasks)) << "tasks are left";
        EXPECT_TRUE(world_.close(server_.tasks)) << "tasks are left";
        world_.settle();
        EXPECT_EQ(client_pool_.in_use(), 0U);
        EXPECT_EQ(world_.pool().in_use(), 0U);
        std::filesystem::remove_all(directory_);
    }

protected:
    const TransportSpec& spec() { return *find_transport(Url::parse(GetParam()).value().scheme); }
    bool is_datagram() { return !spec().traits.reliable; }

    Url listener_url() {
        std::string text = GetParam();
        if (const auto at = text.find("/DIR"); at != std::string::npos) {
            text.replace(at, 4, directory_);
        }
        return Url::parse(text).value();
    }

    void listen() {
        auto acceptor = spec().listen(server_, listener_url());
        ASSERT_TRUE(acceptor) << acceptor.error().message();
        acceptor_ = std::move(*acceptor);
    }

    // Two joined tunnels; a datagram transport accepts with the first packet, which is taken here.
    void join() {
        listen();
        std::optional<Result<TunnelPtr>> connected;
        std::optional<Result<TunnelPtr>> accepted;
        tasks_.spawn("accept", accept_into(*acceptor_, accepted));
        tasks_.spawn("connect", connect_into(client_, spec(), acceptor_->url(), connected));
        ASSERT_TRUE(world_.run_until([&] { return connected.has_value(); }));
        ASSERT_TRUE(*connected) << connected->error().message();
        near_ = std::move(**connected);
        send(*near_, client_pool_, {make_packet(16, 7, PacketType::ping)});
        ASSERT_TRUE(world_.run_until([&] { return accepted.has_value(); }));
        ASSERT_TRUE(*accepted) << accepted->error().message();
        far_ = std::move(**accepted);
    }
    void join_and_start() {
        join();
        ASSERT_TRUE(near_ && far_);
        near_->start(near_sink_);
        far_->start(far_sink_);
        ASSERT_TRUE(world_.run_until([&] { return far_sink_.packets_.size() == 1; }));
        far_sink_.packets_.clear();
    }

    static void send(Tunnel& tunnel, packet::PacketPool& pool, const std::vector<Bytes>& packets) {
        PacketBatch batch;
        for (const Bytes& bytes : packets) {
            PacketBuf packet = pool.copy(bytes);
            if (!packet) continue;
            batch.push(std::move(packet));
            if (batch.full()) {
                tunnel.send(std::move(batch));
                batch = PacketBatch();
            }
        }
        if (!batch.empty()) tunnel.send(std::move(batch));
    }

    std::string directory_;
    test::LoopWorld world_;
    packet::PacketPool client_pool_;
    std::unique_ptr<host::Sockets> client_sockets_ =
        host::make_linux_sockets(world_.runtime(), client_pool_);
    MemoryHub hub_;
    TransportContext client_{world_.runtime(), *client_sockets_, client_pool_, {}, Log(), &hub_};
    TransportContext server_{world_.runtime(), world_.sockets(), world_.pool(), {}, Log(), &hub_};
    rt::TaskScope tasks_{world_.runtime(), Log()};
    Recorder near_sink_;
    Recorder far_sink_;
    TunnelAcceptorPtr acceptor_;
    TunnelPtr near_;
    TunnelPtr far_;
};

TEST_P(TransportContract, CarriesWholePacketsOfEverySizeBothWays) {
    ASSERT_NO_FATAL_FAILURE(join_and_start());
    std::vector<Bytes> packets;
    for (const std::size_t size :
         {16U, 17U, 20U, 100U, 1000U, 1400U, 1400U, 1400U, 999U, 1999U, 2000U}) {
        packets.push_back(make_packet(size, static_cast<std::uint32_t>(packets.size())));
    }
    send(*near_, client_pool_, packets);
    send(*far_, world_.pool(), packets);
    EXPECT_TRUE(world_.run_until([&] {
        return far_sink_.packets_.size() == packets.size() &&
               near_sink_.packets_.size() == packets.size();
    }));
    EXPECT_EQ(far_sink_.packets_, packets);
    EXPECT_EQ(near_sink_.packets_, packets);
    EXPECT_EQ(near_->stats().rx_packets, packets.size());
    EXPECT_EQ(far_->stats().tx_packets, packets.size());
    EXPECT_EQ(near_->stats().rx_bytes, far_->stats().tx_bytes);
}

TEST_P(TransportContract, ATrainOfManyPacketsArrivesInOrder) {
    ASSERT_NO_FATAL_FAILURE(join_and_start());
    std::vector<Bytes> packets;
    packets.reserve(300);
    for (std::uint32_t i = 0; i < 300; ++i)
        packets.push_back(make_packet(i % 50 == 0 ? 700 : 1400, i));
    send(*near_, client_pool_, packets);
    EXPECT_TRUE(world_.run_until([&] { return far_sink_.packets_.size() == packets.size(); }))
        << far_sink_.packets_.size() << " of " << packets.size() << " arrived";
    EXPECT_EQ(far_sink_.packets_, packets);
}

TEST_P(TransportContract, DropsWhatNoPeerWouldTake) {
    ASSERT_NO_FATAL_FAILURE(join_and_start());
    send(*near_, client_pool_, {Bytes(15, 1)});
    send(*near_, client_pool_, {make_packet(16, 2)});
    EXPECT_TRUE(world_.run_until([&] { return far_sink_.packets_.size() == 1; }));
    EXPECT_EQ(far_sink_.packets_.front(), make_packet(16, 2));
    EXPECT_EQ(near_->stats().tx_dropped, 1U);
}

TEST_P(TransportContract, SaysWhoIsAtBothEnds) {
    ASSERT_NO_FATAL_FAILURE(join());
    const std::string scheme(spec().scheme);
    EXPECT_EQ(near_->info().scheme, scheme);
    EXPECT_EQ(far_->info().scheme, scheme);
    EXPECT_EQ(near_->info().remote, acceptor_->url().to_string());
    EXPECT_EQ(far_->info().local, acceptor_->url().to_string());
    EXPECT_TRUE(far_->info().remote.starts_with(scheme + "://")) << far_->info().remote;
}

TEST_P(TransportContract, APeerThatDoesNotReadCostsABoundedAmount) {
    ASSERT_NO_FATAL_FAILURE(join());
    near_->start(near_sink_);
    for (std::uint32_t round = 0; round < 300; ++round) {
        send(*near_, client_pool_, std::vector<Bytes>(64, make_packet(1400, round)));
        world_.run_until([turns = 0]() mutable { return ++turns > 1; });
        ASSERT_LE(client_pool_.in_use(), 1024U) << "round " << round;
        ASSERT_LE(world_.pool().in_use(), 1024U) << "round " << round;
    }
    EXPECT_EQ(near_sink_.closed_, 0) << near_sink_.reason_.message();
    EXPECT_GT(near_->stats().tx_dropped + far_->stats().rx_dropped, 0U);
}

TEST_P(TransportContract, ClosingIsReportedOnceAndNeverFromInside) {
    ASSERT_NO_FATAL_FAILURE(join_and_start());
    near_->close();
    near_->close();
    EXPECT_EQ(near_sink_.closed_, 0) << "reported from inside close()";
    send(*near_, client_pool_, {make_packet(100, 1)});
    EXPECT_TRUE(world_.run_until([&] { return near_sink_.closed_ > 0; }));
    if (!is_datagram()) {
        EXPECT_TRUE(world_.run_until([&] { return far_sink_.closed_ > 0; }));
    }
    world_.settle();
    EXPECT_EQ(near_sink_.closed_, 1);
    EXPECT_EQ(far_sink_.closed_, is_datagram() ? 0 : 1);
}

TEST_P(TransportContract, ClosingBeforeTheStartIsReportedAfterIt) {
    ASSERT_NO_FATAL_FAILURE(join());
    near_->close();
    world_.settle();
    near_->start(near_sink_);
    EXPECT_EQ(near_sink_.closed_, 0) << "reported from inside start()";
    EXPECT_TRUE(world_.run_until([&] { return near_sink_.closed_ > 0; }));
    world_.settle();
    EXPECT_EQ(near_sink_.closed_, 1);
}

TEST_P(TransportContract, AHandleThatGoesReportsNothing) {
    ASSERT_NO_FATAL_FAILURE(join_and_start());
    send(*near_, client_pool_, {make_packet(100, 1)});
    near_.reset();
    world_.settle();
    EXPECT_EQ(near_sink_.closed_, 0);
    if (!is_datagram()) {
        EXPECT_TRUE(world_.run_until([&] { return far_sink_.closed_ == 1; }));
    }
}

TEST_P(TransportContract, TheSinkMaySendAndCloseFromInside) {
    ASSERT_NO_FATAL_FAILURE(join_and_start());
    far_sink_.then_ = [&] { send(*far_, world_.pool(), {make_packet(50, 9)}); };
    near_sink_.then_ = [&] {
        near_->close();
        EXPECT_EQ(near_sink_.closed_, 0);
    };
    send(*near_, client_pool_, {make_packet(40, 8)});
    EXPECT_TRUE(world_.run_until([&] { return near_sink_.closed_ == 1; }));
    EXPECT_EQ(near_sink_.packets_.size(), 1U);
    EXPECT_TRUE(near_sink_.reason_.is(Errc::closed)) << near_sink_.reason_.message();
}

TEST_P(TransportContract, ConnectingToNobodyFailsWithAReason) {
    ASSERT_NO_FATAL_FAILURE(listen());
    const Url url = acceptor_->url();
    acceptor_.reset();
    std::optional<Result<TunnelPtr>> connected;
    tasks_.spawn("connect", connect_into(client_, spec(), url, connected));
    ASSERT_TRUE(world_.run_until([&] { return connected.has_value(); }));
    ASSERT_FALSE(*connected);
    EXPECT_THAT(connected->error().message(), testing::HasSubstr(url.to_string()));
}

TEST_P(TransportContract, ACancelledConnectLeavesNothingBehind) {
    ASSERT_NO_FATAL_FAILURE(listen());
    std::optional<Result<TunnelPtr>> connected;
    rt::TaskScope scope(world_.runtime(), Log());
    scope.spawn("connect", connect_into(client_, spec(), acceptor_->url(), connected));
    EXPECT_TRUE(world_.close(scope));
    world_.settle();
    EXPECT_EQ(client_pool_.in_use(), 0U);
}

TEST_P(TransportContract, AcceptEndsWhenTheListenerCloses) {
    ASSERT_NO_FATAL_FAILURE(listen());
    std::optional<Result<TunnelPtr>> accepted;
    tasks_.spawn("accept", accept_into(*acceptor_, accepted));
    world_.settle();
    EXPECT_FALSE(accepted.has_value());
    acceptor_->close();
    acceptor_->close();
    ASSERT_TRUE(world_.run_until([&] { return accepted.has_value(); }));
    EXPECT_TRUE(accepted->error().is(Errc::closed)) << accepted->error().message();
}

TEST_P(TransportContract, AListenerThatClosesLeavesItsTunnelsAlone) {
    ASSERT_NO_FATAL_FAILURE(join_and_start());
    acceptor_.reset();
    send(*near_, client_pool_, {make_packet(64, 3)});
    send(*far_, world_.pool(), {make_packet(64, 4)});
    EXPECT_TRUE(world_.run_until([&] {
        return far_sink_.packets_.size() == 1 && near_sink_.packets_.size() == 1;
    }));
}

TEST_P(TransportContract, AnAddressInUseIsRefused) {
    ASSERT_NO_FATAL_FAILURE(listen());
    auto second = spec().listen(server_, acceptor_->url());
    ASSERT_FALSE(second);
    EXPECT_TRUE(second.error().is(Errc::in_use)) << second.error().message();
}

TEST_P(TransportContract, TunnelsOfOneListenerAreApart) {
    ASSERT_NO_FATAL_FAILURE(join_and_start());
    TunnelPtr first = std::move(near_);
    std::optional<Result<TunnelPtr>> connected;
    std::optional<Result<TunnelPtr>> accepted;
    tasks_.spawn("accept", accept_into(*acceptor_, accepted));
    tasks_.spawn("connect", connect_into(client_, spec(), acceptor_->url(), connected));
    ASSERT_TRUE(world_.run_until([&] { return connected.has_value(); }));
    TunnelPtr second = std::move(**connected);
    send(*second, client_pool_, {make_packet(33, 33)});
    ASSERT_TRUE(world_.run_until([&] { return accepted.has_value(); }));
    Recorder other;
    (**accepted)->start(other);
    ASSERT_TRUE(world_.run_until([&] { return other.packets_.size() == 1; }));
    second.reset();
    accepted.reset();
    send(*first, client_pool_, {make_packet(44, 44)});
    EXPECT_TRUE(world_.run_until([&] { return far_sink_.packets_.size() == 1; }));
    EXPECT_EQ(far_sink_.packets_.back(), make_packet(44, 44));
    first.reset();
}

rt::Task<> write_raw(
    host::Sockets& sockets, MemoryHub& hub, rt::Runtime& runtime, Url url, Bytes bytes
) {
    Result<rt::StreamPtr> stream = Errc::unsupported;
    if (url.scheme == "tcp") {
        const Endpoint remote{IpAddress::parse(url.host).value(), url.port};
        stream = co_await sockets.connect_tcp(remote);
    } else if (url.scheme == "unix") {
        stream = co_await sockets.connect_unix(url.path);
    } else if (url.scheme == "mem") {
        stream = hub.connect(runtime, url.host);
    }
    if (!stream) {
        ADD_FAILURE() << stream.error().message();
        co_return;
    }
    (void)co_await (*stream)->write_all(bytes);
    (void)(*stream)->shutdown_write();
    // Until the other side has had enough.
    while (const auto got = co_await (*stream)->read_some(bytes)) {
        if (*got == 0) break;
    }
}

// As a listener of our own would send to itself, if it could.
void send_raw_datagrams(
    host::Sockets& sockets, packet::PacketPool& pool, const Url& url,
    const std::vector<Bytes>& datagrams
) {
    const IpAddress address = IpAddress::parse(url.host).value();
    auto socket = sockets.open_udp({address, 0}, {}).value();
    std::vector<host::Datagram> out;
    out.reserve(datagrams.size());
    for (const Bytes& bytes : datagrams)
        out.push_back({pool.copy(bytes), {address, url.port}});
    EXPECT_EQ(socket->send(out), datagrams.size());
}

TEST_P(TransportContract, GarbageFromAStrangerEndsItsTunnelOrIsIgnored) {
    ASSERT_NO_FATAL_FAILURE(join_and_start());
    if (is_datagram()) {
        send_raw_datagrams(
            *client_sockets_, client_pool_, acceptor_->url(),
            {Bytes(), Bytes(3, 0xff), Bytes(8, 0), Bytes(100, 0xff), Bytes(2000, 3)}
        );
        EXPECT_TRUE(world_.run_until([&] { return server_.stats.udp_malformed >= 4; }));
    } else {
        std::optional<Result<TunnelPtr>> accepted;
        tasks_.spawn("accept", accept_into(*acceptor_, accepted));
        tasks_.spawn(
            "garbage",
            write_raw(*client_sockets_, hub_, world_.runtime(), acceptor_->url(), Bytes(5000, 0xff))
        );
        ASSERT_TRUE(world_.run_until([&] { return accepted.has_value(); }));
        ASSERT_TRUE(*accepted);
        Recorder stranger;
        (**accepted)->start(stranger);
        EXPECT_TRUE(world_.run_until([&] { return stranger.closed_ > 0; }));
        EXPECT_TRUE(stranger.reason_.is(Errc::malformed)) << stranger.reason_.message();
        EXPECT_TRUE(stranger.packets_.empty());
        world_.settle();
        EXPECT_EQ(stranger.closed_, 1);
    }
    send(*near_, client_pool_, {make_packet(77, 7)});
    EXPECT_TRUE(world_.run_until([&] { return far_sink_.packets_.size() == 1; }))
        << "the tunnel of somebody else suffered";
}

// How to listen for each scheme; /DIR is a fresh directory.
std::vector<std::string> listener_urls_of(std::string_view scheme) {
    if (scheme == "tcp") return {"tcp://127.0.0.1:0", "tcp://[::1]:0"};
    if (scheme == "udp") return {"udp://127.0.0.1:0", "udp://[::1]:0"};
    if (scheme == "unix") return {"unix:///DIR/s"};
    if (scheme == "mem") return {"mem://a"};
    ADD_FAILURE() << "tell this suite how to listen for " << scheme;
    return {};
}

std::vector<std::string> all_listener_urls() {
    std::vector<std::string> out;
    for (const TransportSpec* row : transports()) {
        for (std::string& url : listener_urls_of(row->scheme))
            out.push_back(std::move(url));
    }
    return out;
}

INSTANTIATE_TEST_SUITE_P(
    Loopback, TransportContract, testing::ValuesIn(all_listener_urls()),
    [](const testing::TestParamInfo<std::string>& info) {
        const Url url = Url::parse(info.param).value();
        return url.scheme + (url.host == "::1" ? "6" : "");
    }
);

}  // namespace
}  // namespace selvage::tunnel
