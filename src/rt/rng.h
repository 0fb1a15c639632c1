// Random numbers for jitter, ids and hash seeds; keys and nonces come from crypto.
// xoshiro256** (Blackman, Vigna), seeded through splitmix64.
#pragma once

#include <bit>
#include <cstdint>

namespace selvage::rt {

class Rng {
public:
    explicit Rng(std::uint64_t seed) {
        for (auto& word : state_) {
            seed += 0x9e3779b97f4a7c15;
            std::uint64_t z = seed;
            z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
            z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
            word = z ^ (z >> 31);
        }
    }
    std::uint64_t next() {
        const std::uint64_t out = std::rotl(state_[1] * 5, 7) * 9;
        const std::uint64_t t = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= t;
        state_[3] = std::rotl(state_[3], 45);
        return out;
    }
    // Uniform in [0, bound). Precondition: bound > 0. The bias of the modulo is below 2^-32 for
    // every bound that we use.
    std::uint64_t below(std::uint64_t bound) { return next() % bound; }
    bool chance(double probability) {
        return static_cast<double>(next() >> 11) * 0x1.0p-53 < probability;
    }
    std::uint32_t nonzero32() {
        for (;;) {
            const auto value = static_cast<std::uint32_t>(next() >> 32);
            if (value != 0) return value;
        }
    }

private:
    std::uint64_t state_[4];
};

}  // namespace selvage::rt
