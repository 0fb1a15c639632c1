// [acl] and the whitelists: what they mean, and what is said when they are wrong.
#include "config/read_acl.h"

#include <gtest/gtest.h>

#include "config/describe.h"
#include "config/load.h"
#include "config/reload_plan.h"

namespace selvage::config {
namespace {

// What is wrong with the text; "" if nothing.
std::string mistakes(std::string_view text) {
    const auto parsed = parse_toml(text, "home.toml");
    return parsed ? "" : parsed.error().message();
}

constexpr std::string_view kAcl = R"(
[network_identity]
network_name = "home"

[[acl.acl_v1.chains]]
name = "in"
chain_type = "Inbound"
enabled = true
default_action = "Drop"
[[acl.acl_v1.chains.rules]]
name = "web"
priority = 100
enabled = true
protocol = "TCP"
ports = ["80", "8000-8999"]
source_ips = ["10.0.0.0/8", "fd00::1"]
action = "Allow"
stateful = true
[[acl.acl_v1.chains.rules]]
name = "pings"
enabled = true
protocol = 3
sourceGroups = ["ops"]
action = 1
rateLimit = "10"
burst_limit = 5
[acl.acl_v1.group]
members = ["ops"]
[[acl.acl_v1.group.declares]]
group_name = "ops"
group_secret = "tulip"
)";

TEST(ReadAcl, RulesAreReadAsTheReferenceWritesThem) {
    auto options = parse_toml(kAcl, "home.toml");
    ASSERT_TRUE(options) << options.error().message();
    ASSERT_EQ(options->acl.chains.size(), 1U);
    const dataplane::AclChain& chain = options->acl.chains[0];
    EXPECT_EQ(chain.type, dataplane::AclChainType::inbound);
    EXPECT_EQ(chain.default_action, dataplane::AclAction::drop);
    ASSERT_EQ(chain.rules.size(), 2U);
    EXPECT_EQ(chain.rules[0].ports[1], (dataplane::PortRange{8000, 8999}));
    EXPECT_EQ(chain.rules[0].source_ips[1], Prefix::parse("fd00::1/128").value());
    EXPECT_TRUE(chain.rules[0].stateful);
    EXPECT_EQ(chain.rules[1].protocol, dataplane::AclProtocol::icmp);
    EXPECT_EQ(chain.rules[1].action, dataplane::AclAction::allow);
    EXPECT_EQ(chain.rules[1].rate_limit, 10U);
    EXPECT_EQ(chain.rules[1].source_groups, std::vector<std::string>{"ops"});
    ASSERT_EQ(options->acl.declares.size(), 1U);
    EXPECT_EQ(options->acl.declares[0].secret.reveal(), "tulip");
    EXPECT_EQ(options->acl.members, std::vector<std::string>{"ops"});
}

TEST(ReadAcl, RulesAreWrittenBackWithoutTheSecretsOfGroups) {
    auto options = parse_toml(kAcl, "home.toml");
    ASSERT_TRUE(options);
    options->acl.tcp_whitelist = {{80, 80}, {8000, 9000}};
    const std::string text = describe(*options);
    EXPECT_EQ(text.find("tulip"), std::string::npos);
    auto again = parse_toml(text, "again.toml");
    ASSERT_TRUE(again) << again.error().message() << text;
    ASSERT_EQ(again->acl.chains.size(), 1U);
    EXPECT_EQ(again->acl.chains[0].rules, options->acl.chains[0].rules);
    EXPECT_EQ(again->acl.tcp_whitelist, options->acl.tcp_whitelist);
}

TEST(ReadAcl, RulesThatTheReferenceWouldSilentlyWidenAreMistakes) {
    const auto rule_with = [](std::string_view line) {
        return mistakes(fmt::format(
            "[[acl.acl_v1.chains]]\nchain_type = \"Inbound\"\n"
            "[[acl.acl_v1.chains.rules]]\n{}\n[network_identity]\nnetwork_name = \"n\"\n",
            line
        ));
    };
    EXPECT_EQ(rule_with("ports = [\"80\"]"), "");
    EXPECT_EQ(
        rule_with("source_ips = [\"10.0.0.1/24\"]"),
        "home.toml:4:15: acl.acl_v1.chains.rules.source_ips: 10.0.0.1/24 is an address within a "
        "network; the network is 10.0.0.0/24"
    );
    for (const char* line :
         {"ports = [\"eighty\"]", "ports = [\"9000-8000\"]", "source_ips = [\"host\"]",
          "protocol = \"tcp\"", "protocol = 6", "action = \"Deny\"", "priority = -1", "colour = 1",
          "enabled = 1", "ports = [80]"}) {
        EXPECT_NE(rule_with(line), "") << line;
    }
    EXPECT_NE(mistakes("[[acl.acl_v1.chains]]\nname = \"no type\"\n"), "");
    EXPECT_NE(mistakes("tcp_whitelist = [\"9000-8000\"]\n"), "");
    EXPECT_NE(mistakes("[acl.acl_v2]\n"), "");
}

TEST(ReadAcl, ANewSecretOfAGroupIsAChangeAndIsNotKept) {
    const std::string text(kAcl);
    std::string other = text;
    other.replace(other.find("tulip"), 5, "roses");
    auto before = parse_toml(text, "a.toml");
    auto same = parse_toml(text, "a.toml");
    auto after = parse_toml(other, "a.toml");
    ASSERT_TRUE(before && same && after);
    EXPECT_TRUE(plan_reload(*before, *same).empty());
    const auto changes = plan_reload(*before, *after);
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].key, "acl");
}

}  // namespace
}  // namespace selvage::config
