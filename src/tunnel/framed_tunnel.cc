// A framed tunnel is one reader and one writer over a stream.
//
// Both work on large pieces: the reader takes up to 64 KiB of frames from the stream at a time and
// hands them over in batches, one batch a turn; the writer gathers everything that waits into one
// write of up to 64 KiB, control first, which gives the blocks back before the write.
//
// The two are tasks of the context and share the state below with the handle, so that the handle
// may go at any time. Whatever ends the tunnel goes through end(), which remembers the first reason
// and reports it in a turn of its own.
#include "tunnel/framed_tunnel.h"

#include <cstring>

#include "rt/event.h"
#include "tunnel/send_queue.h"

namespace selvage::tunnel {

using packet::PacketBatch;
using packet::PacketBuf;

namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kWriteBytes = 64 * 1024;
// On a slow stream less is taken at a time: what is in a write has no turn any more.
constexpr std::size_t kWriteBytesMin = 8 * 1024;
static_assert(kWriteBytesMin > kFrameHeader + kUnixFrameMax);
constexpr Duration kWriteSlow = 5ms;
constexpr Duration kWriteQuick = 1ms;
static_assert(kReadBytes > kFrameHeader + kUnixFrameMax);
// How soon to look again when the pool is empty; nobody tells when a block comes back.
constexpr Duration kPoolRetry = 2ms;

class FramedCore : public std::enable_shared_from_this<FramedCore> {
public:
    FramedCore(
        TransportContext& context, rt::StreamPtr stream, TunnelInfo info, std::size_t packet_limit
    )
        : context_(context),
          stream_(std::move(stream)),
          info_(std::move(info)),
          packet_limit_(packet_limit),
          queue_(
              context.pool, context.options,
              {.k0 = context.runtime.rng().next(), .k1 = context.runtime.rng().next()}
          ),
          wake_(context.runtime),
          stall_timer_(context.runtime.timers()) {}

    void start(TunnelSink& sink) {
        sink_ = &sink;
        if (ended_) {
            report();
            return;
        }
        context_.tasks.spawn("read " + info_.remote, read_frames(Share(shared_from_this())));
    }
    void start_writing() {
        context_.tasks.spawn("write " + info_.remote, write_frames(Share(shared_from_this())));
    }
    void send(PacketBatch&& batch);
    void end(const Error& reason);
    void detach() {
        sink_ = nullptr;
        end(Errc::cancelled);
    }
    const TunnelInfo& info() const { return info_; }
    const TunnelStats& stats() const { return stats_; }

private:
    // What became of a turn of delivering.
    enum class Turn : std::uint8_t { delivered, needs_bytes, needs_blocks, ended };

    // What the reader and the writer hold: when one of them is cancelled, even before it began,
    // the tunnel ends.
    class Share {
    public:
        explicit Share(std::shared_ptr<FramedCore> core) : core_(std::move(core)) {}
        Share(Share&&) = default;
        Share(const Share&) = delete;
        Share& operator=(const Share&) = delete;
        Share& operator=(Share&&) = delete;
        ~Share() {
            if (core_) core_->end(Errc::cancelled);
        }
        FramedCore* operator->() const { return core_.get(); }

    private:
        std::shared_ptr<FramedCore> core_;
    };

    static rt::Task<> read_frames(Share core);
    static rt::Task<> write_frames(Share core);
    Turn deliver(ByteView& bytes);
    std::size_t gather(MutableByteView room);
    void note_write_time(Duration took);
    void watch_for_stall();
    void report();

