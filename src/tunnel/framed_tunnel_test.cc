// Frames, the send queue, and tunnels over streams in virtual time.
#include "tunnel/framed_tunnel.h"

#include "rt/memory_stream.h"
#include "rt/virtual_runtime.h"
#include "tunnel/memory_hub.h"
#include "tunnel/send_queue.h"

namespace selvage::tunnel {
namespace {

using packet::PacketBatch;
using packet::PacketBuf;
using packet::PacketPool;
using packet::PacketType;
using packet::PeerHeader;

Bytes make_packet(std::size_t size, PacketType type = PacketType::data, std::uint8_t fill = 0) {
    Bytes out(size, fill);
    PeerHeader header;
    header.type = static_cast<std::uint8_t>(type);
    std::memcpy(out.data(), &header, sizeof header);
    return out;
}

TEST(Framing, TakesFramesOffTheFront) {
    // The ping of protocol document 1-link.md, section 1.1, and the beginning of another frame.
    const Bytes wire = from_hex("14000000040302010d0c0b0a0400010004000000010000001400").value();
    ByteView rest(wire);
    ByteView frame;
    ASSERT_EQ(take_frame(rest, kTcpFrameMax, frame), FrameStatus::complete);
    EXPECT_EQ(to_hex(frame), "040302010d0c0b0a040001000400000001000000");
    EXPECT_EQ(take_frame(rest, kTcpFrameMax, frame), FrameStatus::partial);
    EXPECT_EQ(rest.size(), 2U);
    Bytes built(64);
    EXPECT_EQ(put_frame(built, ByteView(wire).subspan(4, 20)), 24U);
    EXPECT_TRUE(std::equal(built.begin(), built.begin() + 24, wire.begin()));
    EXPECT_EQ(put_frame(MutableByteView(built).first(23), ByteView(wire).subspan(4, 20)), 0U);
}

TEST(Framing, LengthsThatCannotBeAreBadAtOnce) {
    for (const char* wire : {"00000000", "0f000000", "d1070000", "ffffffff"}) {
        const Bytes bytes = from_hex(wire).value();
        ByteView rest(bytes);
        ByteView frame;
        EXPECT_EQ(take_frame(rest, kTcpFrameMax, frame), FrameStatus::bad) << wire;
    }
    const Bytes longest = from_hex("d0070000").value();
    ByteView rest(longest);
    ByteView frame;
    EXPECT_EQ(take_frame(rest, kTcpFrameMax, frame), FrameStatus::partial);
}

constexpr TimePoint kNow{1s};

TEST(SendQueue, ControlGoesFirstAndKeepsItsOrder) {
    PacketPool pool;
    SendQueue queue(pool, {}, {});
    TunnelStats stats;
    for (const auto& [type, fill] :
         {std::pair{PacketType::data, 1},
          {PacketType::ping, 2},
          {PacketType::data, 3},
          {PacketType::rpc_request, 4}}) {
        ASSERT_TRUE(queue.push(
            pool.copy(make_packet(20, type, static_cast<std::uint8_t>(fill))), kNow, stats
        ));
    }
    std::string order;
    while (!queue.empty())
        order += std::to_string(queue.pop(kNow, stats).bytes().back());
    EXPECT_EQ(order, "2413");
}

TEST(SendQueue, FullOfDataDropsTheOldestAndFullOfControlRefuses) {
    PacketPool pool;
    SendQueue queue(pool, {.control_queue_packets = 2, .data_queue_bytes = 3000}, {});
    TunnelStats stats;
    for (std::uint8_t i = 1; i <= 5; ++i) {
        ASSERT_TRUE(queue.push(pool.copy(make_packet(1000, PacketType::data, i)), kNow, stats));
    }
    EXPECT_EQ(stats.tx_dropped, 2U);
    EXPECT_EQ(queue.data_bytes(), 3000U);
    EXPECT_EQ(queue.pop(kNow, stats).bytes().back(), 3);
    EXPECT_TRUE(queue.push(pool.copy(make_packet(16, PacketType::ping)), kNow, stats));
    EXPECT_TRUE(queue.push(pool.copy(make_packet(16, PacketType::ping)), kNow, stats));
    EXPECT_FALSE(queue.push(pool.copy(make_packet(16, PacketType::ping)), kNow, stats));
    queue.clear();
    EXPECT_EQ(pool.in_use(), 0U);
}

TEST(SendQueue, ManyStuckQueuesLeaveBlocksForTheOthers) {
    PacketPool pool(1000);
    TunnelStats stats;
    std::vector<std::unique_ptr<SendQueue>> queues;
    for (int i = 0; i < 8; ++i)
        queues.push_back(std::make_unique<SendQueue>(pool, TunnelOptions{}, SipKey{}));
    for (int round = 0; round < 2000; ++round) {
        for (const auto& queue : queues) {
            PacketBuf packet = pool.copy(make_packet(16));
            ASSERT_TRUE(packet) << "the pool is empty in round " << round;
            ASSERT_TRUE(queue->push(std::move(packet), kNow, stats));
        }
    }
    EXPECT_GE(pool.available(), 100U);
}

class Recorder final : public TunnelSink {
public:
    void on_packets(PacketBatch&& batch) override {
        EXPECT_LE(batch.size(), PacketBatch::kCapacity);
        for (PacketBuf& packet : batch)
            sizes_.push_back(packet.size());
        if (keep_) kept_.push_back(std::move(batch));
    }
    void on_closed(const Error& reason) override {
        ++closed_;
        reason_ = reason;
    }
    std::vector<std::size_t> sizes_;
    int closed_ = 0;
    Error reason_ = Errc::internal;
    bool keep_ = false;
    std::vector<PacketBatch> kept_;
};

// Sockets are for transports on addresses; these tests bring their own streams.
class NoSockets final : public host::Sockets {
public:
    rt::Task<Result<rt::StreamPtr>> connect_tcp(Endpoint) override { co_return Errc::unsupported; }
    Result<rt::AcceptorPtr> listen_tcp(Endpoint, host::TcpListenOptions) override {
        return Errc::unsupported;
    }
    Result<host::UdpSocketPtr> open_udp(Endpoint, host::UdpOptions) override {
        return Errc::unsupported;
    }
    rt::Task<Result<std::vector<IpAddress>>> resolve(std::string) override {
        co_return Errc::unsupported;
    }
    rt::Task<Result<rt::StreamPtr>> connect_unix(std::string) override {
        co_return Errc::unsupported;
    }
    Result<rt::AcceptorPtr> listen_unix(std::string) override { return Errc::unsupported; }
};

class FramedTunnelTest : public testing::Test {
protected:
    ~FramedTunnelTest() override {
        sink_.kept_.clear();
        tunnel_.reset();
        other_.reset();
        runtime_.run(context_.tasks.close());
        EXPECT_EQ(pool_.in_use(), 0U);
    }
    void open(std::size_t capacity = 64 * 1024, std::size_t limit = kTcpFrameMax) {
        auto [near, far] = rt::make_stream_pair(runtime_, {.capacity = capacity});
        other_ = std::move(far);
        tunnel_ = make_framed_tunnel(context_, std::move(near), {.scheme = "test"}, limit);
        tunnel_->start(sink_);
    }
    void write(ByteView bytes) {
        const auto wrote = runtime_.run(other_->write_all(bytes));
        EXPECT_TRUE(wrote) << wrote.error().message();
        runtime_.run_ready();
    }
    void send(const Bytes& packet) {
        PacketBatch batch;
        batch.push(pool_.copy(packet));
        tunnel_->send(std::move(batch));
    }
    static Bytes frame(const Bytes& packet) {
        Bytes out(packet.size() + kFrameHeader);
        put_frame(out, packet);
        return out;
    }

