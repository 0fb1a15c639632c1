// IP addresses, prefixes and endpoints as values, with their text forms.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/error.h"

namespace selvage {

// An IPv4 or IPv6 address; never both, never "none" (use std::optional).
class IpAddress {
public:
    constexpr IpAddress() = default;  // 0.0.0.0

    static constexpr IpAddress v4(std::uint32_t host_order) {
        IpAddress a;
        for (std::size_t i = 0; i < 4; ++i) {
            a.bytes_[i] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
        }
        return a;
    }
    static constexpr IpAddress v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
        return v4(
            (std::uint32_t{a} << 24) | (std::uint32_t{b} << 16) | (std::uint32_t{c} << 8) |
            std::uint32_t{d}
        );
    }
    static constexpr IpAddress v6(const std::array<std::uint8_t, 16>& bytes) {
        IpAddress a;
        a.bytes_ = bytes;
        a.is_v6_ = true;
        return a;
    }
    // 4 or 16 bytes in network order.
    static Result<IpAddress> from_bytes(ByteView bytes);
    static Result<IpAddress> parse(std::string_view text);

    constexpr bool is_v4() const { return !is_v6_; }
    constexpr bool is_v6() const { return is_v6_; }
    constexpr std::uint32_t v4_value() const {  // Precondition: is_v4()
        return (std::uint32_t{bytes_[0]} << 24) | (std::uint32_t{bytes_[1]} << 16) |
               (std::uint32_t{bytes_[2]} << 8) | std::uint32_t{bytes_[3]};
    }
    // Network order; 4 or 16 bytes, borrowed from this value.
    ByteView bytes() const { return {bytes_.data(), is_v6_ ? 16U : 4U}; }
    constexpr const std::array<std::uint8_t, 16>& raw() const { return bytes_; }
    constexpr int bits() const { return is_v6_ ? 128 : 32; }

    bool is_unspecified() const;
    bool is_loopback() const;
    bool is_link_local() const;
    bool is_multicast() const;
    bool is_limited_broadcast() const;  // 255.255.255.255
    // ::ffff:a.b.c.d as a.b.c.d; every other address unchanged. Rules must see the real target.
    IpAddress unmapped() const;

    std::string to_string() const;
    friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) = default;

private:
    std::array<std::uint8_t, 16> bytes_{};
    bool is_v6_ = false;
};

// An address with a prefix length: a network, or an interface address within its network.
struct Prefix {
    IpAddress address;
    std::uint8_t length = 32;

    // "10.1.2.3/24". Without "/", `default_length` when given, else the full length.
    static Result<Prefix> parse(std::string_view text, int default_length = -1);
    bool contains(const IpAddress& other) const;
    IpAddress network() const;  // host bits cleared
    IpAddress last() const;     // host bits set: IPv4's directed broadcast
    bool has_host_bits() const { return network() != address; }
    std::string to_string() const;
    friend constexpr auto operator<=>(const Prefix&, const Prefix&) = default;
};

struct Endpoint {
    IpAddress address;
    std::uint16_t port = 0;

    static Result<Endpoint> parse(std::string_view text);  // "1.2.3.4:5", "[::1]:5"
    std::string to_string() const;
    friend constexpr auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

}  // namespace selvage

template <>
struct std::hash<selvage::IpAddress> {
    std::size_t operator()(const selvage::IpAddress& a) const;
};
template <>
struct std::hash<selvage::Endpoint> {
    std::size_t operator()(const selvage::Endpoint& e) const {
        return std::hash<selvage::IpAddress>{}(e.address) * 31 + e.port;
    }
};

template <class T>
    requires std::same_as<T, selvage::IpAddress> || std::same_as<T, selvage::Prefix> ||
             std::same_as<T, selvage::Endpoint>
struct fmt::formatter<T> : fmt::formatter<std::string_view> {
    auto format(const T& value, fmt::format_context& ctx) const {
        return fmt::formatter<std::string_view>::format(value.to_string(), ctx);
    }
};
