// Compressed payloads and messages from strangers. Input: the promised size in two bytes, then
// the payload.
#include <cstdlib>

#include "packet/compress.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace selvage;
    static packet::Compressor compressor;
    Reader in({data, size});
    le16 promised;
    if (!in.read(promised)) return 0;
    Bytes room(packet::kBlockBytes);
    const auto plain = compressor.expand(in.rest(), promised, room);
    if (plain && plain->size() != promised) std::abort();
    const auto message = packet::zstd_expand(in.rest(), 4096);
    if (message && message->size() > 4096) std::abort();
    return 0;
}
