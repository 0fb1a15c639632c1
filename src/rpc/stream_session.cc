// Frames in, frames out, and the way out of frames.
#include "rpc/stream_session.h"

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include "rt/with_timeout.h"

namespace selvage::rpc {

namespace asio = boost::asio;

namespace {

using packet::PeerHeader;

// A stock node that just accepted a connection takes longer frames for the end of the stream.
constexpr std::size_t kFrameSendLimit = 1996;
constexpr std::size_t kFrameLimit = packet::kPeerPacketMax;
static_assert(kPieceBytes + sizeof(PeerHeader) <= kFrameSendLimit);

constexpr std::size_t kReadBytes = 4096;

// A stream of which some bytes have been read already.
class PrefixedStream final : public rt::Stream {
public:
    PrefixedStream(Bytes prefix, rt::StreamPtr rest)
        : prefix_(std::move(prefix)), rest_(std::move(rest)) {}

    rt::Task<Result<std::size_t>> read_some(MutableByteView buffer) override {
        const std::size_t count = std::min(buffer.size(), prefix_.size() - read_);
        if (count == 0) co_return co_await rest_->read_some(buffer);
        std::memcpy(buffer.data(), prefix_.data() + read_, count);
        read_ += count;
        co_return count;
    }
    rt::Task<Result<std::size_t>> write_some(ByteView bytes) override {
        return rest_->write_some(bytes);
    }
    Result<> shutdown_write() override { return rest_->shutdown_write(); }
    void close() override { rest_->close(); }
    void reset() override { rest_->reset(); }
    Endpoint local() const override { return rest_->local(); }
    Endpoint remote() const override { return rest_->remote(); }

private:
    Bytes prefix_;
    std::size_t read_ = 0;
    rt::StreamPtr rest_;
};

rt::StreamPtr with_prefix(Bytes prefix, rt::StreamPtr rest) {
    if (prefix.empty()) return rest;
    return std::make_unique<PrefixedStream>(std::move(prefix), std::move(rest));
}

}  // namespace

StreamSession::StreamSession(
    rt::Runtime& runtime, packet::PacketPool& pool, rt::StreamPtr stream,
    const ServiceTable& services, StreamSessionOptions options, Log log
)
    : runtime_(runtime),
      options_(options),
      log_(std::move(log)),
      stream_(std::move(stream)),
      endpoint_(runtime, pool, *this, services, kSessionPeer, options.rpc, log_),
      changed_(runtime),
      io_(runtime, log_) {
    endpoint_.set_session(this);
}

StreamSession::~StreamSession() = default;

bool StreamSession::over() const {
    if (ended_ || taken_) return true;
    return upgrade_ && endpoint_.active_requests() == 0 && queue_.empty() && !writing_;
}

rt::Task<Result<>> StreamSession::run() {
    io_.spawn("read frames", read_frames());
    io_.spawn("write frames", write_frames());
    bool cancelled = false;
    try {
        while (!over())
            co_await changed_.wait();
    } catch (const boost::system::system_error&) {
        cancelled = true;
    }
    // What runs in our scopes uses this object, so it must have ended before we return, even
    // when we are cancelled ourselves: a cancellation is only noted until then.
    co_await asio::this_coro::reset_cancellation_state([&cancelled](asio::cancellation_type type) {
        cancelled = cancelled || type != asio::cancellation_type::none;
        return asio::cancellation_type::none;
    });
    endpoint_.fail_calls(ended_.value_or(Error(Errc::closed)));
    co_await io_.close();
    co_await endpoint_.close();
    finished_ = true;
    changed_.notify();
    if (cancelled) throw boost::system::system_error(asio::error::operation_aborted);
    co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
    if (upgrade_ && !ended_) {
        co_await upgrade_->run(with_prefix(std::move(received_), std::move(stream_)));
        co_return Result<>{};
    }
    if (taken_) co_return Result<>{};
    (void)stream_->shutdown_write();  // so that the other side sees an end and not a reset
    stream_->close();
    if (ended_ && !ended_->is(Errc::closed)) co_return *ended_;
    co_return Result<>{};
}

void StreamSession::end(Error reason) {
    if (!ended_) ended_ = std::move(reason);
    changed_.notify();
}

void StreamSession::stop() {
    end(Error(Errc::closed, "session stopped"));
}

void StreamSession::upgrade(std::unique_ptr<Upgrade> upgrade) {
    upgrade_ = std::move(upgrade);
    changed_.notify();
}

rt::Task<Result<StreamSession::Taken>> StreamSession::call_for_stream(
    Descriptor target, Bytes request, Duration timeout
) {
    taking_ = true;
    auto reply =
        co_await endpoint_.call(kSessionPeer, std::move(target), std::move(request), timeout);
    if (!reply) {
        taking_ = false;
        if (!take_frames()) end(Error(Errc::malformed, "not a management session"));
        co_return reply.error();
    }
    taken_ = true;
    changed_.notify();
    while (!finished_)
        co_await changed_.wait();
    if (ended_) co_return *ended_;
    Taken out{.reply = std::move(*reply), .stream = nullptr};
    out.stream = with_prefix(std::move(received_), std::move(stream_));
    co_return out;
}

rt::Task<> StreamSession::read_frames() {
    std::array<std::uint8_t, kReadBytes> buffer;
    for (;;) {
        auto got =
            co_await rt::with_timeout(runtime_, options_.idle_limit, stream_->read_some(buffer));
        // Behind an upgrade the end of the stream belongs to whoever takes over; it reads it again.
        const bool handed_over = upgrade_ || (taking_ && endpoint_.awaited_replies() == 0);
        if (got && *got == 0 && handed_over) co_return;
        if (!got || *got == 0) {
            end(got ? Error(Errc::closed, "the other side ended the session") : got.error());
            co_return;
        }
        const ByteView bytes = ByteView(buffer).first(*got);
        received_.insert(received_.end(), bytes.begin(), bytes.end());
        if (!take_frames()) {
            end(Error(Errc::malformed, "not a management session: frame length out of range"));
            co_return;
        }
    }
}

bool StreamSession::take_frames() {
    Reader in(received_);
    std::size_t used = 0;
    // Behind an upgrade the bytes belong to somebody else.
    while (!upgrade_ && (!taking_ || endpoint_.awaited_replies() > 0)) {
        le32 length;
        ByteView frame;
        if (!in.read(length)) break;
        if (length < sizeof(PeerHeader) || length > kFrameLimit) return false;
        if (!in.read_bytes(length, frame)) break;
        used = received_.size() - in.left();
        Reader inside(frame);
        PeerHeader header;
        if (!inside.read(header)) return false;
        const auto type = header.packet_type();
        if (type != packet::PacketType::rpc_request && type != packet::PacketType::rpc_response) {
            continue;  // ignored, as everybody does
        }
        endpoint_.on_packet(kSessionPeer, type, inside.rest());
    }
    received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(used));
    return true;
}

void StreamSession::send(PeerId to, packet::PacketType type, packet::PacketBuf&& message) {
    if (queue_.size() + message.size() > options_.queue_bytes_limit) {
        end(Error(Errc::limit, "the other side does not read"));
        return;
    }
    PeerHeader header;
    header.from_peer = kSessionPeer.raw();
    header.to_peer = to.raw();
    header.type = static_cast<std::uint8_t>(type);
    header.payload_len = static_cast<std::uint32_t>(message.size());
    const le32 length(static_cast<std::uint32_t>(sizeof(header) + message.size()));
    for (const ByteView part :
         {as_bytes_of(length), as_bytes_of(header), ByteView(message.bytes())}) {
        queue_.insert(queue_.end(), part.begin(), part.end());
    }
    changed_.notify();
}

rt::Task<> StreamSession::write_frames() {
    for (;;) {
        while (queue_.empty())
            co_await changed_.wait();
        writing_ = true;
        const Bytes batch = std::exchange(queue_, {});
        auto wrote = co_await stream_->write_all(batch);
        writing_ = false;
        if (!wrote) {
            end(wrote.error());
            co_return;
        }
        changed_.notify();
    }
}

}  // namespace selvage::rpc