    TransportContext& context_;
    rt::StreamPtr stream_;
    TunnelInfo info_;
    TunnelStats stats_;
    std::size_t packet_limit_;
    SendQueue queue_;
    rt::Event wake_;  // there is something to write, or the end has come
    rt::Timer stall_timer_;
    TimePoint write_progress_{};
    std::size_t write_bytes_ = kWriteBytes;  // at a time
    bool writing_ = false;
    TunnelSink* sink_ = nullptr;
    bool ended_ = false;
    Error reason_ = Errc::closed;
};

void FramedCore::send(PacketBatch&& batch) {
    if (ended_) return;
    const bool was_empty = queue_.empty();
    for (PacketBuf& packet : batch) {
        if (packet.size() < sizeof(packet::PeerHeader) || packet.size() > packet_limit_) {
            ++stats_.tx_dropped;
            continue;
        }
        if (!queue_.push(std::move(packet), batch.now(), stats_)) {
            end(Error(Errc::limit, "more control packets than the other side takes"));
            return;
        }
    }
    if (was_empty) wake_.notify();
}

void FramedCore::end(const Error& reason) {
    if (std::exchange(ended_, true)) return;
    reason_ = reason;
    stall_timer_.cancel();
    queue_.clear();
    stream_->close();
    wake_.notify();
    if (sink_ != nullptr) report();
}

void FramedCore::report() {
    context_.runtime.post([self = shared_from_this()] {
        if (TunnelSink* sink = std::exchange(self->sink_, nullptr)) sink->on_closed(self->reason_);
    });
}

// Hands over at most one batch of the frames at the front of `bytes`.
FramedCore::Turn FramedCore::deliver(ByteView& bytes) {
    PacketBatch batch(context_.runtime.now());
    Turn turn = Turn::delivered;
    while (!batch.full()) {
        if (context_.pool.available() == 0) {
            turn = Turn::needs_blocks;
            break;
        }
        ByteView frame;
        const FrameStatus status = take_frame(bytes, packet_limit_, frame);
        if (status == FrameStatus::partial) {
            turn = Turn::needs_bytes;
            break;
        }
        if (status == FrameStatus::bad) {
            ++context_.stats.bad_frames;
            turn = Turn::ended;
            break;
        }
        PacketBuf packet = context_.pool.copy(frame);
        if (!packet) {
            ++stats_.rx_dropped;
            continue;
        }
        ++stats_.rx_packets;
        stats_.rx_bytes += packet.size();
        batch.push(std::move(packet));
    }
    if (!batch.empty() && sink_ != nullptr) sink_->on_packets(std::move(batch));
    if (turn == Turn::ended) end(Error(Errc::malformed, "a frame of impossible length"));
    return ended_ ? Turn::ended : turn;
}

rt::Task<> FramedCore::read_frames(Share core) {
    const auto buffer = std::make_unique_for_overwrite<std::uint8_t[]>(kReadBytes);
    std::size_t have = 0;
    while (!core->ended_) {
        const auto got =
            co_await core->stream_->read_some({buffer.get() + have, kReadBytes - have});
        if (!got) {
            core->end(got.error());
            co_return;
        }
        if (*got == 0) {
            core->end(Error(Errc::closed, "closed by the other side"));
            co_return;
        }
        ByteView rest(buffer.get(), have + *got);
        Turn turn = core->deliver(rest);
        while (turn == Turn::delivered || turn == Turn::needs_blocks) {
            if (turn == Turn::delivered) {
                co_await rt::yield(core->context_.runtime);
            } else {
                co_await rt::sleep_for(core->context_.runtime, kPoolRetry);
            }
            turn = core->ended_ ? Turn::ended : core->deliver(rest);
        }
        have = rest.size();
        if (have > 0) std::memmove(buffer.get(), rest.data(), have);
    }
}

std::size_t FramedCore::gather(MutableByteView room) {
    const TimePoint now = context_.runtime.now();
    std::size_t used = 0;
    // Whose turn it is shows when it is taken, and then there must be room.
    while (!queue_.empty() && room.size() - used >= kFrameHeader + packet_limit_) {
        const PacketBuf packet = queue_.pop(now, stats_);
        used += put_frame(room.subspan(used), packet.bytes());
        ++stats_.tx_packets;
        stats_.tx_bytes += packet.size();
    }
    return used;
}

void FramedCore::note_write_time(Duration took) {
    if (took > kWriteSlow) write_bytes_ = std::max(write_bytes_ / 2, kWriteBytesMin);
    if (took < kWriteQuick) write_bytes_ = std::min(write_bytes_ * 2, kWriteBytes);
}

// One timer for many writes: it looks back when it fires instead of being set for each.
void FramedCore::watch_for_stall() {
    if (stall_timer_.pending()) return;
    const Duration limit = context_.options.write_stall_limit;
    stall_timer_.set(write_progress_ + limit, [self = shared_from_this(), limit] {
        if (!self->writing_) return;
        if (self->context_.runtime.now() - self->write_progress_ >= limit) {
            self->end(Error(Errc::timed_out, "the other side stopped reading"));
        } else {
            self->watch_for_stall();
        }
    });
}

rt::Task<> FramedCore::write_frames(Share core) {
    const auto buffer = std::make_unique_for_overwrite<std::uint8_t[]>(kWriteBytes);
    while (!core->ended_) {
        ByteView rest(buffer.get(), core->gather({buffer.get(), core->write_bytes_}));
        if (rest.empty()) {
            core->writing_ = false;
            co_await core->wake_.wait();
            continue;
        }
        core->writing_ = true;
        const TimePoint began = core->context_.runtime.now();
        core->write_progress_ = began;
        core->watch_for_stall();
        while (!rest.empty() && !core->ended_) {
            const auto wrote = co_await core->stream_->write_some(rest);
            if (!wrote) {
                core->end(wrote.error());
                co_return;
            }
            core->write_progress_ = core->context_.runtime.now();
            rest = rest.subspan(*wrote);
        }
        core->note_write_time(core->write_progress_ - began);
    }
}

class FramedTunnel final : public Tunnel {
public:
    explicit FramedTunnel(std::shared_ptr<FramedCore> core) : core_(std::move(core)) {}
    FramedTunnel(const FramedTunnel&) = delete;
    FramedTunnel& operator=(const FramedTunnel&) = delete;
    ~FramedTunnel() override { core_->detach(); }

