// Five bits a letter, Crockford's alphabet.
#include "crypto/one_time_token.h"

#include <openssl/evp.h>

#include "crypto/random.h"

namespace selvage::crypto {
namespace {

// Without i, l, o and u.
constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::size_t kLetters = 24;
constexpr std::size_t kGroup = 6;
constexpr std::size_t kTextMax = 64;  // with any dashes and spaces that a person puts in

}  // namespace

SecretText make_token() {
    std::array<std::uint8_t, kLetters> random;
    fill_random(random);
    std::array<char, kLetters + kLetters / kGroup - 1> text;
    std::size_t at = 0;
    for (std::size_t i = 0; i < kLetters; ++i) {
        if (i != 0 && i % kGroup == 0) text[at++] = '-';
        text[at++] =
            kAlphabet[random[i] % kAlphabet.size()];  // 32 divides 256: no letter is likelier
    }
    SecretText out({text.data(), text.size()});
    wipe(random);
    wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
    return out;
}

std::optional<TokenHash> hash_token(const SecretText& text) {
    const std::string_view given = text.reveal();
    if (given.size() > kTextMax) return std::nullopt;
    std::array<std::uint8_t, kLetters> letters{};
    std::size_t count = 0;
    bool possible = true;
    for (char c : given) {
        if (c == '-' || c == ' ') continue;
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        if (kAlphabet.find(c) == std::string_view::npos || count == kLetters) {
            possible = false;
            break;
        }
        letters[count++] = static_cast<std::uint8_t>(c);
    }
    std::optional<TokenHash> out;
    if (possible && count == kLetters) {
        out.emplace();
        unsigned size = 0;
        const int done =
            EVP_Digest(letters.data(), letters.size(), out->data(), &size, EVP_sha256(), nullptr);
        if (done != 1 || size != out->size()) out.reset();
    }
    wipe(letters);
    return out;
}

}  // namespace selvage::crypto
