// OpenSSL's generator, and the keystream generator that it seeds.
#include "crypto/random.h"

#include <cstdio>
#include <cstdlib>

#include <openssl/evp.h>
#include <openssl/rand.h>

namespace selvage::crypto {
namespace {

[[noreturn]] void die(const char* what) {
    std::fprintf(stderr, "selvage: %s failed; no safe key can be made\n", what);
    std::abort();
}

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kBlockBytes = 4096;

}  // namespace

void fill_random(MutableByteView out) {
    if (RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) die("RAND_bytes");
}

std::uint64_t random_u64() {
    std::array<std::uint8_t, 8> bytes{};
    fill_random(bytes);
    return std::bit_cast<std::uint64_t>(bytes);
}

struct NonceSource::State {
    EVP_CIPHER_CTX* context = nullptr;
    std::array<std::uint8_t, kBlockBytes> block{};
    std::size_t next = 0;

    State() : context(EVP_CIPHER_CTX_new()) {
        if (context == nullptr) die("EVP_CIPHER_CTX_new");
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        EVP_CIPHER_CTX_free(context);
        wipe(block);
    }
    void set_key(ByteView key) {
        static constexpr std::array<std::uint8_t, 16> kZeroIv{};
        if (EVP_EncryptInit_ex2(context, EVP_aes_256_ctr(), key.data(), kZeroIv.data(), nullptr) !=
            1) {
            die("AES-256-CTR");
        }
    }
};

NonceSource::NonceSource() : state_(std::make_unique<State>()) {
    std::array<std::uint8_t, kKeyBytes> seed{};
    fill_random(seed);
    state_->set_key(seed);
    wipe(seed);
    refill();
}

NonceSource::NonceSource(std::span<const std::uint8_t, 32> seed)
    : state_(std::make_unique<State>()) {
    state_->set_key(seed);
    refill();
}

NonceSource::NonceSource(NonceSource&&) noexcept = default;
NonceSource& NonceSource::operator=(NonceSource&&) noexcept = default;
NonceSource::~NonceSource() = default;

void NonceSource::refill() {
    State& s = *state_;
    s.block.fill(0);
    int made = 0;
    const int size = static_cast<int>(s.block.size());
    if (EVP_EncryptUpdate(s.context, s.block.data(), &made, s.block.data(), size) != 1) {
        die("AES-256-CTR");
    }
    s.set_key(ByteView(s.block).first(kKeyBytes));
    wipe(MutableByteView(s.block).first(kKeyBytes));
    s.next = kKeyBytes;
}

void NonceSource::fill(MutableByteView out) {
    State& s = *state_;
    while (!out.empty()) {
        if (s.next == s.block.size()) refill();
        const std::size_t take = std::min(out.size(), s.block.size() - s.next);
        std::memcpy(out.data(), s.block.data() + s.next, take);
        wipe(MutableByteView(s.block).subspan(s.next, take));
        s.next += take;
        out = out.subspan(take);
    }
}

}  // namespace selvage::crypto
