// Who may use a service. Nobody, unless an entry says so.
//
//   "any-member"                 every member of the network
//   "laptop"                     a member by host name
//   "1234567890"                 a member by peer id (it changes when that node restarts)
//   "10.144.1.7", "10.144.1.0/24"  by address or prefix
//
// Host names and addresses are what members announce: they tell members apart as far as members
// trust each other, which holding the network secret already implies.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "base/ip.h"
#include "base/option_tree.h"
#include "edge/caller.h"

namespace selvage::edge {

struct AnyMember {
    friend bool operator==(AnyMember, AnyMember) = default;
};
struct HostName {
    std::string name;  // in lower case
    friend bool operator==(const HostName&, const HostName&) = default;
};
using AllowRule = std::variant<AnyMember, HostName, PeerId, Prefix>;

// As it is written in a configuration.
std::string to_text(const AllowRule& rule);

class AllowList {
public:
    static Result<AllowRule> parse_rule(std::string_view text);
    // Reads `key` of the table; mistakes become problems there.
    static AllowList read(OptionReader& in, std::string_view key);

    void add(AllowRule rule) { rules_.push_back(std::move(rule)); }
    bool empty() const { return rules_.empty(); }
    // Only addresses and prefixes speak of callers from the host.
    bool matches(const Caller& caller) const;
    const std::vector<AllowRule>& rules() const { return rules_; }

private:
    std::vector<AllowRule> rules_;  // as many as the configuration has
};

}  // namespace selvage::edge
