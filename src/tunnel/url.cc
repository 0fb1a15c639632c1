// URLs of peers and listeners. Grammar: what EasyTier's users write, nothing more: no user part, no
// fragment; hosts are names, IPv4 addresses or bracketed IPv6 addresses.
#include "tunnel/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/ip.h"
#include "base/log.h"
#include "tunnel/transport.h"

namespace selvage::tunnel {
namespace {

constexpr std::size_t kUrlLimit = 1024;  // longer ones are no URLs that anybody typed
constexpr std::size_t kHostLimit = 255;
constexpr std::uint16_t kBasePort = 11010;

struct SchemeInfo {
    std::string_view name;
    std::uint16_t default_port;
    int offset;  // from the base port of a listener; -1 for what is never expanded
};

// 3-connectivity.md section 1.1, in the order in which a base port is expanded.
constexpr std::array kSchemes = {
    SchemeInfo{"tcp", 11010, 0},     SchemeInfo{"udp", 11010, 0}, SchemeInfo{"wg", 11011, 1},
    SchemeInfo{"quic", 11012, 2},    SchemeInfo{"ws", 80, 1},     SchemeInfo{"wss", 443, 2},
    SchemeInfo{"faketcp", 11013, 3}, SchemeInfo{"unix", 0, -1},   SchemeInfo{"ring", 0, -1},
    SchemeInfo{"mem", 0, -1},        SchemeInfo{"http", 80, -1},  SchemeInfo{"https", 443, -1},
    SchemeInfo{"txt", 0, -1},        SchemeInfo{"srv", 0, -1},
};

const SchemeInfo* scheme_info(std::string_view scheme) {
    const auto found = std::ranges::find(kSchemes, scheme, &SchemeInfo::name);
    return found == kSchemes.end() ? nullptr : &*found;
}

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

Error bad(std::string_view text, std::string_view why) {
    return Error(Errc::bad_argument, fmt::format("bad URL \"{}\": {}", printable(text), why));
}

bool parse_port(std::string_view text, std::uint16_t& out) {
    if (text.empty() || text.size() > 5 || !std::ranges::all_of(text, is_digit)) return false;
    std::uint32_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    if (value > 65535) return false;
    out = static_cast<std::uint16_t>(value);
    return true;
}

bool parse_scheme(std::string_view text, std::string& out) {
    if (text.empty() || text.size() > 16 || !is_letter(text.front())) return false;
    for (const char c : text) {
        if (!is_letter(c) && !is_digit(c) && c != '+' && c != '-' && c != '.') return false;
        out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return true;
}

bool is_host_char(char c) {
    return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '_';
}

// What stands for itself in a path; the rest is written as %XX.
bool is_path_char(char c) {
    return is_host_char(c) ||
           std::string_view("/~:@!$&'()*+,;=?").find(c) != std::string_view::npos;
}

int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool decode_path(std::string_view text, std::string& out) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '#') return false;
        if (c == '%') {
            if (i + 2 >= text.size()) return false;
            const int high = hex_digit(text[i + 1]);
            const int low = hex_digit(text[i + 2]);
            if (high < 0 || low < 0) return false;
            c = static_cast<char>(high * 16 + low);
            i += 2;
        }
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) return false;
        out += c;
    }
    return true;
}

