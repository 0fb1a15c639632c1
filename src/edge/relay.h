// Joins two streams: what one side sends goes to the other, both ways, until both are done.
#pragma once

#include "base/error.h"
#include "rt/runtime.h"
#include "rt/stream.h"

namespace selvage::edge {

// Half-closes are passed on; a failure of either side ends both. Each direction copies through a
// buffer of its own that starts at 16 KiB and grows to 128 KiB while the sender keeps it full.
rt::Task<Result<>> relay(rt::Stream& a, rt::Stream& b);

}  // namespace selvage::edge
