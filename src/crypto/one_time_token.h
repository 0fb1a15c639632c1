// Tokens that stand for a password once: 120 random bits that a person can read out, of which only
// a hash is kept.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "crypto/secret.h"

namespace selvage::crypto {

// "k3w9qd-7hnzt2-m4xv8p-c6rj5e": letters and digits that are hard to mistake for others.
SecretText make_token();

// SHA-256 is enough: unlike a password the token cannot be guessed from its hash.
using TokenHash = std::array<std::uint8_t, 32>;

// Case and dashes do not matter. Nothing when the text cannot be a token.
std::optional<TokenHash> hash_token(const SecretText& text);

}  // namespace selvage::crypto
