// The AEADs of OpenSSL, AES-GCM of newer processors, and the xor stream.
#include "crypto/cipher.h"

#include <array>

#include <openssl/evp.h>

#include "crypto/keys.h"
#include "crypto/vector_gcm.h"

namespace selvage::crypto {
namespace {

struct ContextFree {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, ContextFree>;

struct NamedCipher {
    std::string_view name;
    CipherAlgorithm algorithm;
};
// The first name of each algorithm is the one that we print.
constexpr std::array<NamedCipher, 8> kNames{{
    {"aes-gcm", CipherAlgorithm::aes_gcm},
    {"openssl-aes-gcm", CipherAlgorithm::aes_gcm},
    {"aes-256-gcm", CipherAlgorithm::aes_256_gcm},
    {"openssl-aes-256-gcm", CipherAlgorithm::aes_256_gcm},
    {"chacha20", CipherAlgorithm::chacha20},
    {"chacha20-poly1305", CipherAlgorithm::chacha20},
    {"openssl-chacha20", CipherAlgorithm::chacha20},
    {"xor", CipherAlgorithm::xor_stream},
}};

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return std::ranges::equal(a, b, {}, lower, lower);
}

const EVP_CIPHER* evp_cipher(CipherAlgorithm algorithm) {
    switch (algorithm) {
        case CipherAlgorithm::aes_gcm:
            return EVP_aes_128_gcm();
        case CipherAlgorithm::aes_256_gcm:
            return EVP_aes_256_gcm();
        case CipherAlgorithm::chacha20:
            return EVP_chacha20_poly1305();
        case CipherAlgorithm::none:
        case CipherAlgorithm::xor_stream:
            return nullptr;
    }
    return nullptr;
}

}  // namespace

Result<CipherAlgorithm> cipher_from_name(std::string_view name) {
    for (const NamedCipher& known : kNames) {
        if (equal_ignoring_case(name, known.name)) return known.algorithm;
    }
    return Error(Errc::bad_argument, "no encryption algorithm of this name");
}

std::string_view cipher_name(CipherAlgorithm algorithm) {
    for (const NamedCipher& known : kNames) {
        if (known.algorithm == algorithm) return known.name;
    }
    return "none";
}

struct PacketCipher::State {
    CipherAlgorithm algorithm = CipherAlgorithm::none;
    Context sealing;
    Context opening;
    std::unique_ptr<VectorGcm> vector;  // does the work of both where there is one
    std::optional<Key128> xor_key;
    NonceSource nonces;
};

PacketCipher::PacketCipher(std::unique_ptr<State> state) : state_(std::move(state)) {}
PacketCipher::PacketCipher(PacketCipher&&) noexcept = default;
PacketCipher& PacketCipher::operator=(PacketCipher&&) noexcept = default;
PacketCipher::~PacketCipher() = default;

Result<PacketCipher> PacketCipher::make(
    CipherAlgorithm algorithm, const SecretText& network_secret, NonceSource nonces, CipherCode code
) {
    auto state = std::make_unique<State>(State{
        .algorithm = algorithm,
        .sealing = {},
        .opening = {},
        .vector = {},
        .xor_key = {},
        .nonces = std::move(nonces)
    });
    if (algorithm == CipherAlgorithm::xor_stream) state->xor_key = derive_key128(network_secret);
    if (const EVP_CIPHER* cipher = evp_cipher(algorithm)) {
        const bool gcm = algorithm != CipherAlgorithm::chacha20;
        const auto key_context = [&](ByteView key) {
            if (gcm && code == CipherCode::fastest) state->vector = make_vector_gcm(key);
            state->sealing.reset(EVP_CIPHER_CTX_new());
            state->opening.reset(EVP_CIPHER_CTX_new());
            return state->sealing && state->opening &&
                   EVP_EncryptInit_ex2(
                       state->sealing.get(), cipher, key.data(), nullptr, nullptr
                   ) == 1 &&
                   EVP_DecryptInit_ex2(
                       state->opening.get(), cipher, key.data(), nullptr, nullptr
                   ) == 1;
        };
        const bool keyed = algorithm == CipherAlgorithm::aes_gcm
                               ? key_context(derive_key128(network_secret).reveal())
                               : key_context(derive_key256(network_secret).reveal());
        if (!keyed) {
            return Error(
                Errc::bad_argument, "OpenSSL has no " + std::string(cipher_name(algorithm))
            );
        }
    }
    return PacketCipher(std::move(state));
}

CipherAlgorithm PacketCipher::algorithm() const {
    return state_->algorithm;
}

std::size_t PacketCipher::tail_bytes() const {
    return state_->sealing ? kCipherTailMax : 0;
}

bool PacketCipher::seal(MutableByteView buffer) {
    std::array<std::uint8_t, kNonceBytes> nonce{};
    if (state_->sealing) state_->nonces.fill(nonce);
    return seal_with_nonce(buffer, nonce);
}

bool PacketCipher::seal_with_nonce(
    MutableByteView buffer, std::span<const std::uint8_t, kNonceBytes> nonce
) {
    if (!enabled() || buffer.size() < tail_bytes()) return false;
    if (state_->xor_key) {
        const auto key = state_->xor_key->reveal();
        for (std::size_t i = 0; i < buffer.size(); ++i)
            buffer[i] ^= key[i % key.size()];
        return true;
    }
    const MutableByteView text = buffer.first(buffer.size() - kCipherTailMax);
    std::uint8_t* tag = buffer.data() + text.size();
    if (state_->vector) {
        state_->vector->seal(text, nonce, std::span<std::uint8_t, kTagBytes>(tag, kTagBytes));
    } else if (!seal_openssl(text, tag, nonce.data())) {
        return false;
    }
    std::memcpy(tag + kTagBytes, nonce.data(), kNonceBytes);
    return true;
}

bool PacketCipher::seal_openssl(
    MutableByteView text, std::uint8_t* tag, const std::uint8_t* nonce
) {
    EVP_CIPHER_CTX* context = state_->sealing.get();
    const int size = static_cast<int>(text.size());
    int made = 0;
    int rest = 0;
    if (EVP_EncryptInit_ex2(context, nullptr, nullptr, nonce, nullptr) != 1) return false;
    if (size > 0 && EVP_EncryptUpdate(context, text.data(), &made, text.data(), size) != 1) {
        return false;
    }
    return EVP_EncryptFinal_ex(context, tag, &rest) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag) == 1;
}

