// The loops that every stream shares.
#include "rt/stream.h"

namespace selvage::rt {

Task<Result<>> Stream::write_all(ByteView bytes) {
    while (!bytes.empty()) {
        auto wrote = co_await write_some(bytes);
        if (!wrote) co_return wrote.error();
        bytes = bytes.subspan(*wrote);
    }
    co_return Result<>{};
}

Task<Result<>> Stream::read_exactly(MutableByteView buffer) {
    while (!buffer.empty()) {
        auto got = co_await read_some(buffer);
        if (!got) co_return got.error();
        if (*got == 0) co_return Errc::closed;
        buffer = buffer.subspan(*got);
    }
    co_return Result<>{};
}

}  // namespace selvage::rt
