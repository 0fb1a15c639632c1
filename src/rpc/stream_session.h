// RPC over a byte stream: the management channel, on a unix socket or TCP.
// Source: protocol document 5-management.md, section 4.2.
//
//   frame = u32le length of what follows | 16-byte peer header, type 8 or 9 | one RpcPacket
//
// Both ends may call and serve. run() lives as long as the connection; it is the owner's task.
// A service may ask for the connection itself with upgrade(): after its reply has been written,
// the frames end and the Upgrade gets the raw stream. The caller gets its end of it together with
// the reply, from call_for_stream().
#pragma once

#include <memory>
#include <optional>

#include "rpc/endpoint.h"
#include "rt/stream.h"

namespace selvage::rpc {

// What goes on with a connection when the frames are over.
class Upgrade {
public:
    virtual ~Upgrade() = default;
    virtual rt::Task<> run(rt::StreamPtr stream) = 0;
};

struct StreamSessionOptions {
    RpcOptions rpc{.check_peer_ids = false};
    // Nothing received for this long ends the session, as it does on the other side.
    Duration idle_limit = std::chrono::seconds(60);
    // What waits to be written; beyond it the session ends, for the other side does not read.
    std::size_t queue_bytes_limit = 8 * 1024 * 1024;
};

// The name of both ends in every frame.
constexpr PeerId kSessionPeer{1};

class StreamSession final : public PacketPort {
public:
    StreamSession(
        rt::Runtime& runtime, packet::PacketPool& pool, rt::StreamPtr stream,
        const ServiceTable& services, StreamSessionOptions options, Log log
    );
    ~StreamSession() override;

    // Serves and carries calls until the stream ends, goes idle, says something that is not a
    // frame, or was taken over. Cancelling it ends the session; handlers have ended by then.
    rt::Task<Result<>> run();
    // Ends run() soon.
    void stop();

    // Calls the other side. Errc::closed when the session ended first.
    RpcEndpoint& endpoint() { return endpoint_; }

    // For a Service during its call: what becomes of the connection after the reply.
    void upgrade(std::unique_ptr<Upgrade> upgrade);
    // Calls a method that hands its connection over; the result holds the reply and the stream,
    // and run() ends. On an error the session goes on. Precondition: no other call is waiting.
    struct Taken {
        Bytes reply;
        rt::StreamPtr stream;
    };
    rt::Task<Result<Taken>> call_for_stream(Descriptor target, Bytes request, Duration timeout);

    void send(PeerId to, packet::PacketType type, packet::PacketBuf&& message) override;

private:
    rt::Task<> read_frames();
    rt::Task<> write_frames();
    // Takes the whole frames at the front of received_; false when the stream is no such thing.
    bool take_frames();
    void end(Error reason);
    bool over() const;

    rt::Runtime& runtime_;
    StreamSessionOptions options_;
    Log log_;
    rt::StreamPtr stream_;
    RpcEndpoint endpoint_;
    Bytes received_;  // less than one frame and one read
    Bytes queue_;     // frames not yet handed to the stream; bounded by options_.queue_bytes_limit
    bool writing_ = false;
    bool taking_ = false;  // what follows the awaited reply is not frames
    bool taken_ = false;
    bool finished_ = false;
    std::optional<Error> ended_;
    std::unique_ptr<Upgrade> upgrade_;
    rt::Event changed_;
    rt::TaskScope io_;
};

}  // namespace selvage::rpc
