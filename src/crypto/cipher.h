// Encryption of packet payloads with the network's secret, in place.
// Source: protocol document 1-link.md, sections 2.1, 2.3 and 2.4.
//
//   payload on the wire = ciphertext (as long as the plaintext) || tag[16] || nonce[12]
//
// The header is not authenticated. Nonces are random, because all nodes of a network share the
// key and a counter would repeat what another node used. A context is keyed once; a packet only
// sets its nonce.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/random.h"
#include "crypto/secret.h"

namespace selvage::crypto {

enum class CipherAlgorithm : std::uint8_t { none, aes_gcm, aes_256_gcm, chacha20, xor_stream };

// The names of the configuration with their aliases, whatever their case. "none" is not a name:
// encryption is switched off by its own option.
Result<CipherAlgorithm> cipher_from_name(std::string_view name);
std::string_view cipher_name(CipherAlgorithm algorithm);

// Which code does AES-GCM; the bytes are the same.
enum class CipherCode : std::uint8_t {
    fastest,  // vector_gcm.h where the processor has it, else OpenSSL
    openssl,
};

constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kCipherTailMax = kTagBytes + kNonceBytes;

class PacketCipher {
public:
    // bad_argument when OpenSSL does not provide the algorithm.
    static Result<PacketCipher> make(
        CipherAlgorithm algorithm, const SecretText& network_secret, NonceSource nonces = {},
        CipherCode code = CipherCode::fastest
    );
    PacketCipher(PacketCipher&&) noexcept;
    PacketCipher& operator=(PacketCipher&&) noexcept;
    ~PacketCipher();

    CipherAlgorithm algorithm() const;
    // False for CipherAlgorithm::none: packets then leave without the encrypted flag, and those
    // that arrive with it are refused by open().
    bool enabled() const { return algorithm() != CipherAlgorithm::none; }
    // Room that seal() needs behind the plaintext: 28, or 0 for xor and none.
    std::size_t tail_bytes() const;

    // `buffer` is the plaintext followed by tail_bytes() of room; it becomes the wire payload.
    // False only when the buffer is smaller than the tail, or encryption is off.
    [[nodiscard]] bool seal(MutableByteView buffer);

    // `buffer` is a wire payload. Returns the size of the plaintext, which then stands at its
    // front, or nothing when the payload is too short, was changed, or was made with another
    // key; the buffer's content is then worthless.
    [[nodiscard]] std::optional<std::size_t> open(MutableByteView buffer);

    // Only for vectors, whose nonce is given.
    [[nodiscard]] bool seal_with_nonce(
        MutableByteView buffer, std::span<const std::uint8_t, kNonceBytes> nonce
    );

private:
    struct State;
    bool seal_openssl(MutableByteView text, std::uint8_t* tag, const std::uint8_t* nonce);
    bool open_openssl(MutableByteView text, std::uint8_t* tag, const std::uint8_t* nonce);
    explicit PacketCipher(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace selvage::crypto
