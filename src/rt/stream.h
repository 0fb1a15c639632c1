// A stream of bytes between two parties, and what accepts one. A stream does not tell whether it
// goes through our own stack, a socket of the host, or a test.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ip.h"
#include "rt/task.h"

namespace selvage::rt {

// One reader and one writer may be waiting at the same time, not two of a kind. Destroying a
// stream closes it.
class Stream {
public:
    virtual ~Stream() = default;

    // At least one byte, or 0 when the other side has finished sending. Errors: reset, timed_out...
    virtual Task<Result<std::size_t>> read_some(MutableByteView buffer) = 0;
    // At least one byte of `bytes`, which must stay valid until the task is done.
    virtual Task<Result<std::size_t>> write_some(ByteView bytes) = 0;
    // We have finished sending; the other side reads 0 after what was written. Reading goes on.
    virtual Result<> shutdown_write() = 0;
    // Ends both directions on this side; waiting reads and writes fail with Errc::closed. What was
    // written before still reaches the other side, and its end behind it. The other side sees a
    // reset only when it had sent what nobody read here, or goes on sending. Idempotent.
    virtual void close() = 0;
    // Ends both directions at once: what is under way is lost, and the other side sees a reset
    // where the transport has one. For what went wrong in the middle, so that it cannot be mistaken
    // for the end.
    virtual void reset() { close(); }

    virtual Endpoint local() const = 0;
    virtual Endpoint remote() const = 0;

    Task<Result<>> write_all(ByteView bytes);
    // Exactly buffer.size() bytes; Errc::closed when the stream ends before.
    Task<Result<>> read_exactly(MutableByteView buffer);
};
using StreamPtr = std::unique_ptr<Stream>;

class Acceptor {
public:
    virtual ~Acceptor() = default;
    // The next connection. Errc::closed after close().
    virtual Task<Result<StreamPtr>> accept() = 0;
    virtual Endpoint local() const = 0;
    virtual void close() = 0;
};
using AcceptorPtr = std::unique_ptr<Acceptor>;

}  // namespace selvage::rt
