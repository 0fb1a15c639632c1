// Reads and writes that must be done by a time, on any stream. What does not end by then fails with
// Errc::timed_out and has done nothing: no byte was taken or given, and the stream goes on.
#pragma once

#include "rt/stream.h"
#include "rt/with_timeout.h"

namespace selvage::rt {

inline Task<Result<std::size_t>> read_some_until(
    Runtime& runtime, Stream& stream, MutableByteView buffer, TimePoint deadline
) {
    const Duration left = std::max(deadline - runtime.now(), Duration::zero());
    co_return co_await with_timeout(runtime, left, stream.read_some(buffer));
}

inline Task<Result<std::size_t>> write_some_until(
    Runtime& runtime, Stream& stream, ByteView bytes, TimePoint deadline
) {
    const Duration left = std::max(deadline - runtime.now(), Duration::zero());
    co_return co_await with_timeout(runtime, left, stream.write_some(bytes));
}

}  // namespace selvage::rt
