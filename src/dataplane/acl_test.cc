// Every kind of rule, one verdict at a time.
#include "dataplane/acl.h"

#include <gtest/gtest.h>

#include "crypto/keys.h"
#include "route/link_state.h"

namespace selvage::dataplane {
namespace {

using namespace std::chrono_literals;
using packet::IpMeta;

constexpr auto kIn = AclChainType::inbound;
constexpr auto kOut = AclChainType::outbound;
constexpr auto kForward = AclChainType::forward;

IpMeta tcp(std::string_view from, std::string_view to) {
    const Endpoint source = Endpoint::parse(from).value();
    const Endpoint destination = Endpoint::parse(to).value();
    IpMeta ip;
    ip.source = source.address;
    ip.destination = destination.address;
    ip.source_port = source.port;
    ip.destination_port = destination.port;
    ip.protocol = 6;
    ip.has_ports = true;
    ip.total_length = 100;
    return ip;
}
IpMeta udp(std::string_view from, std::string_view to) {
    IpMeta ip = tcp(from, to);
    ip.protocol = 17;
    return ip;
}
IpMeta portless(std::uint8_t protocol, std::string_view from, std::string_view to) {
    IpMeta ip;
    ip.source = IpAddress::parse(from).value();
    ip.destination = IpAddress::parse(to).value();
    ip.protocol = protocol;
    ip.total_length = 84;
    return ip;
}

AclRule rule(std::string name, std::uint32_t priority, AclAction action) {
    AclRule out;
    out.name = std::move(name);
    out.priority = priority;
    out.enabled = true;
    out.protocol = AclProtocol::any;
    out.action = action;
    return out;
}
AclChain chain(AclChainType type, AclAction by_default, std::vector<AclRule> rules = {}) {
    AclChain out;
    out.name = "chain";
    out.type = type;
    out.enabled = true;
    out.default_action = by_default;
    out.rules = std::move(rules);
    return out;
}

struct AclTest : ::testing::Test {
    Acl acl{SipKey{1, 2}};
    TimePoint now = TimePoint{} + 1000s;

