// Tests of RPC over a byte stream: both directions, the end, hostile frames, the way out.
#include "rpc/stream_session.h"

#include "rt/memory_stream.h"
#include "rt/virtual_runtime.h"

namespace selvage::rpc {
namespace {

class Reverse final : public Service {
public:
    rt::Task<Result<Bytes>> call(Caller, std::uint32_t, Bytes request) override {
        std::ranges::reverse(request);
        co_return request;
    }
};

// Answers once and then sends what it gets back in capitals.
class Shout final : public Service {
public:
    struct Raw final : Upgrade {
        rt::Task<> run(rt::StreamPtr stream) override {
            (void)co_await stream->write_all(as_view("ready "));
            std::array<std::uint8_t, 64> buffer{};
            for (;;) {
                auto got = co_await stream->read_some(buffer);
                if (!got || *got == 0) break;
                for (auto& byte : std::span(buffer).first(*got))
                    byte = static_cast<std::uint8_t>(byte - 32);
                (void)co_await stream->write_all(ByteView(buffer).first(*got));
            }
        }
    };
    rt::Task<Result<Bytes>> call(Caller caller, std::uint32_t, Bytes) override {
        caller.session->upgrade(std::make_unique<Raw>());
        co_return Bytes{42};
    }
};

const Descriptor kReverse{.domain = "", .service = "ReverseRpc", .method = 1};
const Descriptor kShout{.domain = "", .service = "ShoutRpc", .method = 1};

rt::Task<> run_session(StreamSession& session, std::optional<Result<>>& result) {
    result = co_await session.run();
}

struct World {
    rt::VirtualRuntime runtime;
    packet::PacketPool pool;
    ServiceTable services;
    Reverse reverse;
    Shout shout;
    rt::TaskScope scope{runtime, Log()};
    std::unique_ptr<StreamSession> server;
    std::unique_ptr<StreamSession> client;
    rt::StreamPtr raw;  // the client's end when there is no client session
    std::optional<Result<>> server_end;
    std::optional<Result<>> client_end;

    explicit World(bool with_client = true) {
        services.add("", "ReverseRpc", reverse);
        services.add("", "ShoutRpc", shout);
        auto [a, b] = rt::make_stream_pair(runtime);
        server = std::make_unique<StreamSession>(
            runtime, pool, std::move(a), services, StreamSessionOptions{}, Log()
        );
        scope.spawn("server", run_session(*server, server_end));
        if (!with_client) {
            raw = std::move(b);
            return;
        }
        client = std::make_unique<StreamSession>(
            runtime, pool, std::move(b), services, StreamSessionOptions{}, Log()
        );
        scope.spawn("client", run_session(*client, client_end));
    }
    ~World() {
        runtime.run(scope.close());
        EXPECT_EQ(pool.in_use(), 0U);
    }
};

TEST(StreamSession, BothSidesCallEachOther) {
    World w;
    for (StreamSession* side : {w.client.get(), w.server.get()}) {
        auto reply =
            w.runtime.run(side->endpoint().call(kSessionPeer, kReverse, Bytes{1, 2, 3}, 5s));
        EXPECT_EQ(reply.value(), (Bytes{3, 2, 1}));
    }
    Bytes large(200'000);
    large[0] = 9;
    auto reply = w.runtime.run(w.client->endpoint().call(kSessionPeer, kReverse, large, 5s));
    EXPECT_EQ(reply.value().back(), 9);
}

TEST(StreamSession, ACallEndsWithItsSession) {
    World w;
    w.server->stop();
    auto reply = w.runtime.run(w.client->endpoint().call(kSessionPeer, kReverse, {}, 50s));
    EXPECT_TRUE(reply.error().is(Errc::closed)) << reply.error().message();
    w.runtime.run_ready();
    ASSERT_TRUE(w.client_end && w.server_end);
    EXPECT_TRUE(w.client_end->has_value());
}

TEST(StreamSession, EndsWhenNothingArrivesForAMinute) {
    World w;
    w.runtime.run_for(59s);
    EXPECT_FALSE(w.server_end);
    w.runtime.run_for(2s);
    ASSERT_TRUE(w.server_end);
    EXPECT_TRUE(w.server_end->error().is(Errc::timed_out));
}

TEST(StreamSession, FramesOfImpossibleLengthEndIt) {
    for (const std::uint32_t length : {0U, 15U, 2001U, 0xffffffffU}) {
        World w(false);
        Bytes bytes(64);
        const le32 prefix(length);
        std::memcpy(bytes.data(), &prefix, 4);
        ASSERT_TRUE(w.runtime.run(w.raw->write_all(bytes)).has_value());
        w.runtime.run_ready();
        ASSERT_TRUE(w.server_end) << length;
        EXPECT_TRUE(w.server_end->error().is(Errc::malformed)) << length;
    }
}

TEST(StreamSession, OtherPacketTypesAndUnparsablePacketsAreIgnored) {
    World w(false);
    for (int type = 0; type < 256; ++type) {
        packet::PeerHeader header;
        header.type = static_cast<std::uint8_t>(type);
        Bytes frame(4 + 16 + 8, 0xff);
        const le32 length(24U);
        std::memcpy(frame.data(), &length, 4);
        std::memcpy(frame.data() + 4, &header, 16);
        ASSERT_TRUE(w.runtime.run(w.raw->write_all(frame)).has_value());
    }
    w.runtime.run_ready();
    EXPECT_FALSE(w.server_end);
    EXPECT_EQ(w.server->endpoint().stats().dropped_malformed, 2U);
}

TEST(StreamSession, AServiceCanTakeTheConnectionOver) {
    World w;
    auto taken = w.runtime.run(w.client->call_for_stream(kShout, {}, 5s));
    ASSERT_TRUE(taken.has_value());
    EXPECT_EQ(taken->reply, Bytes{42});
    rt::StreamPtr stream = std::move(taken->stream);
    Bytes got(6);
    ASSERT_TRUE(w.runtime.run(stream->read_exactly(got)).has_value());
    EXPECT_EQ(as_text(got), "ready ");
    const auto wrote = w.runtime.run(stream->write_all(as_view("hello")));
    ASSERT_TRUE(wrote.has_value())
        << wrote.error().message() << " server ended: " << w.server_end.has_value();
    got.resize(5);
    ASSERT_TRUE(w.runtime.run(stream->read_exactly(got)).has_value());
    EXPECT_EQ(as_text(got), "HELLO");
    stream.reset();
    w.runtime.run_ready();
    ASSERT_TRUE(w.server_end);
    EXPECT_TRUE(w.server_end->has_value());
}

TEST(StreamSession, AFailedTakeOverLeavesTheSessionAsItWas) {
    World w;
    Descriptor unknown = kShout;
    unknown.service = "NoSuchRpc";
    EXPECT_FALSE(w.runtime.run(w.client->call_for_stream(unknown, {}, 5s)).has_value());
    auto reply = w.runtime.run(w.client->endpoint().call(kSessionPeer, kReverse, Bytes{1, 2}, 5s));
    EXPECT_EQ(reply.value(), (Bytes{2, 1}));
}

TEST(StreamSession, ACancelledSessionHasEndedItsHandlers) {
    World w;
    w.runtime.run_for(1s);
    w.runtime.run(w.scope.close());
    EXPECT_TRUE(w.scope.empty());
    EXPECT_EQ(w.server->endpoint().active_requests(), 0U);
}

}  // namespace
}  // namespace selvage::rpc
