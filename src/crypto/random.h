// Randomness that an adversary may not guess: keys, ids and nonces. Jitter and hash seeds come
// from rt::Rng instead, so that a simulated run can be repeated.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "crypto/secret.h"

namespace selvage::crypto {

// From the OS's generator by way of OpenSSL. Ends the process when there is none: no key that
// could be made then would be one.
void fill_random(MutableByteView out);
std::uint64_t random_u64();

// A fast source for packet nonces, in user space: the keystream of AES-256-CTR in blocks of
// 4 KiB, each of which replaces the key before it is used, so that what was given out cannot be
// computed from what is left. Never a system call per packet.
class NonceSource {
public:
    NonceSource();                                                 // seeded once by the OS
    explicit NonceSource(std::span<const std::uint8_t, 32> seed);  // repeatable, for tests
    NonceSource(NonceSource&&) noexcept;
    NonceSource& operator=(NonceSource&&) noexcept;
    ~NonceSource();

    void fill(MutableByteView out);

private:
    struct State;
    void refill();
    std::unique_ptr<State> state_;
};

}  // namespace selvage::crypto
