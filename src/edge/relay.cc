// Two copying loops side by side.
#include "edge/relay.h"

#include <boost/asio/experimental/awaitable_operators.hpp>

namespace selvage::edge {
namespace {

constexpr std::size_t kFirstBuffer = 16 * 1024;
// Large enough that a system call or a pass through the stack moves a full window's worth; a
// session holds at most two of them.
constexpr std::size_t kLargestBuffer = 128 * 1024;

rt::Task<Result<>> copy(rt::Stream& from, rt::Stream& to) {
    Bytes buffer(kFirstBuffer);
    for (;;) {
        auto got = co_await from.read_some(buffer);
        if (!got) co_return got.error();
        if (*got == 0) co_return to.shutdown_write();
        auto sent = co_await to.write_all(ByteView(buffer).first(*got));
        if (!sent) co_return sent.error();
        if (*got == buffer.size() && buffer.size() < kLargestBuffer) {
            buffer = Bytes(buffer.size() * 2);
        }
    }
}

// A direction that fails takes the other with it: its stream would wait for ever otherwise.
rt::Task<Result<>> copy_or_end_both(rt::Stream& from, rt::Stream& to) {
    auto copied = co_await copy(from, to);
    if (!copied) {
        from.reset();
        to.reset();
    }
    co_return copied;
}

}  // namespace

rt::Task<Result<>> relay(rt::Stream& a, rt::Stream& b) {
    using namespace boost::asio::experimental::awaitable_operators;
    auto [up, down] = co_await (copy_or_end_both(a, b) && copy_or_end_both(b, a));
    co_return up ? std::move(down) : std::move(up);
}

}  // namespace selvage::edge
