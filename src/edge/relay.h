// Joins two streams: what one side sends goes to the other, both ways, until both are done.
#pragma once

#include "base/error.h"
#include "rt/runtime.h"
#include "rt/stream.h"

namespace selvage::edge {

// When one side has finished sending, the other may be silent for so long: an answer that takes
// longer has been given up by whoever asked. Many clients finish and go without a word, and each
// would take a place for hours otherwise.
constexpr Duration kHalfClosedLimit = std::chrono::minutes(5);

// Half-closes are passed on; a failure of either side ends both, and so does a half-closed stream
// that is silent beyond the limit (Errc::timed_out; zero: never). Each direction copies through a
// buffer of its own that starts at 16 KiB and grows to 128 KiB while the sender keeps it full.
rt::Task<Result<>> relay(
    rt::Runtime& runtime, rt::Stream& a, rt::Stream& b, Duration half_closed_limit
);

}  // namespace selvage::edge
