// Sealed payloads from strangers. Whatever opens under the AEAD must be something we sealed.
#include <cstdlib>

#include "crypto/cipher.h"

namespace {

selvage::crypto::PacketCipher make(selvage::crypto::CipherAlgorithm algorithm) {
    return selvage::crypto::PacketCipher::make(algorithm, selvage::crypto::SecretText("fuzz"))
        .value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace selvage;
    static crypto::PacketCipher ciphers[] = {
        make(crypto::CipherAlgorithm::aes_gcm), make(crypto::CipherAlgorithm::aes_256_gcm),
        make(crypto::CipherAlgorithm::chacha20), make(crypto::CipherAlgorithm::xor_stream),
        make(crypto::CipherAlgorithm::none)
    };
    for (crypto::PacketCipher& cipher : ciphers) {
        Bytes hostile(data, data + size);
        const auto opened = cipher.open(hostile);
        if (opened && *opened > size) std::abort();
        if (opened && cipher.tail_bytes() > 0) std::abort();
        if (!cipher.enabled()) continue;
        Bytes own(data, data + size);
        own.resize(size + cipher.tail_bytes());
        if (!cipher.seal(own)) std::abort();
        if (cipher.open(own) != size) std::abort();
        if (!std::equal(data, data + size, own.begin())) std::abort();
    }
    return 0;
}
