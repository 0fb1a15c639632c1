// What a person writes about who may send what to whom: EasyTier's ACL model as plain values.
// Source: protocol document 4-gateway.md section 8.4; decisions where we differ are in
// docs/decisions/0014-acl.md.
//
// Rules stand in chains, each for one direction:
//
//   inbound   from the mesh to an address of this node
//   outbound  from this node (its host, its stack) into the mesh
//   forward   from the mesh to anything else that this node would deliver: broadcasts, networks
//             behind it. Packets that are only relayed stay sealed and are nobody's business here
//
// The rules of all chains of a direction follow one another in the order of the chains, within a
// chain by falling priority; the first that matches decides. If none does, the default action of
// the direction's first chain does, even of one that is off; without a chain everything passes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ip.h"
#include "crypto/secret.h"

namespace selvage::dataplane {

// The numbers are those of the management messages.
enum class AclProtocol : std::uint8_t { unspecified, tcp, udp, icmp, icmpv6, any };
enum class AclAction : std::uint8_t { noop, allow, drop };
enum class AclChainType : std::uint8_t { unspecified, inbound, outbound, forward };
constexpr std::size_t kAclChainTypes = 4;

// As in files and messages.
inline constexpr std::array<std::string_view, 6> kAclProtocolNames = {
    "Unspecified", "TCP", "UDP", "ICMP", "ICMPv6", "Any"
};
inline constexpr std::array<std::string_view, 3> kAclActionNames = {"Noop", "Allow", "Drop"};
inline constexpr std::array<std::string_view, kAclChainTypes> kAclChainTypeNames = {
    "UnspecifiedChain", "Inbound", "Outbound", "Forward"
};
inline std::string_view name_of(AclProtocol p) {
    return kAclProtocolNames[static_cast<std::size_t>(p)];
}
inline std::string_view name_of(AclAction a) {
    return kAclActionNames[static_cast<std::size_t>(a)];
}
inline std::string_view name_of(AclChainType t) {
    return kAclChainTypeNames[static_cast<std::size_t>(t)];
}

// The class of an IP protocol number; `unspecified` is every other one.
AclProtocol acl_protocol(std::uint8_t ip_protocol);

struct PortRange {
    std::uint16_t first = 0;
    std::uint16_t last = 0;

    static Result<PortRange> parse(std::string_view text);  // "80", "8000-9000"
    bool contains(std::uint16_t port) const { return first <= port && port <= last; }
    std::string to_string() const;
    friend bool operator==(const PortRange&, const PortRange&) = default;
};

// An empty list matches everything.
struct AclRule {
    std::string name;
    std::string description;
    std::uint32_t priority = 0;  // higher first
    bool enabled = false;
    AclProtocol protocol = AclProtocol::unspecified;
    std::vector<PortRange> ports;  // of the destination
    std::vector<PortRange> source_ports;
    std::vector<Prefix> source_ips;
    std::vector<Prefix> destination_ips;
    std::vector<std::string> source_groups;  // any in common
    std::vector<std::string> destination_groups;
    AclAction action = AclAction::noop;
    std::uint32_t rate_limit = 0;   // packets per second; 0: none. What is beyond is dropped
    std::uint32_t burst_limit = 0;  // packets at once, at least 1
    bool stateful = false;          // keeps statistics per connection; admits nothing by itself

    friend bool operator==(const AclRule&, const AclRule&) = default;
};

struct AclChain {
    std::string name;
    std::string description;
    AclChainType type = AclChainType::unspecified;
    bool enabled = false;
    AclAction default_action = AclAction::noop;
    std::vector<AclRule> rules;
};

// A group is a name and a secret that its members show to know.
struct AclGroup {
    std::string name;
    crypto::SecretText secret;
};

struct AclRules {
    std::vector<AclChain> chains;
    std::vector<AclGroup> declares;    // groups whose members we can tell
    std::vector<std::string> members;  // groups that we are in, of those declared
    std::vector<PortRange> tcp_whitelist;
    std::vector<PortRange> udp_whitelist;

    bool empty() const {
        return chains.empty() && declares.empty() && tcp_whitelist.empty() && udp_whitelist.empty();
    }
    std::size_t rule_count() const;
    AclRules duplicate() const;  // with its secrets: options hold one, who judges another
};

// What a configuration may hold. A rule beyond costs every first packet of a connection a look.
constexpr std::size_t kAclChainsMax = 64;
constexpr std::size_t kAclRulesMax = 4096;
constexpr std::size_t kAclListMax = 1024;
constexpr std::size_t kAclGroupsMax = 64;  // a bit each in a set of groups

// The chain that the whitelists stand for, as the reference builds it: after the chains of the
// file, ports listed are allowed, the others of that protocol are dropped. Empty lists: no rules.
AclChain whitelist_chain(
    const std::vector<PortRange>& tcp_whitelist, const std::vector<PortRange>& udp_whitelist
);

}  // namespace selvage::dataplane
