// Two streams joined in memory: for tests, and for services that live in one process.
#pragma once

#include <utility>

#include "rt/runtime.h"
#include "rt/stream.h"

namespace selvage::rt {

struct MemoryStreamOptions {
    std::size_t capacity = 64 * 1024;  // bytes in flight per direction; a writer waits beyond it
    Endpoint first;                    // what the first stream calls its local end
    Endpoint second;
};

std::pair<StreamPtr, StreamPtr> make_stream_pair(
    Runtime& runtime, MemoryStreamOptions options = {}
);

}  // namespace selvage::rt
