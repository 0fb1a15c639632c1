// Walks the tables of the ACL.
#include "config/read_acl.h"

#include <algorithm>
#include <limits>
#include <span>

#include "base/log.h"
#include "config/quoted.h"

namespace selvage::config {
namespace {

using dataplane::AclAction;
using dataplane::AclChain;
using dataplane::AclChainType;
using dataplane::AclGroup;
using dataplane::AclProtocol;
using dataplane::AclRule;
using dataplane::AclRules;
using dataplane::PortRange;

constexpr std::size_t kNameBytes = 256;

// The section is decoded by protobuf's JSON rules, which allow camelCase: chainType, sourceIps.
// Depth is that of a parsed document, which the TOML parser bounds.
OptionTable in_snake_case(const OptionTable& table);

OptionValue in_snake_case(const OptionValue& value) {
    if (const auto* table = value.get<OptionTable>()) {
        return {in_snake_case(*table), value.at()};
    }
    if (const auto* list = value.get<OptionList>()) {
        OptionList out;
        for (const OptionValue& item : *list)
            out.push_back(in_snake_case(item));
        return {std::move(out), value.at()};
    }
    return value;
}

std::string in_snake_case(std::string_view key) {
    std::string out;
    for (const char c : key) {
        if (c >= 'A' && c <= 'Z') {
            out.push_back('_');
            out.push_back(static_cast<char>(c - 'A' + 'a'));
        } else {
            out.push_back(c);
        }
    }
    return out;
}

OptionTable in_snake_case(const OptionTable& table) {
    OptionTable out;
    for (const auto& entry : table.entries())
        out.set(in_snake_case(std::string_view(entry.key)), in_snake_case(entry.value));
    return out;
}

// By name or by number.
template <class Enum>
Enum read_enum(OptionReader& in, std::string_view key, std::span<const std::string_view> names) {
    const OptionValue* value = in.take(key);
    if (value == nullptr) return Enum{};
    if (const auto* text = value->get<std::string>()) {
        const auto found = std::ranges::find(names, *text);
        if (found != names.end()) return static_cast<Enum>(found - names.begin());
    }
    const auto* number = value->get<std::int64_t>();
    if (number != nullptr && *number >= 0 && static_cast<std::size_t>(*number) < names.size()) {
        return static_cast<Enum>(*number);
    }
    in.problem(
        key, fmt::format("must be one of: {}, or its number from 0", fmt::join(names, ", "))
    );
    return Enum{};
}

std::uint32_t read_u32(OptionReader& in, std::string_view key) {
    return static_cast<std::uint32_t>(
        in.integer(key, 0, 0, std::numeric_limits<std::uint32_t>::max())
    );
}

std::string read_name(OptionReader& in, std::string_view key) {
    std::string out = in.text(key, "");
    if (out.size() > kNameBytes) in.problem(key, "must have at most 256 bytes");
    return out;
}

std::vector<std::pair<std::string, SourcePos>> bounded_texts(
    OptionReader& in, std::string_view key
) {
    auto out = in.texts(key);
    if (out.size() > dataplane::kAclListMax) {
        in.problem(key, fmt::format("must have at most {} entries", dataplane::kAclListMax));
        out.resize(dataplane::kAclListMax);
    }
    return out;
}

std::vector<PortRange> read_ports(OptionReader& in, std::string_view key) {
    std::vector<PortRange> out;
    for (const auto& [text, at] : bounded_texts(in, key)) {
        if (auto range = PortRange::parse(text)) {
            out.push_back(*range);
        } else {
            in.problem(key, at, range.error().message());
        }
    }
    return out;
}

std::vector<Prefix> read_networks(OptionReader& in, std::string_view key) {
    std::vector<Prefix> out;
    for (const auto& [text, at] : bounded_texts(in, key)) {
        const auto prefix = Prefix::parse(text);
        if (!prefix) {
            in.problem(key, at, "must be an address or a network, as \"10.1.0.0/16\"");
        } else if (prefix->has_host_bits()) {
            in.problem(
                key, at,
                fmt::format(
                    "{} is an address within a network; the network is {}", *prefix,
                    Prefix{prefix->network(), prefix->length}
                )
            );
        } else {
            out.push_back(*prefix);
        }
    }
    return out;
}

std::vector<std::string> read_names(OptionReader& in, std::string_view key) {
    std::vector<std::string> out;
    for (auto& [text, at] : bounded_texts(in, key))
        out.push_back(std::move(text));
    return out;
}

AclRule read_rule(const OptionTable& table, const SourcePos& at, OptionReader& parent) {
    OptionReader in(table, parent.path_of("rules"), at, parent.problems());
    AclRule rule;
    rule.name = read_name(in, "name");
    rule.description = in.text("description", "");
    rule.priority = read_u32(in, "priority");
    rule.enabled = in.boolean("enabled", false);
    rule.protocol = read_enum<AclProtocol>(in, "protocol", dataplane::kAclProtocolNames);
    rule.ports = read_ports(in, "ports");
    rule.source_ips = read_networks(in, "source_ips");
    rule.destination_ips = read_networks(in, "destination_ips");
    rule.source_ports = read_ports(in, "source_ports");
    rule.action = read_enum<AclAction>(in, "action", dataplane::kAclActionNames);
    rule.rate_limit = read_u32(in, "rate_limit");
    rule.burst_limit = read_u32(in, "burst_limit");
    rule.stateful = in.boolean("stateful", false);
    rule.source_groups = read_names(in, "source_groups");
    rule.destination_groups = read_names(in, "destination_groups");
    in.finish();
    return rule;
}

AclChain read_chain(const OptionTable& table, const SourcePos& at, OptionReader& parent) {
    OptionReader in(table, parent.path_of("chains"), at, parent.problems());
    AclChain chain;
    chain.name = read_name(in, "name");
    chain.description = in.text("description", "");
    chain.type = read_enum<AclChainType>(in, "chain_type", dataplane::kAclChainTypeNames);
    if (chain.type == AclChainType::unspecified) {
        in.problem(
            "chain_type", at, "says for which packets the chain is: Inbound, Outbound or Forward"
        );
    }
    chain.enabled = in.boolean("enabled", false);
    chain.default_action = read_enum<AclAction>(in, "default_action", dataplane::kAclActionNames);
    for (const auto& [rule, rule_at] : in.tables("rules"))
        chain.rules.push_back(read_rule(*rule, rule_at, in));
    in.finish();
    return chain;
}

void read_groups(const OptionTable& table, OptionReader& parent, AclRules& rules) {
    OptionReader in(table, parent.path_of("group"), parent.position_of("group"), parent.problems());
    for (const auto& [declare, at] : in.tables("declares")) {
        OptionReader group(*declare, in.path_of("declares"), at, in.problems());
        const std::string name = read_name(group, "group_name");
        const bool known = std::ranges::any_of(rules.declares, [&name](const AclGroup& other) {
            return other.name == name;
        });
        if (name.empty() || known) {
            group.problem(
                "group_name", at, known ? "is declared twice" : "is missing: a group has a name"
            );
        }
        rules.declares.push_back({name, crypto::SecretText(group.text("group_secret", ""))});
        group.finish();
    }
    if (rules.declares.size() > dataplane::kAclGroupsMax) {
        in.problem("declares", fmt::format("must be at most {}", dataplane::kAclGroupsMax));
        rules.declares.resize(dataplane::kAclGroupsMax);
    }
    rules.members = read_names(in, "members");
    in.finish();
}

void read_v1(const OptionTable& table, OptionReader& parent, AclRules& rules) {
    OptionReader in(
        table, parent.path_of("acl_v1"), parent.position_of("acl_v1"), parent.problems()
    );
    for (const auto& [chain, at] : in.tables("chains"))
        rules.chains.push_back(read_chain(*chain, at, in));
    if (rules.chains.size() > dataplane::kAclChainsMax ||
        rules.rule_count() > dataplane::kAclRulesMax) {
        in.problem(
            "chains", fmt::format(
                          "must be at most {} with {} rules in all", dataplane::kAclChainsMax,
                          dataplane::kAclRulesMax
                      )
        );
    }
    if (const OptionTable* group = in.table("group")) read_groups(*group, in, rules);
    in.finish();
}

}  // namespace

AclRules read_acl(OptionReader& document) {
    AclRules rules;
    rules.tcp_whitelist = read_ports(document, "tcp_whitelist");
    rules.udp_whitelist = read_ports(document, "udp_whitelist");
    const OptionTable* written = document.table("acl");
    if (written == nullptr) return rules;
    const OptionTable table = in_snake_case(*written);
    OptionReader in(table, "acl", document.position_of("acl"), document.problems());
    if (const OptionTable* v1 = in.table("acl_v1")) read_v1(*v1, in, rules);
    in.finish();
    return rules;
}

void remove_group_secrets(OptionTable& document) {
    OptionValue* written = document.find("acl");
    auto* acl = written == nullptr ? nullptr : written->get<OptionTable>();
    if (acl == nullptr) return;
    *acl = in_snake_case(*acl);
    const auto inner = [](OptionTable* table, std::string_view key) -> OptionValue* {
        return table == nullptr ? nullptr : table->find(key);
    };
    const auto as_table = [](OptionValue* value) {
        return value == nullptr ? nullptr : value->get<OptionTable>();
    };
    OptionTable* group = as_table(inner(as_table(acl->find("acl_v1")), "group"));
    OptionValue* declares = inner(group, "declares");
    auto* list = declares == nullptr ? nullptr : declares->get<OptionList>();
    if (list == nullptr) return;
    for (OptionValue& declare : *list) {
        if (auto* table = declare.get<OptionTable>()) table->erase("group_secret");
    }
}

bool same_group_secrets(const AclRules& a, const AclRules& b) {
    return std::ranges::equal(a.declares, b.declares, [](const AclGroup& x, const AclGroup& y) {
        return x.name == y.name && x.secret.equals(y.secret);
    });
}

// ---- Writing ---------------------------------------------------------------------------------

namespace {

template <class Items, class Text>
void describe_list(std::string_view key, const Items& items, Text text, std::string& out) {
    if (items.empty()) return;
    std::vector<std::string> texts;
    texts.reserve(std::size(items));
    for (const auto& item : items)
        texts.push_back(text(item));
    out += fmt::format("{} = {}\n", key, quoted_list(texts));
}

std::string text_of(const PortRange& range) {
    return range.to_string();
}
std::string text_of(const Prefix& network) {
    return network.to_string();
}
std::string text_of(const std::string& name) {
    return name;
}

template <class Items>
void describe_list(std::string_view key, const Items& items, std::string& out) {
    describe_list(key, items, [](const auto& item) { return text_of(item); }, out);
}

void describe_rule(const AclRule& rule, std::string& out) {
    out += fmt::format(
        "\n[[acl.acl_v1.chains.rules]]\nname = {}\npriority = {}\nenabled = {}\n"
        "protocol = {}\naction = {}\n",
        quoted(rule.name), rule.priority, rule.enabled, quoted(name_of(rule.protocol)),
        quoted(name_of(rule.action))
    );
    if (!rule.description.empty()) {
        out += fmt::format("description = {}\n", quoted(rule.description));
    }
    describe_list("ports", rule.ports, out);
    describe_list("source_ports", rule.source_ports, out);
    describe_list("source_ips", rule.source_ips, out);
    describe_list("destination_ips", rule.destination_ips, out);
    describe_list("source_groups", rule.source_groups, out);
    describe_list("destination_groups", rule.destination_groups, out);
    if (rule.rate_limit != 0) {
        out +=
            fmt::format("rate_limit = {}\nburst_limit = {}\n", rule.rate_limit, rule.burst_limit);
    }
    if (rule.stateful) out += "stateful = true\n";
}

}  // namespace

std::string describe_acl(const AclRules& rules) {
    std::string out;
    for (const AclChain& chain : rules.chains) {
        out += fmt::format(
            "\n[[acl.acl_v1.chains]]\nname = {}\nchain_type = {}\nenabled = {}\n"
            "default_action = {}\n",
            quoted(chain.name), quoted(name_of(chain.type)), chain.enabled,
            quoted(name_of(chain.default_action))
        );
        if (!chain.description.empty()) {
            out += fmt::format("description = {}\n", quoted(chain.description));
        }
        for (const AclRule& rule : chain.rules)
            describe_rule(rule, out);
    }
    if (rules.declares.empty() && rules.members.empty()) return out;
    out += "\n[acl.acl_v1.group]\n";
    describe_list("members", rules.members, out);
    for (const AclGroup& group : rules.declares) {
        out +=
            fmt::format("\n[[acl.acl_v1.group.declares]]\ngroup_name = {}\n", quoted(group.name));
    }
    return out;
}

}  // namespace selvage::config