    const TunnelInfo& info() const override { return core_->info(); }
    const TunnelStats& stats() const override { return core_->stats(); }
    void start(TunnelSink& sink) override { core_->start(sink); }
    void send(PacketBatch&& batch) override { core_->send(std::move(batch)); }
    void close() override { core_->end(Errc::closed); }

private:
    std::shared_ptr<FramedCore> core_;
};

class FramedAcceptor final : public TunnelAcceptor {
public:
    FramedAcceptor(
        TransportContext& context, rt::AcceptorPtr acceptor, Url url, std::size_t packet_limit
    )
        : context_(context),
          acceptor_(std::move(acceptor)),
          url_(std::move(url)),
          packet_limit_(packet_limit) {}

    rt::Task<Result<TunnelPtr>> accept() override {
        auto stream = co_await acceptor_->accept();
        if (!stream) co_return stream.error();
        // Clients of unix sockets and memory have no address of their own.
        const Endpoint seen = (*stream)->remote();
        const std::string remote =
            seen == Endpoint{} ? url_.to_string() : endpoint_url(url_.scheme, seen);
        TunnelInfo info{
            .scheme = url_.scheme,
            .local = url_.to_string(),
            .remote = remote,
            .resolved_remote = remote
        };
        co_return make_framed_tunnel(context_, std::move(*stream), std::move(info), packet_limit_);
    }
    const Url& url() const override { return url_; }
    void close() override { acceptor_->close(); }

private:
    TransportContext& context_;
    rt::AcceptorPtr acceptor_;
    Url url_;
    std::size_t packet_limit_;
};

}  // namespace

TunnelPtr make_framed_tunnel(
    TransportContext& context, rt::StreamPtr stream, TunnelInfo info, std::size_t packet_limit
) {
    auto core =
        std::make_shared<FramedCore>(context, std::move(stream), std::move(info), packet_limit);
    core->start_writing();
    return std::make_unique<FramedTunnel>(std::move(core));
}

TunnelAcceptorPtr make_framed_acceptor(
    TransportContext& context, rt::AcceptorPtr acceptor, Url url, std::size_t packet_limit
) {
    return std::make_unique<FramedAcceptor>(
        context, std::move(acceptor), std::move(url), packet_limit
    );
}

}  // namespace selvage::tunnel