std::string encode_path(std::string_view path) {
    std::string out;
    for (const char c : path) {
        if (is_path_char(c)) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

// host, host:port, [v6], [v6]:port
Result<> parse_authority(std::string_view text, std::string_view authority, Url& url) {
    std::string_view port;
    bool has_port = false;
    if (authority.starts_with('[')) {
        const auto end = authority.find(']');
        if (end == std::string_view::npos) return bad(text, "\"[\" without \"]\"");
        const auto address = IpAddress::parse(authority.substr(1, end - 1));
        if (!address || !address->is_v6()) return bad(text, "not an IPv6 address in the brackets");
        url.host = address->to_string();
        const auto rest = authority.substr(end + 1);
        has_port = !rest.empty();
        if (has_port && !rest.starts_with(':')) return bad(text, "something behind the address");
        if (has_port) port = rest.substr(1);
    } else {
        const auto colon = authority.find(':');
        has_port = colon != std::string_view::npos;
        url.host = authority.substr(0, colon);
        if (has_port) port = authority.substr(colon + 1);
        if (url.host.size() > kHostLimit || !std::ranges::all_of(url.host, is_host_char)) {
            return bad(text, "not a host name or address (IPv6 addresses need brackets)");
        }
    }
    if (has_port && !parse_port(port, url.port)) return bad(text, "a port is a number up to 65535");
    url.port_given = has_port;
    return {};
}

std::vector<Url> expand(const IpAddress& address, std::uint16_t base) {
    std::vector<Url> out;
    for (const SchemeInfo& scheme : kSchemes) {
        if (scheme.offset < 0 || find_transport(scheme.name) == nullptr) continue;
        const int port = base == 0 ? 0 : base + scheme.offset;
        if (port > 65535) continue;
        out.push_back(
            {.scheme = std::string(scheme.name),
             .host = address.to_string(),
             .port = static_cast<std::uint16_t>(port),
             .port_given = true}
        );
    }
    return out;
}

Result<std::vector<Url>> one_scheme(std::string_view scheme, std::optional<std::uint16_t> port) {
    std::string name;
    if (!parse_scheme(scheme, name)) {
        return Error(
            Errc::bad_argument,
            fmt::format("listener \"{}\" is no port, address, scheme or URL", printable(scheme))
        );
    }
    if (find_transport(name) == nullptr) return unknown_scheme(name);
    const SchemeInfo* info = scheme_info(name);
    if (info == nullptr || info->offset < 0) {
        return Error(Errc::bad_argument, "a listener of " + name + " needs a full URL");
    }
    const auto with_offset = static_cast<std::uint16_t>(kBasePort + info->offset);
    Url url{
        .scheme = name, .host = "0.0.0.0", .port = port.value_or(with_offset), .port_given = true
    };
    return std::vector<Url>{std::move(url)};
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
    if (text.size() > kUrlLimit) return Error(Errc::bad_argument, "a URL of this length is none");
    Url url;
    const auto scheme_end = text.find("://");
    if (scheme_end == std::string_view::npos) return bad(text, "scheme://host[:port] is missing");
    if (!parse_scheme(text.substr(0, scheme_end), url.scheme)) return bad(text, "bad scheme");
    const auto rest = text.substr(scheme_end + 3);
    const auto slash = rest.find('/');
    const auto authority = rest.substr(0, slash);
    if (slash != std::string_view::npos && !decode_path(rest.substr(slash), url.path)) {
        return bad(text, "a character in its path that does not belong there");
    }
    const auto parsed = parse_authority(text, authority, url);
    if (!parsed) return parsed.error();
    if (url.scheme == "unix") {
        if (!url.host.empty() || url.port_given || url.path.size() < 2) {
            return bad(text, "unix:///path/of/socket is meant");
        }
    } else if (url.host.empty()) {
        return bad(text, "the host is missing");
    }
    if (!url.port_given) url.port = default_port(url.scheme);
    // Escapes make the written form longer; peers must be able to read it, and so must we.
    if (url.to_string().size() > kUrlLimit) return bad(text, "too long");
    return url;
}

std::string Url::to_string() const {
    const bool is_v6 = host.find(':') != std::string::npos;
    std::string out = scheme + "://";
    out += is_v6 ? "[" + host + "]" : host;
    if (port_given || port != 0) out += fmt::format(":{}", port);
    return out + encode_path(path);
}

std::uint16_t default_port(std::string_view scheme) {
    const SchemeInfo* info = scheme_info(scheme);
    return info == nullptr ? 0 : info->default_port;
}

Error unknown_scheme(std::string_view scheme) {
    if (scheme_info(scheme) == nullptr) {
        return Error(
            Errc::bad_argument, fmt::format("nobody knows the scheme \"{}\"", printable(scheme))
        );
    }
    return Error(
        Errc::unsupported, fmt::format("the scheme {} is not in this version of Selvage", scheme)
    );
}

Result<std::vector<Url>> listener_urls(std::string_view text) {
    std::uint16_t port = 0;
    if (parse_port(text, port)) return expand(IpAddress(), port);
    auto bare = text;
    if (bare.starts_with('[') && bare.ends_with(']')) bare = bare.substr(1, bare.size() - 2);
    const auto address = IpAddress::parse(bare);
    if (address) return expand(*address, kBasePort);
    const auto endpoint = Endpoint::parse(text);
    if (endpoint) return expand(endpoint->address, endpoint->port);
    if (text.find("://") != std::string_view::npos) {
        auto url = Url::parse(text);
        if (!url) return url.error();
        if (find_transport(url->scheme) == nullptr) return unknown_scheme(url->scheme);
        return std::vector<Url>{std::move(*url)};
    }
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) return one_scheme(text, std::nullopt);
    if (!parse_port(text.substr(colon + 1), port)) {
        return Error(
            Errc::bad_argument,
            fmt::format("listener \"{}\": a port is a number up to 65535", printable(text))
        );
    }
    return one_scheme(text.substr(0, colon), port);
}

}  // namespace selvage::tunnel
