// SipHash-c-d over a contiguous range.
#include "base/siphash.h"

namespace selvage {
namespace {

struct State {
    std::uint64_t v0, v1, v2, v3;

    void round() {
        v0 += v1, v1 = std::rotl(v1, 13), v1 ^= v0, v0 = std::rotl(v0, 32);
        v2 += v3, v3 = std::rotl(v3, 16), v3 ^= v2;
        v0 += v3, v3 = std::rotl(v3, 21), v3 ^= v0;
        v2 += v1, v1 = std::rotl(v1, 17), v1 ^= v2, v2 = std::rotl(v2, 32);
    }
};

template <int kCompress, int kFinish>
std::uint64_t siphash(SipKey key, ByteView bytes) {
    State s{
        key.k0 ^ 0x736f6d6570736575, key.k1 ^ 0x646f72616e646f6d, key.k0 ^ 0x6c7967656e657261,
        key.k1 ^ 0x7465646279746573
    };
    const auto absorb = [&s](std::uint64_t word) {
        s.v3 ^= word;
        for (int i = 0; i < kCompress; ++i)
            s.round();
        s.v0 ^= word;
    };
    Reader in(bytes);
    le64 word;
    while (in.left() >= sizeof(word) && in.read(word))
        absorb(word);
    std::uint64_t last = std::uint64_t{bytes.size() & 0xff} << 56;
    int shift = 0;
    for (const std::uint8_t byte : in.rest()) {
        last |= std::uint64_t{byte} << shift;
        shift += 8;
    }
    absorb(last);
    s.v2 ^= 0xff;
    for (int i = 0; i < kFinish; ++i)
        s.round();
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

}  // namespace

std::uint64_t siphash13(SipKey key, ByteView bytes) {
    return siphash<1, 3>(key, bytes);
}
std::uint64_t siphash24(SipKey key, ByteView bytes) {
    return siphash<2, 4>(key, bytes);
}

}  // namespace selvage
