// Compression of packet payloads.
// Source: protocol document 1-link.md, section 3.
//
//   payload on the wire = one zstd frame || u8 algorithm (1 = zstd), inside the encryption
//
// The header's length stays that of the plaintext, so a receiver knows the size beforehand and
// nobody can make it expand a bomb.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/error.h"
#include "packet/packet_buf.h"

namespace selvage::packet {

// The tail byte; other values than these are dropped.
enum class CompressionTail : std::uint8_t { zstd = 1 };

class Compressor {
public:
    Compressor();
    Compressor(Compressor&&) noexcept;
    Compressor& operator=(Compressor&&) noexcept;
    ~Compressor();

    // Replaces `wire`, a compressed payload with its tail byte, by what it expands to. `room` is
    // where to; the result is its front. The expanded size must be `plain_size`, as the header
    // says, which must fit into `room`.
    Result<MutableByteView> expand(ByteView wire, std::size_t plain_size, MutableByteView room);

    // Compresses into `room`, tail byte included. `limit` when that would not be smaller than
    // the plaintext: the payload is then sent as it is.
    Result<MutableByteView> shrink(ByteView plain, MutableByteView room);

private:
    struct State;
    std::unique_ptr<State> state_;
};

// Whole messages (RPC bodies), not packets: one plain zstd frame each.
// `output_limit` bounds what a hostile sender can make us allocate.
Result<Bytes> zstd_expand(ByteView frame, std::size_t output_limit);
Result<Bytes> zstd_shrink(ByteView plain);

}  // namespace selvage::packet
