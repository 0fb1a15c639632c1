// SipHash (Aumasson, Bernstein 2012) with 1-3 or 2-4 rounds, one-shot over a span.
//
// 1-3 with a zero key is the hash of EasyTier's key derivation (1-link.md section 2.2). 2-4 with
// a random key protects our hash tables and gives TCP's initial sequence numbers.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace selvage {

struct SipKey {
    std::uint64_t k0 = 0;
    std::uint64_t k1 = 0;
};

std::uint64_t siphash13(SipKey key, ByteView bytes);
std::uint64_t siphash24(SipKey key, ByteView bytes);

}  // namespace selvage
