// Two OverlaySockets joined back to back in virtual time.
#include "netstack/sockets/overlay_sockets.h"

#include "rt/scope.h"
#include "rt/stream_deadline.h"
#include "rt/virtual_runtime.h"
#include "rt/with_timeout.h"

namespace selvage::netstack {
namespace {

const IpAddress kLeft = IpAddress::v4(10, 0, 0, 1);
const IpAddress kRight = IpAddress::v4(10, 0, 0, 2);

// Carries packets to the other side after a delay, unless it is cut.
class Wire final : public PacketOut {
public:
    Wire(rt::Runtime& runtime, Duration delay) : runtime_(runtime), delay_(delay) {}
    void from_stack(packet::PacketBatch&& batch) override {
        packets += batch.size();
        if (cut) return;
        runtime_.timers().at(runtime_.now() + delay_, [this, b = std::move(batch)]() mutable {
            if (to != nullptr) to->input(std::move(b));
        });
    }
    OverlaySockets* to = nullptr;
    bool cut = false;
    std::size_t packets = 0;

private:
    rt::Runtime& runtime_;
    Duration delay_;
};

class OverlaySocketsTest : public ::testing::Test {
protected:
    OverlaySocketsTest() {
        left_stack.set_addresses({Prefix{kLeft, 24}});
        right_stack.set_addresses({Prefix{kRight, 24}});
        to_right.to = &right;
        to_left.to = &left;
    }
    ~OverlaySocketsTest() override {
        scope.start_closing();
        runtime.run_ready();
        EXPECT_TRUE(scope.empty());
    }
    rt::AcceptorPtr listen(std::uint16_t port) {
        auto acceptor = right.listen_tcp(port);
        EXPECT_TRUE(acceptor);
        return std::move(*acceptor);
    }
    // Both ends of a new connection.
    std::pair<rt::StreamPtr, rt::StreamPtr> connect(rt::Acceptor& acceptor) {
        auto client = runtime.run(left.dial_tcp({kRight, acceptor.local().port}, 5s));
        auto server = runtime.run(acceptor.accept());
        EXPECT_TRUE(client);
        EXPECT_TRUE(server);
        return {std::move(*client), std::move(*server)};
    }