    template <class... Chains>
    void apply(Chains... chains) {
        AclRules rules;
        (rules.chains.push_back(std::move(chains)), ...);
        acl.apply(std::move(rules));
    }
    AclVerdict judge(AclChainType type, const IpMeta& ip, GroupSet from = 0, GroupSet to = 0) {
        return acl.judge(type, ip, from, to, now);
    }
    bool allows(AclChainType type, const IpMeta& ip) { return judge(type, ip).allowed; }
    // The name of the rule that decides; "default" for a default action.
    std::string decides(AclChainType type, const IpMeta& ip, GroupSet from = 0, GroupSet to = 0) {
        const AclVerdict verdict = judge(type, ip, from, to);
        return verdict.rule == nullptr ? "default" : verdict.rule->name;
    }
};

TEST_F(AclTest, WithoutChainsEverythingPasses) {
    EXPECT_FALSE(acl.enabled());
    apply();
    EXPECT_FALSE(acl.enabled());
    EXPECT_TRUE(allows(kIn, tcp("10.0.0.2:5000", "10.0.0.1:80")));
}

TEST_F(AclTest, TheFirstChainOfADirectionGivesTheDefaultEvenWhenItIsOff) {
    AclChain off = chain(kIn, AclAction::drop, {rule("never", 9, AclAction::allow)});
    off.enabled = false;
    apply(off, chain(kIn, AclAction::allow), chain(kForward, AclAction::noop));
    const AclVerdict verdict = judge(kIn, tcp("10.0.0.2:5000", "10.0.0.1:80"));
    EXPECT_FALSE(verdict.allowed);
    EXPECT_EQ(verdict.reason, AclReason::default_action);
    EXPECT_TRUE(allows(kForward, tcp("10.0.0.2:5000", "10.9.0.1:80")));
    EXPECT_TRUE(allows(kOut, tcp("10.0.0.1:80", "10.0.0.3:5000"))) << "no chain";
}

TEST_F(AclTest, WithinAChainThePriorityDecidesBetweenChainsTheirOrder) {
    apply(
        chain(
            kIn, AclAction::drop,
            {rule("low", 1, AclAction::allow), rule("high", 9, AclAction::drop),
             rule("high too", 9, AclAction::allow)}
        ),
        chain(kIn, AclAction::drop, {rule("highest, but later", 99, AclAction::allow)})
    );
    EXPECT_EQ(decides(kIn, tcp("10.0.0.2:5000", "10.0.0.1:80")), "high");
}

TEST_F(AclTest, RulesThatAreOffAreNotThere) {
    AclRule off = rule("off", 9, AclAction::drop);
    off.enabled = false;
    apply(chain(kIn, AclAction::drop, {off, rule("on", 1, AclAction::allow)}));
    EXPECT_EQ(decides(kIn, tcp("10.0.0.2:5000", "10.0.0.1:80")), "on");
    EXPECT_EQ(acl.rule_stats().size(), 1U);
}

TEST_F(AclTest, ProtocolsAreToldApart) {
    std::vector<AclRule> rules;
    const std::pair<AclProtocol, const char*> kinds[] = {
        {AclProtocol::tcp, "tcp"},
        {AclProtocol::udp, "udp"},
        {AclProtocol::icmp, "icmp"},
        {AclProtocol::icmpv6, "icmpv6"},
        {AclProtocol::unspecified, "other"}
    };
    for (const auto& [protocol, name] : kinds) {
        rules.push_back(rule(name, 5, AclAction::allow));
        rules.back().protocol = protocol;
    }
    rules.push_back(rule("any", 1, AclAction::allow));
    apply(chain(kIn, AclAction::drop, rules));
    EXPECT_EQ(decides(kIn, tcp("10.0.0.2:5", "10.0.0.1:80")), "tcp");
    EXPECT_EQ(decides(kIn, udp("10.0.0.2:5", "10.0.0.1:80")), "udp");
    EXPECT_EQ(decides(kIn, portless(1, "10.0.0.2", "10.0.0.1")), "icmp");
    EXPECT_EQ(decides(kIn, portless(58, "fd00::2", "fd00::1")), "icmpv6");
    EXPECT_EQ(decides(kIn, portless(47, "10.0.0.2", "10.0.0.1")), "other");
}

TEST_F(AclTest, AddressesMatchTheirNetworksAndOnlyTheirFamily) {
    AclRule from = rule("from", 9, AclAction::drop);
    from.source_ips = {Prefix::parse("10.0.0.0/30").value(), Prefix::parse("fd00::/64").value()};
    AclRule to = rule("to", 8, AclAction::drop);
    to.destination_ips = {Prefix::parse("10.0.0.9").value()};
    AclRule all4 = rule("all4", 7, AclAction::drop);
    all4.source_ips = {Prefix::parse("0.0.0.0/0").value()};
    apply(chain(kIn, AclAction::allow, {from, to, all4}));
    EXPECT_EQ(decides(kIn, tcp("10.0.0.3:1", "10.0.0.1:2")), "from");
    EXPECT_EQ(decides(kIn, tcp("10.0.0.4:1", "10.0.0.9:2")), "to");
    EXPECT_EQ(decides(kIn, tcp("10.0.0.4:1", "10.0.0.1:2")), "all4");
    EXPECT_EQ(decides(kIn, tcp("[fd00::7]:1", "[fd00::1]:2")), "from");
    EXPECT_EQ(decides(kIn, tcp("[fd01::7]:1", "[fd01::1]:2")), "default");
}

TEST_F(AclTest, PortsOfEitherSideCountAndAreIgnoredWhereThereAreNone) {
    AclRule web = rule("web", 9, AclAction::allow);
    web.ports = {{80, 80}, {8000, 8999}};
    AclRule source = rule("source", 8, AclAction::allow);
    source.source_ports = {{1, 1023}};
    apply(chain(kIn, AclAction::drop, {web, source}));
    EXPECT_EQ(decides(kIn, tcp("10.0.0.2:5000", "10.0.0.1:8999")), "web");
    EXPECT_EQ(decides(kIn, tcp("10.0.0.2:1023", "10.0.0.1:9000")), "source");
    EXPECT_EQ(decides(kIn, tcp("10.0.0.2:5000", "10.0.0.1:9000")), "default");
    EXPECT_EQ(decides(kIn, portless(1, "10.0.0.2", "10.0.0.1")), "web") << "as the reference";
}

TEST_F(AclTest, NoopPassesAndIsCounted) {
    apply(chain(kIn, AclAction::drop, {rule("look", 9, AclAction::noop)}));
    EXPECT_TRUE(allows(kIn, tcp("10.0.0.2:5", "10.0.0.1:80")));
    EXPECT_EQ(acl.counters(kIn).noop, 1U);
    EXPECT_EQ(acl.counters(kIn).allowed, 1U);
}

TEST_F(AclTest, GroupsNeedOneInCommonAndAnUndeclaredOneMatchesNobody) {
    AclRule ops = rule("ops to db", 9, AclAction::allow);
    ops.source_groups = {"ops", "admin"};
    ops.destination_groups = {"db"};
    AclRule ghost = rule("ghost", 8, AclAction::allow);
    ghost.source_groups = {"ghost"};
    AclRules rules;
    rules.chains.push_back(chain(kIn, AclAction::drop, {ops, ghost}));
    for (const char* name : {"ops", "admin", "db"})
        rules.declares.push_back({name, crypto::SecretText("s")});
    acl.apply(std::move(rules));
    const GroupSet admin = acl.groups().set_of({"admin"});
    const GroupSet db = acl.groups().set_of({"db"});
    const IpMeta call = tcp("10.0.0.2:5000", "10.0.0.1:5432");
    EXPECT_EQ(decides(kIn, call, admin, db), "ops to db");
    EXPECT_EQ(decides(kIn, call, admin, 0), "default");
    EXPECT_EQ(decides(kIn, call, 0, db), "default") << "the same flow, but no longer in the group";
    EXPECT_EQ(decides(kIn, call, ~GroupSet{0}, 0), "default");
}

TEST_F(AclTest, ARateLimitDropsWhatIsBeyondAndFillsAgain) {
    AclRule limited = rule("limited", 9, AclAction::allow);
    limited.rate_limit = 10;
    limited.burst_limit = 3;
    apply(chain(kIn, AclAction::drop, {limited}));
    const IpMeta ping = portless(1, "10.0.0.2", "10.0.0.1");
    for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(allows(kIn, ping)) << i;
    const AclVerdict beyond = judge(kIn, ping);
    EXPECT_FALSE(beyond.allowed);
    EXPECT_EQ(beyond.reason, AclReason::rate_limit);
    EXPECT_FALSE(allows(kIn, portless(1, "10.0.0.3", "10.0.0.1"))) << "one bucket for all";
    now += 100ms;
    EXPECT_TRUE(allows(kIn, ping));
    EXPECT_FALSE(allows(kIn, ping));
    now += 1h;
    for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(allows(kIn, ping)) << i;
    EXPECT_FALSE(allows(kIn, ping));
    const auto stats = acl.rule_stats();
    ASSERT_EQ(stats.size(), 1U);
    EXPECT_EQ(stats[0].packets, 7U);
    EXPECT_EQ(stats[0].rate_limited, 4U);
    EXPECT_EQ(acl.counters(kIn).rate_limited, 4U);
}

TEST_F(AclTest, RulesOfOneDirectionAndPriorityShareABucket) {
    AclRule tcp_rule = rule("tcp", 9, AclAction::allow);
    tcp_rule.protocol = AclProtocol::tcp;
    tcp_rule.rate_limit = 1;
    AclRule udp_rule = tcp_rule;
    udp_rule.name = "udp";
    udp_rule.protocol = AclProtocol::udp;
    apply(
        chain(kIn, AclAction::drop, {tcp_rule, udp_rule}),
        chain(kForward, AclAction::drop, {udp_rule})
    );
    EXPECT_TRUE(allows(kIn, tcp("10.0.0.2:5", "10.0.0.1:80")));
    EXPECT_FALSE(allows(kIn, udp("10.0.0.2:5", "10.0.0.1:80")));
    EXPECT_TRUE(allows(kForward, udp("10.0.0.2:5", "10.9.0.1:80")));
}

TEST_F(AclTest, StatefulRulesKeepStatisticsAndAdmitNothing) {
    AclRule web = rule("web", 9, AclAction::allow);
    web.ports = {{80, 80}};
    web.stateful = true;
    apply(chain(kIn, AclAction::drop, {web}));
    const IpMeta call = tcp("10.0.0.2:5000", "10.0.0.1:80");
    EXPECT_TRUE(allows(kIn, call));
    auto flows = acl.flow_stats(now);
    ASSERT_EQ(flows.size(), 1U);
    EXPECT_FALSE(flows[0].established);
    now += 5s;
    EXPECT_TRUE(allows(kIn, call));
    flows = acl.flow_stats(now);
    ASSERT_EQ(flows.size(), 1U);
    EXPECT_TRUE(flows[0].established);
    EXPECT_EQ(flows[0].source, Endpoint::parse("10.0.0.2:5000").value());
    EXPECT_EQ(flows[0].packets, 2U);
    EXPECT_EQ(flows[0].bytes, 200U);
    EXPECT_EQ(flows[0].last_seen - flows[0].created, 5s);
    EXPECT_FALSE(allows(kIn, tcp("10.0.0.2:5000", "10.0.0.1:81")));
    EXPECT_TRUE(acl.flow_stats(now + 61s).empty());
}

TEST_F(AclTest, AnswersToWhatWeSentPassForAMinute) {
    apply(chain(kIn, AclAction::drop), chain(kForward, AclAction::drop));
    const IpMeta answer = tcp("10.0.0.2:80", "10.0.0.1:5000");
    EXPECT_FALSE(allows(kIn, answer));
    EXPECT_TRUE(allows(kOut, tcp("10.0.0.1:5000", "10.0.0.2:80")));
    const AclVerdict verdict = judge(kIn, answer);
    EXPECT_TRUE(verdict.allowed);
    EXPECT_EQ(verdict.reason, AclReason::answer);
    EXPECT_FALSE(allows(kIn, udp("10.0.0.2:80", "10.0.0.1:5000"))) << "another protocol";
    EXPECT_FALSE(allows(kIn, tcp("10.0.0.2:81", "10.0.0.1:5000"))) << "another port";
    EXPECT_FALSE(allows(kIn, tcp("10.0.0.3:80", "10.0.0.1:5000"))) << "another node";
    now += 50s;
    EXPECT_TRUE(allows(kIn, answer)) << "and goes on while it is used";
    now += 50s;
    EXPECT_TRUE(allows(kIn, answer));
    now += 61s;
    EXPECT_FALSE(allows(kIn, answer));
    EXPECT_EQ(acl.counters(kIn).answers, 3U);
}

TEST_F(AclTest, WhatWasDeniedOutboundOpensNoDoorForAnswers) {
    apply(chain(kIn, AclAction::drop), chain(kOut, AclAction::drop));
    EXPECT_FALSE(allows(kOut, tcp("10.0.0.1:5000", "10.0.0.2:80")));
    EXPECT_FALSE(allows(kIn, tcp("10.0.0.2:80", "10.0.0.1:5000")));
}

TEST_F(AclTest, VerdictsAreCachedPerFlowAndCountedAllTheSame) {
    apply(chain(kIn, AclAction::drop, {rule("all", 1, AclAction::allow)}));
    const IpMeta call = tcp("10.0.0.2:5000", "10.0.0.1:80");
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(decides(kIn, call), "all");
    EXPECT_EQ(acl.counters(kIn).rule_matches, 1U);
    EXPECT_EQ(acl.counters(kIn).cache_hits, 9U);
    EXPECT_EQ(acl.rule_stats()[0].packets, 10U);
    EXPECT_EQ(acl.rule_stats()[0].bytes, 1000U);
    EXPECT_EQ(acl.cached_verdicts(now), 1U);
    EXPECT_EQ(acl.cached_verdicts(now + 16s), 0U);
}

TEST_F(AclTest, AFloodOfFlowsTakesNoMoreMemoryAndChangesNoVerdict) {
    AclRule web = rule("web", 9, AclAction::allow);
    web.ports = {{80, 80}};
    apply(chain(kIn, AclAction::drop, {web}));
    for (std::uint32_t i = 0; i < 50'000; ++i) {
        IpMeta ip = tcp("10.0.0.2:5000", "10.0.0.1:80");
        ip.source = IpAddress::v4(0x0a010000 + i);
        ip.destination_port = i % 2 == 0 ? 80 : 81;
        ASSERT_EQ(allows(kIn, ip), i % 2 == 0) << i;
    }
    EXPECT_LE(acl.cached_verdicts(now), Acl::cached_verdicts_max());
    EXPECT_GT(acl.cached_verdicts(now), Acl::cached_verdicts_max() * 9 / 10);
}

TEST_F(AclTest, NewRulesHoldForLiveFlowsAndKeepTheCountsOfThoseThatStay) {
    AclRule web = rule("web", 9, AclAction::allow);
    web.ports = {{80, 80}};
    apply(chain(kIn, AclAction::drop, {web}));
    const IpMeta call = tcp("10.0.0.2:5000", "10.0.0.1:80");
    EXPECT_TRUE(allows(kIn, call));
    EXPECT_TRUE(allows(kOut, tcp("10.0.0.1:7000", "10.0.0.2:22")));
    EXPECT_TRUE(allows(kIn, tcp("10.0.0.2:22", "10.0.0.1:7000")));

    apply(chain(kIn, AclAction::drop, {rule("stop", 10, AclAction::drop), web}));
    EXPECT_EQ(decides(kIn, call), "stop");
    EXPECT_FALSE(allows(kIn, tcp("10.0.0.2:22", "10.0.0.1:7000"))) << "answers are asked for anew";
    const auto stats = acl.rule_stats();
    ASSERT_EQ(stats.size(), 2U);
    EXPECT_EQ(stats[1].rule->name, "web");
    EXPECT_EQ(stats[1].packets, 1U);

    apply();
    EXPECT_FALSE(acl.enabled());
    EXPECT_TRUE(allows(kIn, call));
}

TEST_F(AclTest, AReloadDoesNotRefillARateLimitThatStays) {
    AclRule limited = rule("limited", 9, AclAction::allow);
    limited.rate_limit = 1;
    apply(chain(kIn, AclAction::drop, {limited}));
    const IpMeta ping = portless(1, "10.0.0.2", "10.0.0.1");
    EXPECT_TRUE(allows(kIn, ping));
    apply(chain(kIn, AclAction::drop, {limited}));
    EXPECT_FALSE(allows(kIn, ping));
    limited.burst_limit = 5;
    apply(chain(kIn, AclAction::drop, {limited}));
    EXPECT_TRUE(allows(kIn, ping)) << "another limit starts full";
}

TEST_F(AclTest, LaterFragmentsFollowTheirFirstOne) {
    AclRule web = rule("web", 9, AclAction::allow);
    web.protocol = AclProtocol::udp;
    web.ports = {{80, 80}};
    AclRule no_dns = rule("no dns", 10, AclAction::drop);
    no_dns.ports = {{53, 53}};
    IpMeta later = portless(17, "10.0.0.2", "10.0.0.1");
    later.is_fragment = later.is_later_fragment = true;

    apply(chain(kIn, AclAction::drop, {web, no_dns}));
    EXPECT_EQ(decides(kIn, later), "web");
    apply(chain(kIn, AclAction::allow, {no_dns}));
    EXPECT_EQ(decides(kIn, later), "default");
    apply(chain(kIn, AclAction::drop));
    EXPECT_FALSE(allows(kIn, later));
    EXPECT_TRUE(allows(kOut, udp("10.0.0.1:5000", "10.0.0.2:53")));
    EXPECT_FALSE(allows(kIn, later)) << "no first fragment yet";
    IpMeta first = udp("10.0.0.2:53", "10.0.0.1:5000");
    first.is_fragment = true;
    EXPECT_TRUE(allows(kIn, first));
    EXPECT_TRUE(allows(kIn, later));
}

TEST_F(AclTest, AHeaderCutShortCannotHideItsPorts) {
    AclRule no_ssh = rule("no ssh", 9, AclAction::drop);
    no_ssh.ports = {{22, 22}};
    apply(chain(kIn, AclAction::allow, {no_ssh}), chain(kForward, AclAction::allow));
    IpMeta tiny = portless(6, "10.0.0.2", "10.0.0.1");
    tiny.is_fragment = true;
    const AclVerdict verdict = judge(kIn, tiny);
    EXPECT_FALSE(verdict.allowed);
    EXPECT_EQ(verdict.reason, AclReason::hidden_ports);
    EXPECT_TRUE(allows(kForward, tiny)) << "no rule is about ports";
}

TEST_F(AclTest, WhitelistsCloseAllOtherPortsOfTheirProtocol) {
    AclRules rules;
    rules.tcp_whitelist = {{80, 80}, {8000, 9000}};
    acl.apply(std::move(rules));
    EXPECT_EQ(decides(kIn, tcp("10.0.0.2:5", "10.0.0.1:8500")), "tcp_whitelist");
    EXPECT_EQ(decides(kIn, tcp("10.0.0.2:5", "10.0.0.1:22")), "tcp_whitelist_deny_other");
    EXPECT_TRUE(allows(kIn, udp("10.0.0.2:5", "10.0.0.1:22")));
    EXPECT_TRUE(allows(kIn, portless(1, "10.0.0.2", "10.0.0.1")));
    AclRules both;
    both.chains.push_back(chain(kIn, AclAction::drop));
    both.tcp_whitelist = {{80, 80}};
    both.udp_whitelist = {{53, 53}};
    acl.apply(std::move(both));
    EXPECT_EQ(decides(kIn, udp("10.0.0.2:5", "10.0.0.1:53")), "udp_whitelist");
    EXPECT_FALSE(allows(kIn, udp("10.0.0.2:5", "10.0.0.1:54")));
    EXPECT_FALSE(allows(kIn, portless(1, "10.0.0.2", "10.0.0.1"))) << "the file's chain is first";
    EXPECT_TRUE(acl.rule_stats()[0].rule->stateful);
}

TEST(AclGroups, OnlyAProofForThisVeryNodeMakesAMember) {
    AclGroups groups;
    std::vector<AclGroup> declared;
    declared.push_back({"ops", crypto::SecretText("k1")});
    declared.push_back({"dev", crypto::SecretText("k2")});
    groups.declare(std::move(declared), {"dev", "unknown"});
    EXPECT_EQ(groups.names_of(groups.own()), std::vector<std::string>{"dev"});
    const auto claims = groups.claims(PeerId(1));
    ASSERT_EQ(claims.size(), 1U);
    EXPECT_EQ(claims[0].name, "dev");

    const auto claim = [](const char* name, const char* secret, std::uint32_t id) {
        const auto proof = crypto::group_proof(name, crypto::SecretText(secret), id);
        return route::GroupClaim{name, Bytes(proof.begin(), proof.end())};
    };
    route::RouteOptions self{.self = PeerId(1), .network_name = "n"};
    route::LinkState links(self, 1, TimePoint{} + 1s, WallTime{});
    const auto add = [&](std::uint32_t id, std::vector<route::GroupClaim> shown) {
        route::RouteOptions options{.self = PeerId(id), .network_name = "n"};
        options.own.groups = std::move(shown);
        links.add_record(route::build_own_record(options, 7, 1, WallTime{}), TimePoint{} + 1s);
    };
    add(2, {claim("ops", "k1", 2), claim("dev", "guess", 2), claim("else", "k", 2)});
    add(3, {claim("ops", "k1", 2)});  // shown by 2, repeated by 3
    const route::RouteTable table(links, {}, {}, 1);
    groups.update(table, PeerId(1));
    EXPECT_EQ(groups.names_of(groups.of(PeerId(2))), std::vector<std::string>{"ops"});
    EXPECT_EQ(groups.of(PeerId(3)), 0U);
    EXPECT_EQ(groups.of(PeerId(4)), 0U);
    EXPECT_EQ(groups.of(PeerId(1)), groups.own());
}

TEST(PortRange, IsReadStrictly) {
    EXPECT_EQ(PortRange::parse("80").value(), (PortRange{80, 80}));
    EXPECT_EQ(PortRange::parse(" 8000 - 9000 ").value(), (PortRange{8000, 9000}));
    EXPECT_EQ(PortRange::parse("8000-9000").value().to_string(), "8000-9000");
    for (const char* bad : {"", "-", "80-", "-80", "9000-8000", "65536", "80x", "1-2-3", "+80"}) {
        EXPECT_FALSE(PortRange::parse(bad)) << bad;
    }
}

}  // namespace
}  // namespace selvage::dataplane
