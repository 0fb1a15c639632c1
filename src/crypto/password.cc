// crypt(3) with memory of its own for each call, so that several workers may hash at once.
#include "crypto/password.h"

#include <crypt.h>

#include <cstdlib>

namespace selvage::crypto {
namespace {

// What crypt_ra() wrote into, with the password in its working memory.
struct CryptMemory {
    void* data = nullptr;
    int size = 0;
    CryptMemory() = default;
    CryptMemory(const CryptMemory&) = delete;
    CryptMemory& operator=(const CryptMemory&) = delete;
    ~CryptMemory() {
        if (data != nullptr)
            wipe({static_cast<std::uint8_t*>(data), static_cast<std::size_t>(size)});
        std::free(data);
    }
};

// Longer ones are refused by crypt(3) itself; also bounds what a stranger makes us hash.
constexpr std::size_t kPasswordMax = CRYPT_MAX_PASSPHRASE_SIZE - 1;

Result<std::string> crypt_text(const SecretText& password, const std::string& setting) {
    const std::string_view text = password.reveal();
    if (text.size() > kPasswordMax) return Error(Errc::limit, "password longer than 511 bytes");
    if (text.find('\0') != std::string_view::npos) {
        return Error(Errc::bad_argument, "password contains a zero byte");
    }
    Bytes phrase(text.begin(), text.end());
    phrase.push_back(0);
    CryptMemory memory;
    const char* made = crypt_ra(
        reinterpret_cast<const char*>(phrase.data()), setting.c_str(), &memory.data, &memory.size
    );
    wipe(phrase);
    if (made == nullptr || made[0] == '*') return Error(Errc::bad_argument, "not a crypt(3) hash");
    return std::string(made);
}

constexpr std::string_view kSchemes[] = {"$y$", "$gy$", "$6$", "$5$", "$2b$", "$2y$"};

}  // namespace

Result<std::string> hash_password(const SecretText& password, PasswordScheme scheme) {
    const char* prefix = scheme == PasswordScheme::yescrypt ? "$y$" : "$6$";
    char* setting = crypt_gensalt_ra(prefix, 0, nullptr, 0);
    if (setting == nullptr) return Error(Errc::unsupported, "crypt(3) cannot make this hash");
    const std::string text(setting);
    std::free(setting);
    return crypt_text(password, text);
}

bool is_password_hash(std::string_view hash) {
    for (const std::string_view prefix : kSchemes) {
        if (hash.starts_with(prefix) && hash.size() > prefix.size() + 8) return true;
    }
    return false;
}

bool verify_password(const SecretText& password, const std::string& hash) {
    if (!is_password_hash(hash)) return false;
    const auto made = crypt_text(password, hash);
    return made && equal_constant_time(as_view(*made), as_view(hash));
}

bool verify_nobody(const SecretText& password) {
    static const std::string kNobody = "$6$qW7mJ0pS2vYxR4tA$";
    (void)crypt_text(password, kNobody);
    return false;
}

}  // namespace selvage::crypto
