// zstd, one-shot, with contexts that are made once.
#include "packet/compress.h"

#include <zstd.h>

namespace selvage::packet {
namespace {

constexpr int kLevel = 3;  // the reference's; speed matters more than the last per cent

struct FreeCompress {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct FreeDecompress {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

}  // namespace

struct Compressor::State {
    std::unique_ptr<ZSTD_CCtx, FreeCompress> compress{ZSTD_createCCtx()};
    std::unique_ptr<ZSTD_DCtx, FreeDecompress> decompress{ZSTD_createDCtx()};
};

Compressor::Compressor() : state_(std::make_unique<State>()) {}
Compressor::Compressor(Compressor&&) noexcept = default;
Compressor& Compressor::operator=(Compressor&&) noexcept = default;
Compressor::~Compressor() = default;

Result<MutableByteView> Compressor::expand(
    ByteView wire, std::size_t plain_size, MutableByteView room
) {
    if (wire.empty()) return Errc::truncated;
    if (wire.back() != static_cast<std::uint8_t>(CompressionTail::zstd)) return Errc::unsupported;
    if (plain_size > room.size()) return Errc::limit;
    const ByteView frame = wire.first(wire.size() - 1);
    // Room for exactly the promised size: a frame that holds more fails instead of growing.
    const std::size_t made = ZSTD_decompressDCtx(
        state_->decompress.get(), room.data(), plain_size, frame.data(), frame.size()
    );
    if (ZSTD_isError(made) != 0U) return Errc::malformed;
    if (made != plain_size) return Errc::bad_length;
    return room.first(made);
}

Result<MutableByteView> Compressor::shrink(ByteView plain, MutableByteView room) {
    if (room.empty()) return Errc::limit;
    const std::size_t made = ZSTD_compressCCtx(
        state_->compress.get(), room.data(), room.size() - 1, plain.data(), plain.size(), kLevel
    );
    if (ZSTD_isError(made) != 0U || made + 1 > plain.size()) return Errc::limit;
    room[made] = static_cast<std::uint8_t>(CompressionTail::zstd);
    return room.first(made + 1);
}

Result<Bytes> zstd_expand(ByteView frame, std::size_t output_limit) {
    const unsigned long long announced = ZSTD_getFrameContentSize(frame.data(), frame.size());
    if (announced == ZSTD_CONTENTSIZE_ERROR) return Errc::malformed;
    std::size_t room = output_limit;
    if (announced != ZSTD_CONTENTSIZE_UNKNOWN) {
        if (announced > output_limit) return Errc::limit;
        room = static_cast<std::size_t>(announced);
    }
    Bytes out(room);
    // All input must be used: several frames in a row or bytes behind the frame are an error or
    // more output than `room`, never silently ignored.
    const std::size_t made = ZSTD_decompress(out.data(), out.size(), frame.data(), frame.size());
    if (ZSTD_isError(made) != 0U) return Errc::malformed;
    out.resize(made);
    return out;
}

Result<Bytes> zstd_shrink(ByteView plain) {
    Bytes out(ZSTD_compressBound(plain.size()));
    const std::size_t made =
        ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), kLevel);
    if (ZSTD_isError(made) != 0U) return Errc::internal;
    out.resize(made);
    return out;
}

}  // namespace selvage::packet