    packet::PacketPool pool;  // outlives the packets that wait in timers
    rt::VirtualRuntime runtime;
    Stack left_stack{StackOptions{}, pool, StackSeeds{{1, 2}, {3, 4}}};
    Stack right_stack{StackOptions{}, pool, StackSeeds{{5, 6}, {7, 8}}};
    Wire to_right{runtime, 5ms};
    Wire to_left{runtime, 5ms};
    OverlaySockets left{runtime, left_stack, to_right};
    OverlaySockets right{runtime, right_stack, to_left};
    rt::TaskScope scope{runtime, Log()};
};

std::uint64_t hash_more(std::uint64_t hash, ByteView bytes) {
    for (const std::uint8_t byte : bytes)
        hash = (hash ^ byte) * 0x100000001b3;
    return hash;
}

rt::Task<> echo_until_end(rt::Stream& stream) {
    std::vector<std::uint8_t> buffer(16 * 1024);
    for (;;) {
        const auto got = co_await stream.read_some(buffer);
        if (!got || *got == 0) break;
        const auto sent = co_await stream.write_all(std::span(buffer).first(*got));
        if (!sent) break;
    }
    (void)stream.shutdown_write();
}

rt::Task<> send_pattern(rt::Stream& stream, std::size_t total, std::uint64_t& hash) {
    rt::Rng rng(9);
    std::vector<std::uint8_t> buffer(10'000);
    for (std::size_t sent = 0; sent < total; sent += buffer.size()) {
        for (auto& byte : buffer)
            byte = static_cast<std::uint8_t>(rng.next());
        hash = hash_more(hash, buffer);
        const auto done = co_await stream.write_all(buffer);
        EXPECT_TRUE(done);
    }
    (void)stream.shutdown_write();
}

rt::Task<std::pair<std::size_t, std::uint64_t>> read_to_end(rt::Stream& stream) {
    std::vector<std::uint8_t> buffer(16 * 1024);
    std::size_t total = 0;
    std::uint64_t hash = 0;
    for (;;) {
        const auto got = co_await stream.read_some(buffer);
        EXPECT_TRUE(got);
        if (!got || *got == 0) break;
        total += *got;
        hash = hash_more(hash, std::span(buffer).first(*got));
    }
    co_return std::pair(total, hash);
}

TEST_F(OverlaySocketsTest, EchoesTenMegabytesUnchanged) {
    auto acceptor = listen(7);
    auto [client, server] = connect(*acceptor);
    constexpr std::size_t kTotal = 10'000'000;
    std::uint64_t sent_hash = 0;
    scope.spawn("echo", echo_until_end(*server));
    scope.spawn("send", send_pattern(*client, kTotal, sent_hash));
    const auto [total, hash] = runtime.run(read_to_end(*client));
    EXPECT_EQ(total, kTotal);
    EXPECT_EQ(hash, sent_hash);
    EXPECT_EQ(left_stack.counters().tcp_retransmits, 0u);
}

TEST_F(OverlaySocketsTest, StreamsKnowBothEnds) {
    auto acceptor = listen(7);
    EXPECT_EQ(acceptor->local(), (Endpoint{kRight, 7}));
    auto [client, server] = connect(*acceptor);
    EXPECT_EQ(client->remote(), (Endpoint{kRight, 7}));
    EXPECT_EQ(server->local(), (Endpoint{kRight, 7}));
    EXPECT_EQ(server->remote(), client->local());
    EXPECT_EQ(client->local().address, kLeft);
}

rt::Task<> read_then_answer(rt::Stream& stream) {
    const auto got = co_await read_to_end(stream);
    const std::string answer = fmt::format("{} bytes", got.first);
    (void)co_await stream.write_all(as_view(answer));
    (void)stream.shutdown_write();
}

rt::Task<std::string> read_text(rt::Stream& stream) {
    std::string text;
    std::array<std::uint8_t, 100> buffer;
    for (;;) {
        const auto got = co_await stream.read_some(buffer);
        if (!got || *got == 0) co_return text;
        text += as_text(std::span(buffer).first(*got));
    }
}

rt::Task<Result<>> write_and_shut(rt::Stream& stream, std::string text) {
    auto wrote = co_await stream.write_all(as_view(text));
    if (!wrote) co_return wrote;
    co_return stream.shutdown_write();
}

TEST_F(OverlaySocketsTest, AnswersAfterTheOtherSideHasFinishedSending) {
    auto acceptor = listen(7);
    auto [client, server] = connect(*acceptor);
    scope.spawn("answer", read_then_answer(*server));
    EXPECT_TRUE(runtime.run(write_and_shut(*client, "hello")));
    EXPECT_EQ(runtime.run(read_text(*client)), "5 bytes");
    auto late = runtime.run(client->write_all(as_view("more")));
    EXPECT_TRUE(late.error().is(Errc::closed));
}

TEST_F(OverlaySocketsTest, AStreamThatIsDestroyedAfterShutdownStillDeliversItsData) {
    auto acceptor = listen(7);
    auto [client, server] = connect(*acceptor);
    EXPECT_TRUE(runtime.run(write_and_shut(*server, std::string(100'000, 'x'))));
    server.reset();
    EXPECT_EQ(runtime.run(read_text(*client)).size(), 100'000u);
}

TEST_F(OverlaySocketsTest, AStreamThatIsDestroyedWithoutShutdownStillDeliversItsData) {
    auto acceptor = listen(7);
    auto [client, server] = connect(*acceptor);
    EXPECT_TRUE(runtime.run(server->write_all(as_view("last words"))));
    server.reset();
    EXPECT_EQ(runtime.run(read_text(*client)), "last words");
}

TEST_F(OverlaySocketsTest, AStreamThatIsDestroyedWithUnreadDataResetsThePeer) {
    auto acceptor = listen(7);
    auto [client, server] = connect(*acceptor);
    EXPECT_TRUE(runtime.run(client->write_all(as_view("nobody reads this"))));
    runtime.run_for(1s);
    server.reset();
    std::array<std::uint8_t, 10> buffer;
    auto got = runtime.run(client->read_some(buffer));
    ASSERT_FALSE(got);
    EXPECT_TRUE(got.error().is(Errc::reset));
}

TEST_F(OverlaySocketsTest, AStreamThatIsResetLosesWhatIsUnderWay) {
    auto acceptor = listen(7);
    auto [client, server] = connect(*acceptor);
    server->reset();
    std::array<std::uint8_t, 10> buffer;
    auto got = runtime.run(client->read_some(buffer));
    ASSERT_FALSE(got);
    EXPECT_TRUE(got.error().is(Errc::reset));
    auto sent = runtime.run(client->write_some(as_view("x")));
    ASSERT_FALSE(sent);
    EXPECT_TRUE(sent.error().is(Errc::reset));
}

TEST_F(OverlaySocketsTest, DialingAPortWithoutListenerIsRefused) {
    const TimePoint start = runtime.now();
    auto stream = runtime.run(left.dial_tcp({kRight, 9}, 5s));
    ASSERT_FALSE(stream);
    EXPECT_TRUE(stream.error().is(Errc::refused));
    EXPECT_EQ(runtime.now() - start, 10ms);
}

TEST_F(OverlaySocketsTest, DialingIntoTheVoidTimesOut) {
    to_right.cut = true;
    const TimePoint start = runtime.now();
    auto stream = runtime.run(left.dial_tcp({kRight, 9}, 5s));
    ASSERT_FALSE(stream);
    EXPECT_TRUE(stream.error().is(Errc::timed_out));
    EXPECT_EQ(runtime.now() - start, 5s);
    EXPECT_EQ(left.open_count(), 0u);
    EXPECT_EQ(left_stack.tcp_connection_count(), 0u);
}

TEST_F(OverlaySocketsTest, DialingWithoutAnAddressIsUnreachable) {
    left.set_addresses({});
    auto stream = runtime.run(left.dial_tcp({kRight, 9}, 5s));
    ASSERT_FALSE(stream);
    EXPECT_TRUE(stream.error().is(Errc::unreachable));
}

TEST_F(OverlaySocketsTest, ACancelledDialLeavesNothingBehind) {
    to_left.cut = true;
    auto acceptor = listen(7);
    const auto outcome =
        runtime.run(rt::with_timeout(runtime, 1s, left.dial_tcp({kRight, 7}, 60s)));
    EXPECT_TRUE(outcome.error().is(Errc::timed_out));
    EXPECT_EQ(left.open_count(), 0u);
    EXPECT_EQ(left_stack.tcp_connection_count(), 0u);
}

TEST_F(OverlaySocketsTest, ACancelledReadLeavesTheStreamUsable) {
    auto acceptor = listen(7);
    auto [client, server] = connect(*acceptor);
    std::array<std::uint8_t, 10> buffer;
    const auto outcome = runtime.run(rt::with_timeout(runtime, 1s, client->read_some(buffer)));
    EXPECT_TRUE(outcome.error().is(Errc::timed_out));
    EXPECT_TRUE(runtime.run(write_and_shut(*server, "late")));
    EXPECT_EQ(runtime.run(read_text(*client)), "late");
}

rt::Task<> note_error_of_read(rt::Stream& stream, std::optional<Error>& out) {
    std::array<std::uint8_t, 10> buffer;
    const auto got = co_await stream.read_some(buffer);
    if (!got) out = got.error();
}

TEST_F(OverlaySocketsTest, ClosingAStreamWakesItsReader) {
    auto acceptor = listen(7);
    auto [client, server] = connect(*acceptor);
    std::optional<Error> error;
    scope.spawn("read", note_error_of_read(*client, error));
    runtime.run_for(1s);
    EXPECT_FALSE(error);
    client.reset();
    runtime.run_ready();
    ASSERT_TRUE(error);
    EXPECT_TRUE(error->is(Errc::closed));
}

TEST_F(OverlaySocketsTest, ASilentPeerIsNoticedByKeepAlive) {
    auto acceptor = listen(7);
    auto [client, server] = connect(*acceptor);
    std::optional<Error> error;
    scope.spawn("read", note_error_of_read(*server, error));
    runtime.run_for(60s);
    EXPECT_FALSE(error) << "answered probes must keep an idle connection";
    to_right.cut = to_left.cut = true;
    runtime.run_for(100s);
    ASSERT_TRUE(error);
    EXPECT_TRUE(error->is(Errc::timed_out));
}

TEST_F(OverlaySocketsTest, AWriterWaitsForASlowReader) {
    auto acceptor = listen(7);
    auto [client, server] = connect(*acceptor);
    std::uint64_t hash = 0;
    scope.spawn("send", send_pattern(*client, 30'000'000, hash));
    runtime.run_for(30s);
    EXPECT_EQ(scope.size(), 1u) << "the writer must not have finished";
    EXPECT_LT(left_stack.buffer_bytes() + right_stack.buffer_bytes(), 10'000'000u);
    EXPECT_EQ(runtime.run(read_to_end(*server)).first, 30'000'000u);
}

rt::Task<> accept_into(rt::Acceptor& acceptor, std::optional<Error>& out) {
    const auto stream = co_await acceptor.accept();
    if (!stream) out = stream.error();
}

TEST_F(OverlaySocketsTest, ClosingAnAcceptorEndsTheWaitAndFreesThePort) {
    auto acceptor = listen(7);
    EXPECT_TRUE(right.listen_tcp(7).error().is(Errc::in_use));
    std::optional<Error> error;
    scope.spawn("accept", accept_into(*acceptor, error));
    runtime.run_for(1s);
    acceptor->close();
    runtime.run_ready();
    ASSERT_TRUE(error);
    EXPECT_TRUE(error->is(Errc::closed));
    EXPECT_TRUE(right.listen_tcp(7));
}

TEST_F(OverlaySocketsTest, StreamsThatOutliveTheSocketsFailAsClosed) {
    Wire nowhere(runtime, 0ms);
    Stack stack(StackOptions{}, pool, StackSeeds{});
    auto sockets = std::make_unique<OverlaySockets>(runtime, stack, nowhere);
    auto acceptor = sockets->listen_tcp(7);
    auto udp = sockets->open_udp(0);
    ASSERT_TRUE(acceptor);
    ASSERT_TRUE(udp);
    sockets.reset();
    EXPECT_TRUE(runtime.run((*acceptor)->accept()).error().is(Errc::closed));
    EXPECT_TRUE(runtime.run((*udp)->send_to({kLeft, 1}, as_view("x"))).error().is(Errc::closed));
}

TEST_F(OverlaySocketsTest, DatagramsCarryTheirSenderBothWays) {
    auto client = std::move(*left.open_udp(0));
    auto server = std::move(*right.open_udp(53));
    ASSERT_TRUE(runtime.run(client->send_to({kRight, 53}, as_view("question"))));
    std::array<std::uint8_t, 100> buffer;
    const auto question = runtime.run(server->recv_from(buffer));
    ASSERT_TRUE(question);
    EXPECT_EQ(as_text(std::span(buffer).first(question->size)), "question");
    EXPECT_EQ(question->from, (Endpoint{kLeft, client->port()}));
    EXPECT_EQ(question->to, kRight);
    ASSERT_TRUE(runtime.run(server->send_to(question->from, as_view("answer"), question->to)));
    const auto answer = runtime.run(client->recv_from(buffer));
    ASSERT_TRUE(answer);
    EXPECT_EQ(as_text(std::span(buffer).first(answer->size)), "answer");
}

TEST_F(OverlaySocketsTest, AConnectedUdpSocketLearnsOfAClosedPort) {
    auto client = std::move(*left.open_udp(0));
    ASSERT_TRUE(client->connect({kRight, 53}));
    ASSERT_TRUE(runtime.run(client->send_to({kRight, 53}, as_view("question"))));
    std::array<std::uint8_t, 100> buffer;
    const auto answer = runtime.run(client->recv_from(buffer));
    ASSERT_FALSE(answer);
    EXPECT_TRUE(answer.error().is(Errc::refused));
}

rt::Task<Result<>> send_many(UdpSocket& socket, Endpoint to, int count) {
    for (int i = 0; i < count; ++i) {
        auto sent = co_await socket.send_to(to, as_view("datagram"));
        if (!sent) co_return sent;
    }
    co_return Result<>{};
}

TEST_F(OverlaySocketsTest, AUdpSenderWaitsForTheNextPollWhenTheQueueIsFull) {
    auto client = std::move(*left.open_udp(0));
    EXPECT_TRUE(runtime.run(send_many(*client, {kRight, 53}, 2000)));
    runtime.run_for(1s);
    EXPECT_EQ(to_right.packets, 2000u);
}

TEST_F(OverlaySocketsTest, ANodeReachesItself) {
    auto acceptor = listen(7);
    auto client = runtime.run(right.dial_tcp({kRight, 7}, 5s));
    ASSERT_TRUE(client);
    auto server = runtime.run(acceptor->accept());
    ASSERT_TRUE(server);
    EXPECT_TRUE(runtime.run(write_and_shut(**client, "to myself")));
    EXPECT_EQ(runtime.run(read_text(**server)), "to myself");
    EXPECT_EQ(to_left.packets, 0u);
}

TEST_F(OverlaySocketsTest, AReadThatMissesItsDeadlineTakesNothing) {
    auto acceptor = listen(80);
    auto [client, server] = connect(*acceptor);
    Bytes buffer(100);
    const TimePoint deadline = runtime.now() + 1s;
    const auto missed = runtime.run(rt::read_some_until(runtime, *server, buffer, deadline));
    ASSERT_FALSE(missed);
    EXPECT_TRUE(missed.error().is(Errc::timed_out));
    EXPECT_EQ(runtime.now(), deadline);
    // The stream goes on, and what comes later is read by the next.
    ASSERT_TRUE(runtime.run(client->write_all(as_view("hello"))));
    const auto got = runtime.run(rt::read_some_until(runtime, *server, buffer, runtime.now() + 1s));
    ASSERT_TRUE(got);
    EXPECT_EQ(*got, 5u);
}

TEST_F(OverlaySocketsTest, AReadWhoseDeadlineIsOverTakesWhatIsThereOrFails) {
    auto acceptor = listen(80);
    auto [client, server] = connect(*acceptor);
    ASSERT_TRUE(runtime.run(client->write_all(as_view("hello"))));
    runtime.run_for(100ms);
    Bytes buffer(100);
    const auto got = runtime.run(rt::read_some_until(runtime, *server, buffer, runtime.now()));
    const auto rest = got ? 5 - *got : 5;
    if (rest > 0) {
        const auto again = runtime.run(server->read_some(buffer));
        ASSERT_TRUE(again);
        EXPECT_EQ(*again, rest) << "nothing is lost either way";
    }
}

TEST_F(OverlaySocketsTest, AWriteThatMissesItsDeadlineGivesNothing) {
    auto acceptor = listen(80);
    auto [client, server] = connect(*acceptor);
    const Bytes piece(64 * 1024, 0x5a);
    std::uint64_t written = 0;
    for (;;) {
        // Nobody reads: at last there is no room.
        const auto done =
            runtime.run(rt::write_some_until(runtime, *client, piece, runtime.now() + 2s));
        if (!done) {
            EXPECT_TRUE(done.error().is(Errc::timed_out));
            break;
        }
        written += *done;
        ASSERT_LT(written, 100'000'000u);
    }
    EXPECT_TRUE(client->shutdown_write());
    std::uint64_t read = 0;
    Bytes buffer(64 * 1024);
    for (;;) {
        const auto got = runtime.run(server->read_some(buffer));
        ASSERT_TRUE(got);
        if (*got == 0) break;
        read += *got;
    }
    EXPECT_EQ(read, written);
}

}  // namespace
}  // namespace selvage::netstack