std::optional<std::size_t> PacketCipher::open(MutableByteView buffer) {
    if (!enabled() || buffer.size() < tail_bytes()) return std::nullopt;
    if (state_->xor_key) {
        if (!seal(buffer)) return std::nullopt;  // its own inverse
        return buffer.size();
    }
    const MutableByteView text = buffer.first(buffer.size() - kCipherTailMax);
    std::uint8_t* tag = buffer.data() + text.size();
    const std::uint8_t* nonce = tag + kTagBytes;
    if (state_->vector) {
        std::array<std::uint8_t, kTagBytes> right;
        state_->vector->open(
            text, std::span<const std::uint8_t, kNonceBytes>(nonce, kNonceBytes), right
        );
        if (!equal_constant_time(right, ByteView(tag, kTagBytes))) return std::nullopt;
    } else if (!open_openssl(text, tag, nonce)) {
        return std::nullopt;
    }
    return text.size();
}

bool PacketCipher::open_openssl(
    MutableByteView text, std::uint8_t* tag, const std::uint8_t* nonce
) {
    EVP_CIPHER_CTX* context = state_->opening.get();
    const int size = static_cast<int>(text.size());
    int made = 0;
    int rest = 0;
    if (EVP_DecryptInit_ex2(context, nullptr, nullptr, nonce, nullptr) != 1) return false;
    if (EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag) != 1) return false;
    if (size > 0 && EVP_DecryptUpdate(context, text.data(), &made, text.data(), size) != 1) {
        return false;
    }
    return EVP_DecryptFinal_ex(context, text.data() + made, &rest) == 1;
}

}  // namespace selvage::crypto
