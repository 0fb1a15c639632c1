// Passwords of service users, as crypt(3) hashes. Slow on purpose: call from a worker.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "crypto/secret.h"

namespace selvage::crypto {

enum class PasswordScheme { yescrypt, sha512 };

// A hash for the configuration file, with a fresh salt.
Result<std::string> hash_password(
    const SecretText& password, PasswordScheme scheme = PasswordScheme::yescrypt
);

// Whether the text is a hash of a scheme strong enough to be used ($y$, $gy$, $6$, $5$, $2b$).
bool is_password_hash(std::string_view hash);

// Compares in constant time. A malformed hash matches nothing.
bool verify_password(const SecretText& password, const std::string& hash);

// Takes as long as a real verification and always fails: for users who do not exist, so that a
// stranger cannot tell by the time which names are real.
bool verify_nobody(const SecretText& password);

}  // namespace selvage::crypto
