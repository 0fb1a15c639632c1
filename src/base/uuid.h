// A UUID as 16 bytes with its text form (RFC 9562).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace selvage {

struct Uuid {
    std::array<std::uint8_t, 16> bytes{};

    static Result<Uuid> parse(std::string_view text);
    // A version 4 UUID from 128 random bits.
    static Uuid from_random(std::uint64_t high, std::uint64_t low);
    std::string to_string() const;
    friend auto operator<=>(const Uuid&, const Uuid&) = default;
};

}  // namespace selvage
