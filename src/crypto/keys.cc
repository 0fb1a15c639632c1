// The running hash of the key derivation: SipHash-1-3 with a zero key over all bytes fed so far,
// its results written big-endian.
#include "crypto/keys.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/siphash.h"

namespace selvage::crypto {
namespace {

// Collects what is fed; a result is the hash of everything up to then.
class RunningHash {
public:
    RunningHash() = default;
    RunningHash(const RunningHash&) = delete;
    RunningHash& operator=(const RunningHash&) = delete;
    ~RunningHash() { wipe(fed_); }

    void feed(ByteView bytes) {
        Bytes longer;
        longer.reserve(fed_.size() + bytes.size());
        longer.insert(longer.end(), fed_.begin(), fed_.end());
        longer.insert(longer.end(), bytes.begin(), bytes.end());
        wipe(fed_);
        fed_ = std::move(longer);
    }
    be64 result() const { return siphash13({}, fed_); }

private:
    Bytes fed_;
};

constexpr std::string_view kLabel256 = "easytier-256bit-key";

void put(be64 word, MutableByteView out, std::size_t at) {
    std::memcpy(out.data() + at, &word, sizeof(word));
}

}  // namespace

Key128 derive_key128(const SecretText& network_secret) {
    RunningHash hash;
    std::array<std::uint8_t, 16> key{};
    hash.feed(as_view(network_secret.reveal()));
    put(hash.result(), key, 0);
    hash.feed(ByteView(key).first(8));
    put(hash.result(), key, 8);
    Key128 out{std::span<const std::uint8_t, 16>(key)};
    wipe(key);
    return out;
}

Key256 derive_key256(const SecretText& network_secret) {
    RunningHash hash;
    std::array<std::uint8_t, 32> key{};
    hash.feed(as_view(network_secret.reveal()));
    hash.feed(as_view(kLabel256));
    for (std::size_t round = 0; round < 4; ++round) {
        hash.feed(ByteView(key).first(8 * round));
        const std::uint8_t index = static_cast<std::uint8_t>(round);
        hash.feed({&index, 1});
        put(hash.result(), key, 8 * round);
    }
    Key256 out{std::span<const std::uint8_t, 32>(key)};
    wipe(key);
    return out;
}

NetworkDigest network_digest(std::string_view network_name, const SecretText& network_secret) {
    RunningHash hash;
    NetworkDigest digest{};
    hash.feed(as_view(network_name));
    hash.feed(as_view(network_secret.reveal()));
    for (std::size_t round = 0; round < 4; ++round) {
        put(hash.result(), digest, 8 * round);
        hash.feed(ByteView(digest).first(8 * round + 8));
    }
    return digest;
}

GroupProof group_proof(std::string_view group, const SecretText& secret, std::uint32_t peer_id) {
    Bytes message(group.begin(), group.end());
    message.push_back(0);
    const be32 id = peer_id;
    const ByteView id_bytes = as_bytes_of(id);
    message.insert(message.end(), id_bytes.begin(), id_bytes.end());
    GroupProof out{};
    const std::string_view key = secret.reveal();
    // Cannot fail but for want of memory, and then the zeros match no proof.
    (void)HMAC(
        EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(), message.size(),
        out.data(), nullptr
    );
    return out;
}

}  // namespace selvage::crypto
