// Two copying loops side by side, and a watch for when only one of them is left.
#include "edge/relay.h"

#include <boost/asio/experimental/awaitable_operators.hpp>

namespace selvage::edge {
namespace {

constexpr std::size_t kFirstBuffer = 16 * 1024;
// Large enough that a system call or a pass through the stack moves a full window's worth; a
// session holds at most two of them.
constexpr std::size_t kLargestBuffer = 128 * 1024;

// Ends both streams when the one direction that is left carries nothing for the limit.
class HalfClosed {
public:
    HalfClosed(rt::Runtime& runtime, rt::Stream& a, rt::Stream& b, Duration limit)
        : runtime_(runtime), a_(a), b_(b), limit_(limit), timer_(runtime.timers()) {}
    HalfClosed(const HalfClosed&) = delete;
    HalfClosed& operator=(const HalfClosed&) = delete;
    ~HalfClosed() = default;

    void on_moved() { moved_at_ = runtime_.now(); }
    // One direction has come to its end. After the second one nobody waits any more.
    void on_finished() {
        moved_at_ = runtime_.now();
        if (limit_ > Duration(0)) watch();
    }
    bool gave_up() const { return gave_up_; }

private:
    void watch() {
        timer_.set(moved_at_ + limit_, [this] {
            if (runtime_.now() < moved_at_ + limit_) return watch();
            gave_up_ = true;
            a_.reset();
            b_.reset();
        });
    }

    rt::Runtime& runtime_;
    rt::Stream& a_;
    rt::Stream& b_;
    const Duration limit_;
    TimePoint moved_at_;
    bool gave_up_ = false;
    rt::Timer timer_;
};

rt::Task<Result<>> copy(rt::Stream& from, rt::Stream& to, HalfClosed& watch) {
    Bytes buffer(kFirstBuffer);
    for (;;) {
        auto got = co_await from.read_some(buffer);
        if (!got) co_return got.error();
        watch.on_moved();
        if (*got == 0) {
            auto passed_on = to.shutdown_write();
            if (passed_on) watch.on_finished();
            co_return passed_on;
        }
        auto sent = co_await to.write_all(ByteView(buffer).first(*got));
        if (!sent) co_return sent.error();
        watch.on_moved();
        if (*got == buffer.size() && buffer.size() < kLargestBuffer) {
            buffer = Bytes(buffer.size() * 2);
        }
    }
}

// A direction that fails takes the other with it: its stream would wait for ever otherwise.
rt::Task<Result<>> copy_or_end_both(rt::Stream& from, rt::Stream& to, HalfClosed& watch) {
    auto copied = co_await copy(from, to, watch);
    if (!copied) {
        from.reset();
        to.reset();
    }
    co_return copied;
}

}  // namespace

rt::Task<Result<>> relay(
    rt::Runtime& runtime, rt::Stream& a, rt::Stream& b, Duration half_closed_limit
) {
    using namespace boost::asio::experimental::awaitable_operators;
    HalfClosed watch(runtime, a, b, half_closed_limit);
    auto [up, down] = co_await (copy_or_end_both(a, b, watch) && copy_or_end_both(b, a, watch));
    if (watch.gave_up()) {
        co_return Error(Errc::timed_out, "one side had finished and the other was silent");
    }
    co_return up ? std::move(down) : std::move(up);
}

}  // namespace selvage::edge
