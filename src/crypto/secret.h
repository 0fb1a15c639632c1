// Secrets as types: no text form, no copy, wiped when they go, compared in constant time.
//
// Each use of the bytes is a call of reveal(), so that all of them can be found by searching.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"

namespace selvage::crypto {

// Overwrites memory in a way that the optimiser may not drop.
void wipe(MutableByteView bytes);

// Compares without telling by its time where the first difference is. Lengths are not secret.
bool equal_constant_time(ByteView a, ByteView b);

// A key of fixed size.
template <std::size_t kBytes>
class Secret {
public:
    explicit Secret(std::span<const std::uint8_t, kBytes> bytes) {
        std::memcpy(bytes_.data(), bytes.data(), kBytes);
    }
    Secret(Secret&& other) noexcept : bytes_(other.bytes_) { wipe(other.bytes_); }
    Secret& operator=(Secret&& other) noexcept {
        if (this != &other) {
            bytes_ = other.bytes_;
            wipe(other.bytes_);
        }
        return *this;
    }
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    ~Secret() { wipe(bytes_); }

    bool equals(const Secret& other) const { return equal_constant_time(bytes_, other.bytes_); }
    std::span<const std::uint8_t, kBytes> reveal() const { return bytes_; }

private:
    std::array<std::uint8_t, kBytes> bytes_;
};

// A password or network secret: text of any length.
class SecretText {
public:
    SecretText() = default;
    explicit SecretText(std::string_view text) : text_(text.begin(), text.end()) {}
    SecretText(SecretText&& other) noexcept : text_(std::exchange(other.text_, {})) {}
    SecretText& operator=(SecretText&& other) noexcept {
        if (this != &other) {
            wipe(text_);
            text_ = std::exchange(other.text_, {});
        }
        return *this;
    }
    SecretText(const SecretText&) = delete;
    SecretText& operator=(const SecretText&) = delete;
    ~SecretText() { wipe(text_); }

    // A second owner, in so many words: options hold one, each user of it another.
    SecretText duplicate() const { return SecretText(reveal()); }
    bool empty() const { return text_.empty(); }
    bool equals(const SecretText& other) const { return equal_constant_time(text_, other.text_); }
    std::string_view reveal() const { return as_text(text_); }

private:
    Bytes text_;  // a vector, whose move leaves no copy behind as a short string's would
};

}  // namespace selvage::crypto
