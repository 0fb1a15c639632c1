// Allow rules from text, and whether they let a caller in.
#include "edge/allow_list.h"

#include <algorithm>
#include <charconv>

#include "base/log.h"

namespace selvage::edge {
namespace {

std::string lower_case(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

// Host names travel as free text of at most 32 characters (5-management.md, 1.1); what is refused
// here could not be typed or would be mistaken for another kind of rule.
bool plausible_host_name(std::string_view text) {
    if (text.empty() || text.size() > 128) return false;
    return std::none_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte <= 0x20 || byte == 0x7f || c == ':' || c == '/' || c == '*' || c == ',';
    });
}

bool all_digits(std::string_view text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool rule_matches(const AllowRule& rule, const Caller& caller) {
    if (const auto* prefix = std::get_if<Prefix>(&rule)) {
        return prefix->contains(caller.address.address.unmapped());
    }
    if (caller.origin != Origin::mesh) return false;
    if (const auto* peer = std::get_if<PeerId>(&rule)) return *peer == caller.peer;
    if (const auto* host = std::get_if<HostName>(&rule)) {
        return host->name == lower_case(caller.host_name);
    }
    return std::holds_alternative<AnyMember>(rule);
}

}  // namespace

std::string to_text(const AllowRule& rule) {
    if (const auto* prefix = std::get_if<Prefix>(&rule)) {
        const bool one = prefix->length == prefix->address.bits();
        return one ? prefix->address.to_string() : prefix->to_string();
    }
    if (const auto* peer = std::get_if<PeerId>(&rule)) return fmt::format("{}", *peer);
    if (const auto* host = std::get_if<HostName>(&rule)) return host->name;
    return "any-member";
}

Result<AllowRule> AllowList::parse_rule(std::string_view text) {
    if (text == "any-member") return AllowRule{AnyMember{}};
    if (text.starts_with("key:")) {
        return Error(Errc::unsupported, "rules by key are not supported yet");
    }
    if (all_digits(text)) {
        std::uint32_t id = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
        if (error != std::errc{} || id == 0) {
            return Error(Errc::bad_argument, "a peer id is a number from 1 to 4294967295");
        }
        return AllowRule{PeerId(id)};
    }
    if (auto prefix = Prefix::parse(text)) {
        if (prefix->has_host_bits()) {
            return Error(
                Errc::bad_argument, fmt::format(
                                        "{} has bits beyond its prefix; did you mean {}/{}?",
                                        printable(text), prefix->network(), prefix->length
                                    )
            );
        }
        return AllowRule{*prefix};
    }
    if (!plausible_host_name(text)) {
        return Error(
            Errc::bad_argument,
            fmt::format(
                "\"{}\" is neither \"any-member\" nor a host name, peer id, address or prefix",
                printable(text, 64)
            )
        );
    }
    return AllowRule{HostName{lower_case(text)}};
}

AllowList AllowList::read(OptionReader& in, std::string_view key) {
    AllowList list;
    for (const auto& [text, at] : in.texts(key)) {
        auto rule = parse_rule(text);
        if (rule) {
            list.add(std::move(*rule));
        } else {
            in.problem(key, at, rule.error().message());
        }
    }
    return list;
}

bool AllowList::matches(const Caller& caller) const {
    return std::any_of(rules_.begin(), rules_.end(), [&](const AllowRule& rule) {
        return rule_matches(rule, caller);
    });
}

}  // namespace selvage::edge