    rt::VirtualRuntime runtime_;
    NoSockets sockets_;
    PacketPool pool_{256};
    TransportContext context_{.runtime = runtime_, .sockets = sockets_, .pool = pool_};
    Recorder sink_;
    rt::StreamPtr other_;
    TunnelPtr tunnel_;
};

TEST_F(FramedTunnelTest, FramesMayComeInAnyPieces) {
    open();
    Bytes wire;
    for (const std::size_t size : {16U, 100U, 2000U}) {
        const Bytes one = frame(make_packet(size));
        wire.insert(wire.end(), one.begin(), one.end());
    }
    for (const std::uint8_t& byte : wire)
        write({&byte, 1});
    EXPECT_THAT(sink_.sizes_, testing::ElementsAre(16U, 100U, 2000U));
    EXPECT_EQ(sink_.closed_, 0);
}

TEST_F(FramedTunnelTest, ManySmallFramesComeInBatches) {
    open();
    Bytes wire;
    const Bytes one = frame(make_packet(16));
    for (int i = 0; i < 1000; ++i)
        wire.insert(wire.end(), one.begin(), one.end());
    write(wire);
    runtime_.run_for(1ms);
    EXPECT_EQ(sink_.sizes_.size(), 1000U);
}

TEST_F(FramedTunnelTest, AnImpossibleLengthEndsTheTunnelAfterWhatWasGood) {
    open();
    Bytes wire = frame(make_packet(50));
    wire.insert(wire.end(), {15, 0, 0, 0, 1, 2, 3});
    write(wire);
    EXPECT_THAT(sink_.sizes_, testing::ElementsAre(50U));
    EXPECT_EQ(sink_.closed_, 1);
    EXPECT_TRUE(sink_.reason_.is(Errc::malformed)) << sink_.reason_.message();
    EXPECT_EQ(context_.stats.bad_frames, 1U);
}

TEST_F(FramedTunnelTest, AFrameThatFitsNoBlockIsDroppedAndTheTunnelLivesOn) {
    open(64 * 1024, kUnixFrameMax);
    write(frame(make_packet(4096)));
    write(frame(make_packet(30)));
    EXPECT_THAT(sink_.sizes_, testing::ElementsAre(30U));
    EXPECT_EQ(tunnel_->stats().rx_dropped, 1U);
    EXPECT_EQ(sink_.closed_, 0);
}

TEST_F(FramedTunnelTest, HalfAFrameIsWaitedForWithoutHoldingABlock) {
    open();
    const Bytes wire = frame(make_packet(1000));
    write(ByteView(wire).first(500));
    EXPECT_EQ(pool_.in_use(), 0U);
    EXPECT_TRUE(sink_.sizes_.empty());
    EXPECT_TRUE(other_->shutdown_write());
    runtime_.run_for(1ms);
    EXPECT_EQ(sink_.closed_, 1);
    EXPECT_TRUE(sink_.reason_.is(Errc::closed)) << sink_.reason_.message();
}

TEST_F(FramedTunnelTest, AnEmptyPoolStopsReadingUntilBlocksComeBack) {
    open();
    sink_.keep_ = true;
    const Bytes one = frame(make_packet(100));
    for (int i = 0; i < 300; ++i)
        write(one);
    runtime_.run_for(1s);
    EXPECT_EQ(sink_.sizes_.size(), 256U);
    EXPECT_EQ(tunnel_->stats().rx_dropped, 0U) << "waiting is not dropping";
    sink_.kept_.clear();
    sink_.keep_ = false;
    runtime_.run_for(1s);
    EXPECT_EQ(sink_.sizes_.size(), 300U);
}

TEST_F(FramedTunnelTest, ASideThatStopsReadingIsGivenUpAfterTheStallLimit) {
    open(4096);
    for (int i = 0; i < 20; ++i)
        send(make_packet(1000));
    runtime_.run_for(6900ms);
    EXPECT_EQ(sink_.closed_, 0);
    runtime_.run_for(200ms);
    EXPECT_EQ(sink_.closed_, 1);
    EXPECT_TRUE(sink_.reason_.is(Errc::timed_out)) << sink_.reason_.message();
}

TEST_F(FramedTunnelTest, ASlowReaderIsNotAStall) {
    open(4096);
    Bytes buffer(1024);
    for (int i = 0; i < 30; ++i) {
        send(make_packet(1000));
        runtime_.run_for(2s);
        ASSERT_TRUE(runtime_.run(other_->read_some(buffer)));
    }
    EXPECT_EQ(sink_.closed_, 0) << sink_.reason_.message();
    runtime_.run_for(1h);
    EXPECT_EQ(sink_.closed_, 0) << "an idle tunnel is none either";
}

TEST_F(FramedTunnelTest, ControlThatFindsNoRoomEndsTheTunnel) {
    context_.options.control_queue_packets = 10;
    open(4096);
    for (int i = 0; i < 200 && sink_.closed_ == 0; ++i) {
        send(make_packet(1000, PacketType::rpc_request));
        runtime_.run_ready();
    }
    EXPECT_EQ(sink_.closed_, 1);
    EXPECT_TRUE(sink_.reason_.is(Errc::limit)) << sink_.reason_.message();
}

TEST_F(FramedTunnelTest, ControlOvertakesDataThatWaits) {
    open(1 << 20);
    PacketBatch batch;
    batch.push(pool_.copy(make_packet(100)));
    batch.push(pool_.copy(make_packet(20, PacketType::ping)));
    tunnel_->send(std::move(batch));
    runtime_.run_ready();
    Bytes got(24);
    ASSERT_TRUE(runtime_.run(other_->read_exactly(got)));
    EXPECT_EQ(to_hex(ByteView(got).first(4)), "14000000") << "the ping of 20 bytes first";
}

TEST_F(FramedTunnelTest, TheContextMayEndTheTasksOfLivingTunnels) {
    open();
    runtime_.run(context_.tasks.close());
    runtime_.run_ready();
    EXPECT_EQ(sink_.closed_, 1);
    EXPECT_TRUE(sink_.reason_.is(Errc::cancelled)) << sink_.reason_.message();
}

TEST(MemoryHub, NamesAreGivenOnceAndGoWithTheirListener) {
    rt::VirtualRuntime runtime;
    MemoryHub hub;
    auto acceptor = hub.listen(runtime, "a").value();
    EXPECT_TRUE(hub.listen(runtime, "a").error().is(Errc::in_use));
    std::vector<rt::StreamPtr> waiting;
    for (int i = 0; i < 128; ++i)
        waiting.push_back(hub.connect(runtime, "a").value());
    EXPECT_TRUE(hub.connect(runtime, "a").error().is(Errc::refused)) << "nobody accepts";
    acceptor.reset();
    EXPECT_TRUE(hub.connect(runtime, "a").error().is(Errc::refused));
    EXPECT_TRUE(hub.listen(runtime, "a"));
}

}  // namespace
}  // namespace selvage::tunnel
