// AES-GCM with the vector units of newer x86 processors (VAES), by Intel's IPsec multi-buffer
// library: three times as fast as OpenSSL 3.0 on a packet (docs/performance.md). Where the
// processor or the library is missing there is none, and OpenSSL does the work.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"

namespace selvage::crypto {

class VectorGcm {
public:
    virtual ~VectorGcm() = default;
    // Both work in place. The tag is written, and what it should have been, to compare.
    virtual void seal(
        MutableByteView text, std::span<const std::uint8_t, 12> nonce,
        std::span<std::uint8_t, 16> tag
    ) const = 0;
    virtual void open(
        MutableByteView text, std::span<const std::uint8_t, 12> nonce,
        std::span<std::uint8_t, 16> tag
    ) const = 0;
};

// Whether make_vector_gcm() gives something on this machine.
bool has_vector_gcm();
// A key of 16 or 32 bytes; none of any other size, or where there is no VAES.
std::unique_ptr<VectorGcm> make_vector_gcm(ByteView key);

}  // namespace selvage::crypto
