// Wiping and comparing, by OpenSSL's functions that compilers leave alone.
#include "crypto/secret.h"

#include <openssl/crypto.h>

namespace selvage::crypto {

void wipe(MutableByteView bytes) {
    OPENSSL_cleanse(bytes.data(), bytes.size());
}

bool equal_constant_time(ByteView a, ByteView b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace selvage::crypto
