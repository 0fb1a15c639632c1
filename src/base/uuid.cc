// Text form of UUIDs.
#include "base/uuid.h"

#include "base/bytes.h"

namespace selvage {

Result<Uuid> Uuid::parse(std::string_view text) {
    std::string digits;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash != (text[i] == '-')) return Error(Errc::malformed, "not a UUID");
        if (!dash) digits.push_back(text[i]);
    }
    auto bytes = from_hex(digits);
    Uuid out;
    if (!bytes || bytes->size() != out.bytes.size()) return Error(Errc::malformed, "not a UUID");
    std::copy(bytes->begin(), bytes->end(), out.bytes.begin());
    return out;
}

Uuid Uuid::from_random(std::uint64_t high, std::uint64_t low) {
    Uuid out;
    for (std::size_t i = 0; i < 8; ++i) {
        out.bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
        out.bytes[i + 8] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
    }
    out.bytes[6] = static_cast<std::uint8_t>((out.bytes[6] & 0x0f) | 0x40);
    out.bytes[8] = static_cast<std::uint8_t>((out.bytes[8] & 0x3f) | 0x80);
    return out;
}

std::string Uuid::to_string() const {
    const std::string hex = to_hex(bytes);
    return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
           hex.substr(16, 4) + "-" + hex.substr(20);
}

}  // namespace selvage
