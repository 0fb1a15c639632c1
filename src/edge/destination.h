// Where a proxy may connect to on behalf of a caller.
//
// Some destinations would make the node a confused deputy: its own loopback, link-local addresses,
// the metadata service of a cloud, its own listeners. Those are closed unless a rule opens exactly
// them; everything else is open unless a rule closes it. Rules are tried in order, the first that
// matches decides. A name is checked before it is resolved and its addresses after, and the caller
// must dial the address that was checked, so a name that changes its mind gains nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ip.h"
#include "base/option_tree.h"
#include "edge/allow_list.h"
#include "edge/caller.h"
#include "edge/node_view.h"

namespace selvage::edge {

struct PortRange {
    std::uint16_t first = 0;
    std::uint16_t last = 65535;
    bool contains(std::uint16_t port) const { return first <= port && port <= last; }
    static Result<PortRange> parse(std::string_view text);  // "80", "8000-8999"
};

// What is left empty matches everything.
struct DestinationRule {
    bool allow = false;
    std::vector<Prefix> to;
    std::vector<PortRange> ports;
    std::vector<std::string> names;  // patterns with '*', in lower case
    AllowList from;
};

// Reads the tables [[<key>]] of `in`.
std::vector<DestinationRule> read_destination_rules(OptionReader& in, std::string_view key);

// What the caller asked for: a name, or an address (then `name` is empty).
struct Destination {
    std::string name;
    IpAddress address;
    std::uint16_t port = 0;

    std::string to_string() const;  // "example.com:443"
};

class DestinationPolicy {
public:
    DestinationPolicy(std::vector<DestinationRule> rules, const NodeView& node)
        : rules_(std::move(rules)), node_(node) {}

    void set_rules(std::vector<DestinationRule> rules) { rules_ = std::move(rules); }

    // Whether it makes sense to resolve the name: false only if every address would be refused.
    Result<> check_name(const Caller& caller, const Destination& to) const;
    // Whether `to` may be dialled; to.name is what it was resolved from, if anything. The error is
    // Errc::denied with a reason for the log, not for the caller.
    Result<> check(const Caller& caller, const Destination& to) const;

private:
    bool is_own_listener(const IpAddress& address, std::uint16_t port) const;

    std::vector<DestinationRule> rules_;
    const NodeView& node_;
};

// A range that is closed unless opened, and why.
struct SpecialRange {
    Prefix range;
    std::string_view what;
};
std::optional<SpecialRange> special_range_of(const IpAddress& address);

// Whether a host name can be looked up at all: printable ASCII, at most 255 characters.
bool is_resolvable_name(std::string_view name);

// '*' stands for any run of characters. Both in lower case.
bool matches_pattern(std::string_view pattern, std::string_view text);

}  // namespace selvage::edge
