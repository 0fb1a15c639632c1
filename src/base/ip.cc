// Text forms and classes of IP addresses.
#include "base/ip.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace selvage {
namespace {

template <class Int>
bool parse_number(std::string_view text, Int& out) {
    const auto* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, out);
    return error == std::errc{} && at == end && !text.empty();
}

}  // namespace

Result<IpAddress> IpAddress::from_bytes(ByteView bytes) {
    IpAddress a;
    if (bytes.size() != 4 && bytes.size() != 16) return Errc::bad_length;
    a.is_v6_ = bytes.size() == 16;
    std::ranges::copy(bytes, a.bytes_.begin());
    return a;
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
    const std::string copy(text);
    IpAddress a;
    if (inet_pton(AF_INET, copy.c_str(), a.bytes_.data()) == 1) return a;
    a.is_v6_ = true;
    if (inet_pton(AF_INET6, copy.c_str(), a.bytes_.data()) == 1) return a;
    return Error(Errc::malformed, fmt::format("\"{}\" is not an IP address", text));
}

bool IpAddress::is_unspecified() const {
    return *this == (is_v6_ ? v6({}) : v4(0));
}

bool IpAddress::is_loopback() const {
    if (!is_v6_) return bytes_[0] == 127;
    std::array<std::uint8_t, 16> one{};
    one[15] = 1;
    return bytes_ == one;
}

bool IpAddress::is_link_local() const {
    if (!is_v6_) return bytes_[0] == 169 && bytes_[1] == 254;
    return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

bool IpAddress::is_multicast() const {
    return is_v6_ ? bytes_[0] == 0xff : (bytes_[0] & 0xf0) == 0xe0;
}

bool IpAddress::is_limited_broadcast() const {
    return *this == v4(0xffffffff);
}

IpAddress IpAddress::unmapped() const {
    constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (!is_v6_ || !std::ranges::equal(kMapped, std::span(bytes_).first(12))) return *this;
    return v4(bytes_[12], bytes_[13], bytes_[14], bytes_[15]);
}

std::string IpAddress::to_string() const {
    char text[INET6_ADDRSTRLEN] = {};
    inet_ntop(is_v6_ ? AF_INET6 : AF_INET, bytes_.data(), text, sizeof(text));
    return text;
}

Result<Prefix> Prefix::parse(std::string_view text, int default_length) {
    const auto slash = text.find('/');
    auto address = IpAddress::parse(text.substr(0, slash));
    if (!address) return address.error();
    int length = default_length >= 0 ? default_length : address->bits();
    if (slash != std::string_view::npos && !parse_number(text.substr(slash + 1), length)) {
        return Error(Errc::malformed, fmt::format("\"{}\" has no valid prefix length", text));
    }
    if (length < 0 || length > address->bits()) {
        return Error(
            Errc::malformed,
            fmt::format("\"{}\": the prefix length must be 0 to {}", text, address->bits())
        );
    }
    return Prefix{*address, static_cast<std::uint8_t>(length)};
}

namespace {

// The address with the host bits of `prefix` replaced by `fill`.
IpAddress with_host_bits(const Prefix& prefix, bool fill) {
    auto raw = prefix.address.raw();
    const auto size = prefix.address.bytes().size();
    for (std::size_t i = 0; i < size; ++i) {
        const int network_bits = std::clamp(int{prefix.length} - static_cast<int>(i) * 8, 0, 8);
        const auto host_mask = static_cast<std::uint8_t>(0xff >> network_bits);
        raw[i] = static_cast<std::uint8_t>(fill ? raw[i] | host_mask : raw[i] & ~host_mask);
    }
    if (prefix.address.is_v6()) return IpAddress::v6(raw);
    return IpAddress::v4(raw[0], raw[1], raw[2], raw[3]);
}

}  // namespace

bool Prefix::contains(const IpAddress& other) const {
    if (other.is_v6() != address.is_v6()) return false;
    return Prefix{other, length}.network() == network();
}

IpAddress Prefix::network() const {
    return with_host_bits(*this, false);
}
IpAddress Prefix::last() const {
    return with_host_bits(*this, true);
}
std::string Prefix::to_string() const {
    return fmt::format("{}/{}", address.to_string(), length);
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return Error(Errc::malformed, fmt::format("\"{}\" has no port", text));
    }
    auto host = text.substr(0, colon);
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    } else if (host.find(':') != std::string_view::npos) {
        return Error(Errc::malformed, fmt::format("\"{}\": write IPv6 as [address]:port", text));
    }
    auto address = IpAddress::parse(host);
    if (!address) return address.error();
    std::uint16_t port = 0;
    if (!parse_number(text.substr(colon + 1), port)) {
        return Error(Errc::malformed, fmt::format("\"{}\" has no valid port", text));
    }
    return Endpoint{*address, port};
}

std::string Endpoint::to_string() const {
    if (address.is_v6()) return fmt::format("[{}]:{}", address.to_string(), port);
    return fmt::format("{}:{}", address.to_string(), port);
}

}  // namespace selvage

std::size_t std::hash<selvage::IpAddress>::operator()(const selvage::IpAddress& a) const {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    std::memcpy(&low, a.raw().data(), 8);
    std::memcpy(&high, a.raw().data() + 8, 8);
    return std::hash<std::uint64_t>{}(low * 0x9e3779b97f4a7c15 + high + (a.is_v6() ? 1 : 0));
}
