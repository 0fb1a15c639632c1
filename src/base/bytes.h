// Bytes on the wire: integers with a byte order in their type, and a Reader that cannot overrun.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"

namespace selvage {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using MutableByteView = std::span<std::uint8_t>;

// An unsigned integer stored in a fixed byte order at any alignment.
template <std::unsigned_integral Int, std::endian kOrder>
class WireInt {
public:
    constexpr WireInt() = default;
    constexpr WireInt(Int value) { store(value); }  // NOLINT: reads like an integer
    constexpr WireInt& operator=(Int value) {
        store(value);
        return *this;
    }
    constexpr operator Int() const { return value(); }  // NOLINT
    constexpr Int value() const {
        Int out = 0;
        for (std::size_t i = 0; i < sizeof(Int); ++i) {
            const std::size_t at = kOrder == std::endian::little ? sizeof(Int) - 1 - i : i;
            out = static_cast<Int>((out << 8) | bytes_[at]);
        }
        return out;
    }

private:
    constexpr void store(Int value) {
        for (std::size_t i = 0; i < sizeof(Int); ++i) {
            const std::size_t at = kOrder == std::endian::little ? i : sizeof(Int) - 1 - i;
            bytes_[at] = static_cast<std::uint8_t>(value);
            value = static_cast<Int>(value >> (sizeof(Int) > 1 ? 8 : 0));
        }
    }
    std::uint8_t bytes_[sizeof(Int)] = {};
};

using le16 = WireInt<std::uint16_t, std::endian::little>;
using le32 = WireInt<std::uint32_t, std::endian::little>;
using le64 = WireInt<std::uint64_t, std::endian::little>;
using be16 = WireInt<std::uint16_t, std::endian::big>;
using be32 = WireInt<std::uint32_t, std::endian::big>;
using be64 = WireInt<std::uint64_t, std::endian::big>;
static_assert(sizeof(le32) == 4 && alignof(le32) == 1);

// Structs that lie on the wire: byte-aligned and copyable byte by byte.
template <class T>
concept WireStruct = std::is_trivially_copyable_v<T> && alignof(T) == 1;

// Walks over received bytes. Every read says whether it succeeded; none reads past the end.
class Reader {
public:
    explicit Reader(ByteView bytes) : rest_(bytes) {}

    template <WireStruct T>
    [[nodiscard]] bool read(T& out) {
        if (rest_.size() < sizeof(T)) return false;
        std::memcpy(&out, rest_.data(), sizeof(T));
        rest_ = rest_.subspan(sizeof(T));
        return true;
    }
    [[nodiscard]] bool read_bytes(std::size_t count, ByteView& out) {
        if (rest_.size() < count) return false;
        out = rest_.first(count);
        rest_ = rest_.subspan(count);
        return true;
    }
    [[nodiscard]] bool skip(std::size_t count) {
        ByteView ignored;
        return read_bytes(count, ignored);
    }
    ByteView rest() const { return rest_; }
    std::size_t left() const { return rest_.size(); }

private:
    ByteView rest_;
};

template <WireStruct T>
ByteView as_bytes_of(const T& value) {
    return {reinterpret_cast<const std::uint8_t*>(&value), sizeof(T)};
}

inline std::string_view as_text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline ByteView as_view(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string to_hex(ByteView bytes);
Result<Bytes> from_hex(std::string_view text);  // malformed on odd length or a non-hex digit

// Whether the bytes are well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates).
bool is_utf8(ByteView bytes);

}  // namespace selvage
