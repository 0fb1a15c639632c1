// A pair of bounded byte queues that both ends share.
#include "rt/memory_stream.h"

#include <algorithm>
#include <deque>

#include "rt/event.h"

namespace selvage::rt {
namespace {

// One direction. The two ends go at different times, so both hold it.
struct Pipe {
    Pipe(Runtime& runtime, std::size_t limit) : changed(runtime), capacity(limit) {}
    Event changed;
    std::deque<std::uint8_t> bytes;  // at most `capacity`
    std::size_t capacity;
    bool finished = false;  // the writer will send no more
    bool broken = false;    // one end is gone

    void finish() {
        finished = true;
        changed.notify();
    }
    void break_now() {
        broken = true;
        changed.notify();
    }
};

class MemoryStream final : public Stream {
public:
    MemoryStream(
        std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out, Endpoint local, Endpoint remote
    )
        : in_(std::move(in)), out_(std::move(out)), local_(local), remote_(remote) {}
    ~MemoryStream() override { end(false); }

    Task<Result<std::size_t>> read_some(MutableByteView buffer) override {
        const auto pipe = in_;
        while (!closed_ && pipe->bytes.empty() && !pipe->finished && !pipe->broken) {
            co_await pipe->changed.wait();
        }
        if (closed_) co_return Errc::closed;
        if (pipe->bytes.empty()) {
            if (pipe->finished) co_return std::size_t{0};
            co_return Errc::reset;
        }
        const std::size_t count = std::min(buffer.size(), pipe->bytes.size());
        const auto last = pipe->bytes.begin() + static_cast<std::ptrdiff_t>(count);
        std::copy(pipe->bytes.begin(), last, buffer.begin());
        pipe->bytes.erase(pipe->bytes.begin(), last);
        pipe->changed.notify();
        co_return count;
    }

    Task<Result<std::size_t>> write_some(ByteView bytes) override {
        const auto pipe = out_;
        while (!closed_ && pipe->bytes.size() >= pipe->capacity && !pipe->broken) {
            co_await pipe->changed.wait();
        }
        if (closed_ || pipe->finished) co_return Errc::closed;
        if (pipe->broken) co_return Errc::reset;
        const std::size_t count = std::min(bytes.size(), pipe->capacity - pipe->bytes.size());
        pipe->bytes.insert(
            pipe->bytes.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count)
        );
        pipe->changed.notify();
        co_return count;
    }

    Result<> shutdown_write() override {
        out_->finish();
        return {};
    }
    void close() override { end(false); }
    void reset() override { end(true); }
    Endpoint local() const override { return local_; }
    Endpoint remote() const override { return remote_; }

private:
    void end(bool abruptly) {
        if (std::exchange(closed_, true)) return;
        const bool unread = !in_->bytes.empty();
        in_->break_now();
        if (!out_->finished && (abruptly || unread)) {
            out_->bytes.clear();
            out_->break_now();
        } else {
            out_->finish();
        }
    }

    std::shared_ptr<Pipe> in_;
    std::shared_ptr<Pipe> out_;
    Endpoint local_;
    Endpoint remote_;
    bool closed_ = false;
};

}  // namespace

std::pair<StreamPtr, StreamPtr> make_stream_pair(Runtime& runtime, MemoryStreamOptions options) {
    auto forth = std::make_shared<Pipe>(runtime, options.capacity);
    auto back = std::make_shared<Pipe>(runtime, options.capacity);
    auto first = std::make_unique<MemoryStream>(back, forth, options.first, options.second);
    auto second = std::make_unique<MemoryStream>(forth, back, options.second, options.first);
    return {std::move(first), std::move(second)};
}

}  // namespace selvage::rt
