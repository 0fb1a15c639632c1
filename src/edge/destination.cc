// The rules of a proxy's destinations.
#include "edge/destination.h"

#include <algorithm>
#include <charconv>

#include "base/log.h"

namespace selvage::edge {
namespace {

constexpr Prefix v4_range(
    std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d, std::uint8_t length
) {
    return {IpAddress::v4(a, b, c, d), length};
}

constexpr Prefix v6_range(
    std::uint16_t w0, std::uint16_t w1, std::uint16_t w7, std::uint8_t length
) {
    std::array<std::uint8_t, 16> bytes{};
    bytes[0] = static_cast<std::uint8_t>(w0 >> 8);
    bytes[1] = static_cast<std::uint8_t>(w0);
    bytes[2] = static_cast<std::uint8_t>(w1 >> 8);
    bytes[3] = static_cast<std::uint8_t>(w1);
    bytes[14] = static_cast<std::uint8_t>(w7 >> 8);
    bytes[15] = static_cast<std::uint8_t>(w7);
    return {IpAddress::v6(bytes), length};
}

// The narrower range stands before the wider one that contains it.
constexpr SpecialRange kSpecialRanges[] = {
    {v4_range(0, 0, 0, 0, 8), "unspecified address"},
    {v4_range(127, 0, 0, 0, 8), "loopback"},
    {v4_range(169, 254, 169, 254, 32), "cloud metadata"},
    {v4_range(169, 254, 170, 2, 32), "cloud metadata"},
    {v4_range(169, 254, 0, 0, 16), "link-local"},
    {v4_range(100, 100, 100, 200, 32), "cloud metadata"},
    {v4_range(192, 0, 0, 192, 32), "cloud metadata"},
    {v4_range(168, 63, 129, 16, 32), "cloud metadata"},
    {v4_range(224, 0, 0, 0, 4), "multicast"},
    {v4_range(240, 0, 0, 0, 4), "reserved or broadcast"},
    {v6_range(0, 0, 0, 128), "unspecified address"},
    {v6_range(0, 0, 1, 128), "loopback"},
    {v6_range(0, 0, 0, 96), "IPv4-compatible address"},
    {v6_range(0xfd00, 0x0ec2, 0x0254, 128), "cloud metadata"},
    {v6_range(0xfd20, 0x00ce, 0x0254, 128), "cloud metadata"},
    {v6_range(0xfe80, 0, 0, 10), "link-local"},
    {v6_range(0xff00, 0, 0, 8), "multicast"},
};

// The IPv4 address that a translator would reach for this IPv6 address: NAT64's well-known prefix
// (RFC 6052) and 6to4 (RFC 3056).
std::optional<IpAddress> embedded_v4(const IpAddress& address) {
    if (address.is_v4()) return std::nullopt;
    const auto& b = address.raw();
    if (b[0] == 0x20 && b[1] == 0x02) return IpAddress::v4(b[2], b[3], b[4], b[5]);
    if (v6_range(0x0064, 0xff9b, 0, 96).contains(address)) {
        return IpAddress::v4(b[12], b[13], b[14], b[15]);
    }
    return std::nullopt;
}

std::string lower_case(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

// "example.com." is the same host as "example.com".
std::string canonical_name(std::string_view name) {
    std::string out = lower_case(name);
    if (out.size() > 1 && out.ends_with('.')) out.pop_back();
    return out;
}

bool ports_match(const DestinationRule& rule, std::uint16_t port) {
    return rule.ports.empty() ||
           std::any_of(rule.ports.begin(), rule.ports.end(), [port](const PortRange& range) {
               return range.contains(port);
           });
}

bool names_match(const DestinationRule& rule, const std::string& name) {
    return rule.names.empty() ||
           std::any_of(rule.names.begin(), rule.names.end(), [&](const std::string& pattern) {
               return matches_pattern(pattern, name);
           });
}

bool matches_but_address(
    const DestinationRule& rule, const Caller& caller, const std::string& name, std::uint16_t port
) {
    return ports_match(rule, port) && names_match(rule, name) &&
           (rule.from.empty() || rule.from.matches(caller));
}

// Whether an allow rule speaks of a special range in so many words: one of its prefixes holds the
// address and lies within the range. "0.0.0.0/0" does not open loopback.
bool opens(const DestinationRule& rule, const IpAddress& address, const SpecialRange& special) {
    return std::any_of(rule.to.begin(), rule.to.end(), [&](const Prefix& prefix) {
        return prefix.contains(address) && prefix.length >= special.range.length;
    });
}

// Likewise for our own listeners: the very address, and the port.
bool opens_listener(const DestinationRule& rule, const IpAddress& address) {
    return !rule.ports.empty() &&
           std::any_of(rule.to.begin(), rule.to.end(), [&](const Prefix& prefix) {
               return prefix.length == address.bits() && prefix.contains(address);
           });
}

Error denied(const Destination& to, std::string_view reason) {
    const std::string name = to.name.empty() ? std::string() : printable(to.name, 64) + " is ";
    return Error(Errc::denied, fmt::format("{}{}:{}: {}", name, to.address, to.port, reason));
}

}  // namespace

std::string Destination::to_string() const {
    if (name.empty()) return Endpoint{address, port}.to_string();
    return fmt::format("{}:{}", name, port);
}

Result<PortRange> PortRange::parse(std::string_view text) {
    const auto number = [](std::string_view part) -> std::optional<std::uint16_t> {
        std::uint16_t value = 0;
        const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
        if (error != std::errc{} || end != part.data() + part.size()) return std::nullopt;
        return value;
    };
    const auto dash = text.find('-');
    const auto first = number(text.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : number(text.substr(dash + 1));
    if (!first || !last || *first > *last) {
        return Error(Errc::bad_argument, "must be a port or a range, as \"80\" or \"8000-8999\"");
    }
    return PortRange{*first, *last};
}

std::vector<DestinationRule> read_destination_rules(OptionReader& in, std::string_view key) {
    std::vector<DestinationRule> rules;
    for (const auto& [table, at] : in.tables(key)) {
        OptionReader row(*table, in.path_of(key), at, in.problems());
        DestinationRule rule;
        if (row.take("action") == nullptr) row.problem("action", at, "must be allow or deny");
        rule.allow = row.word("action", "deny", {"allow", "deny"}) == "allow";
        for (const auto& [text, where] : row.texts("to")) {
            auto prefix = Prefix::parse(text);
            if (prefix && !prefix->has_host_bits()) {
                rule.to.push_back(*prefix);
            } else {
                row.problem("to", where, "must be an address or prefix, as \"10.0.0.0/8\"");
            }
        }
        // Every other table has `port`, so this is the likely slip.
        if (const OptionValue* port = table->find("port")) {
            row.problem("port", port->at(), "is written `ports`, as [\"80\", \"8000-8999\"]");
            row.take("port");
        }
        for (const auto& [text, where] : row.texts("ports")) {
            auto range = PortRange::parse(text);
            if (range) {
                rule.ports.push_back(*range);
            } else {
                row.problem("ports", where, range.error().message());
            }
        }
        for (const auto& [text, where] : row.texts("names")) {
            if (is_resolvable_name(text)) {
                rule.names.push_back(canonical_name(text));
            } else {
                row.problem("names", where, "must be a host name or pattern, as \"*.example.com\"");
            }
        }
        rule.from = AllowList::read(row, "from");
        row.finish();
        rules.push_back(std::move(rule));
    }
    return rules;
}

std::optional<SpecialRange> special_range_of(const IpAddress& address) {
    for (const SpecialRange& special : kSpecialRanges) {
        if (special.range.contains(address)) return special;
    }
    if (const auto inner = embedded_v4(address)) {
        if (const auto special = special_range_of(*inner)) {
            return SpecialRange{{address, 128}, special->what};
        }
    }
    return std::nullopt;
}

bool DestinationPolicy::is_own_listener(const IpAddress& address, std::uint16_t port) const {
    const std::vector<IpAddress> own = node_.own_addresses();
    const bool ours = address.is_loopback() || address.is_unspecified() ||
                      std::find(own.begin(), own.end(), address) != own.end();
    if (!ours) return false;
    for (const Endpoint& listener : node_.own_listeners()) {
        if (listener.port != port) continue;
        if (listener.address.is_unspecified() || listener.address == address) return true;
    }
    return false;
}

Result<> DestinationPolicy::check_name(const Caller& caller, const Destination& to) const {
    const std::string name = canonical_name(to.name);
    for (const DestinationRule& rule : rules_) {
        if (!matches_but_address(rule, caller, name, to.port)) continue;
        if (!rule.allow && rule.to.empty()) {
            return Error(
                Errc::denied, fmt::format("{}:{}: a rule denies it", printable(name, 64), to.port)
            );
        }
        // Anything may still depend on the address.
        break;
    }
    return {};
}

Result<> DestinationPolicy::check(const Caller& caller, const Destination& to) const {
    Destination real = to;
    real.address = to.address.unmapped();
    const std::string name = canonical_name(to.name);
    const auto special = special_range_of(real.address);
    const bool own = is_own_listener(real.address, to.port);
    for (const DestinationRule& rule : rules_) {
        if (!matches_but_address(rule, caller, name, to.port)) continue;
        const bool address_matches =
            rule.to.empty() || std::any_of(rule.to.begin(), rule.to.end(), [&](const Prefix& p) {
                return p.contains(real.address);
            });
        if (!address_matches) continue;
        if (!rule.allow) return denied(real, "a rule denies it");
        if (special && !opens(rule, real.address, *special)) continue;
        if (own && !opens_listener(rule, real.address)) continue;
        return {};
    }
    if (special) return denied(real, special->what);
    if (own) return denied(real, "a listener of this node");
    return {};
}

bool is_resolvable_name(std::string_view name) {
    return !name.empty() && name.size() <= 255 &&
           std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

bool matches_pattern(std::string_view pattern, std::string_view text) {
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;  // the last '*' seen, and where its run ends now
    std::size_t run_end = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            run_end = t;
        } else if (p < pattern.size() && pattern[p] == text[t]) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++run_end;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*')
        ++p;
    return p == pattern.size();
}

}  // namespace selvage::edge
