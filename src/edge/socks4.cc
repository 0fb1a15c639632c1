// The one message of SOCKS4.
#include "edge/socks4.h"

#include <algorithm>

namespace selvage::edge {
namespace {

constexpr std::uint8_t kVersion = 4;
constexpr std::uint8_t kConnect = 1;
constexpr std::uint8_t kBind = 2;
constexpr std::size_t kTextMax = 255;  // of a user id or a name

struct Head {
    std::uint8_t version;
    std::uint8_t command;
    be16 port;
    be32 address;
};
static_assert(sizeof(Head) == 8);

// A text up to its NUL; nothing when that is not there yet.
Result<std::optional<std::string>> read_text(Reader& in) {
    const ByteView rest = in.rest();
    const auto end = std::ranges::find(rest.first(std::min(rest.size(), kTextMax + 1)), 0);
    const auto size = static_cast<std::size_t>(end - rest.begin());
    if (size > kTextMax) return Error(Errc::bad_length, "a text of SOCKS4 is too long");
    if (size == rest.size()) return std::optional<std::string>();
    std::string text(as_text(rest.first(size)));
    static_cast<void>(in.skip(size + 1));
    return std::optional(std::move(text));
}

}  // namespace

Result<std::optional<Socks4Request>> parse_socks4(ByteView bytes) {
    constexpr std::optional<Socks4Request> kMore;
    if (!bytes.empty() && bytes[0] != kVersion) return Error(Errc::malformed, "not SOCKS4");
    Reader in(bytes);
    Head head{};
    if (!in.read(head)) return kMore;
    if (head.command != kConnect && head.command != kBind) {
        return Error(Errc::unsupported, "unknown command");
    }
    auto user = read_text(in);
    if (!user) return user.error();
    if (!*user) return kMore;
    Socks4Request out;
    out.bind = head.command == kBind;
    out.to.port = head.port;
    const std::uint32_t address = head.address;
    if (address == 0 || address > 0xff) {
        out.to.address = IpAddress::v4(address);
    } else {
        auto name = read_text(in);
        if (!name) return name.error();
        if (!*name) return kMore;
        if (auto numeric = IpAddress::parse(**name)) {
            out.to.address = *numeric;  // an address that came dressed as a name
        } else if (is_resolvable_name(**name)) {
            out.to.name = std::move(**name);
        } else {
            return Error(Errc::malformed, "not a host name");
        }
    }
    if (out.to.port == 0 && !out.bind) return Error(Errc::malformed, "port 0");
    out.size = bytes.size() - in.left();
    return std::optional(std::move(out));
}

Bytes build_socks4_reply(Socks4Reply reply, const Endpoint& bound) {
    Bytes out{0, static_cast<std::uint8_t>(reply)};
    const be16 port = bound.port;
    const ByteView port_bytes = as_bytes_of(port);
    out.insert(out.end(), port_bytes.begin(), port_bytes.end());
    const IpAddress address = bound.address.is_v4() ? bound.address : IpAddress::v4(0);
    const ByteView address_bytes = address.bytes();
    out.insert(out.end(), address_bytes.begin(), address_bytes.end());
    return out;
}

}  // namespace selvage::edge
