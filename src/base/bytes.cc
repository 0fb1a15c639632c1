// Hex and UTF-8 checks.
#include "base/bytes.h"

namespace selvage {

std::string to_hex(ByteView bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const std::uint8_t byte : bytes) {
        out.push_back(kDigits[byte >> 4]);
        out.push_back(kDigits[byte & 15]);
    }
    return out;
}

namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

Result<Bytes> from_hex(std::string_view text) {
    if (text.size() % 2 != 0) return Error(Errc::malformed, "hex text of odd length");
    Bytes out;
    out.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const int high = hex_digit(text[i]);
        const int low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0) return Error(Errc::malformed, "not a hex digit");
        out.push_back(static_cast<std::uint8_t>(high * 16 + low));
    }
    return out;
}

bool is_utf8(ByteView bytes) {
    for (std::size_t i = 0; i < bytes.size();) {
        const std::uint8_t first = bytes[i++];
        if (first < 0x80) continue;
        std::size_t more = 0;
        std::uint32_t point = 0;
        std::uint32_t least = 0;
        if ((first & 0xe0) == 0xc0) {
            more = 1, point = first & 0x1fU, least = 0x80;
        } else if ((first & 0xf0) == 0xe0) {
            more = 2, point = first & 0x0fU, least = 0x800;
        } else if ((first & 0xf8) == 0xf0) {
            more = 3, point = first & 0x07U, least = 0x10000;
        } else {
            return false;
        }
        if (bytes.size() - i < more) return false;
        for (; more > 0; --more) {
            const std::uint8_t next = bytes[i++];
            if ((next & 0xc0) != 0x80) return false;
            point = (point << 6) | (next & 0x3fU);
        }
        if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
    }
    return true;
}

}  // namespace selvage
