// Allow lists, destination rules and the keys of services.
#include <gtest/gtest.h>

#include "edge/allow_list.h"
#include "edge/destination.h"
#include "edge/options.h"
#include "edge/test_fakes.h"

namespace selvage::edge {
namespace {

Caller laptop() {
    Caller caller;
    caller.peer = PeerId(7);
    caller.host_name = "Laptop";
    caller.address = {kLaptopAddress, 51514};
    caller.local = {kNodeAddress, 1080};
    return caller;
}

bool allows(std::string_view rule, const Caller& caller) {
    AllowList list;
    list.add(AllowList::parse_rule(rule).value());
    return list.matches(caller);
}

TEST(AllowList, NobodyIsAllowedWithoutARule) {
    EXPECT_FALSE(AllowList().matches(laptop()));
}

TEST(AllowList, KnowsMembersByNameIdAddressAndPrefix) {
    EXPECT_TRUE(allows("any-member", laptop()));
    EXPECT_TRUE(allows("laptop", laptop()));
    EXPECT_TRUE(allows("LAPTOP", laptop()));
    EXPECT_FALSE(allows("phone", laptop()));
    EXPECT_TRUE(allows("7", laptop()));
    EXPECT_FALSE(allows("8", laptop()));
    EXPECT_TRUE(allows("10.144.1.7", laptop()));
    EXPECT_FALSE(allows("10.144.1.8", laptop()));
    EXPECT_TRUE(allows("10.144.1.0/24", laptop()));
    EXPECT_FALSE(allows("10.144.2.0/24", laptop()));
}

TEST(AllowList, HostCallersMatchByAddressOnly) {
    Caller caller;
    caller.origin = Origin::host;
    caller.address = {IpAddress::v4(192, 168, 1, 9), 4000};
    EXPECT_FALSE(allows("any-member", caller));
    EXPECT_TRUE(allows("192.168.1.0/24", caller));
}

TEST(AllowList, SaysWhatIsWrongWithARule) {
    EXPECT_EQ(
        AllowList::parse_rule("10.144.1.7/24").error().message(),
        "10.144.1.7/24 has bits beyond its prefix; did you mean 10.144.1.0/24?"
    );
    EXPECT_FALSE(AllowList::parse_rule(""));
    EXPECT_FALSE(AllowList::parse_rule("0"));
    EXPECT_FALSE(AllowList::parse_rule("99999999999"));
    EXPECT_FALSE(AllowList::parse_rule("two words"));
    EXPECT_FALSE(AllowList::parse_rule("10.144.1.7/33"));
    EXPECT_EQ(
        AllowList::parse_rule("key:abc").error().message(), "rules by key are not supported yet"
    );
}

class DestinationTest : public testing::Test {
protected:
    static std::vector<DestinationRule> none() { return {}; }
    static DestinationRule rule(
        bool allow, std::initializer_list<std::string_view> to,
        std::initializer_list<std::string_view> ports = {},
        std::initializer_list<std::string> names = {}
    ) {
        DestinationRule out;
        out.allow = allow;
        for (const auto text : to)
            out.to.push_back(Prefix::parse(text).value());
        for (const auto text : ports)
            out.ports.push_back(PortRange::parse(text).value());
        out.names = names;
        return out;
    }
    // "ok" or the reason.
    std::string check(
        std::vector<DestinationRule> rules, std::string_view address, std::uint16_t port,
        std::string name = {}
    ) {
        const DestinationPolicy policy(std::move(rules), node_);
        const auto result = policy.check(
            laptop(),
            {.name = std::move(name), .address = IpAddress::parse(address).value(), .port = port}
        );
        if (result) return "ok";
        EXPECT_TRUE(result.error().is(Errc::denied));
        return result.error().message();
    }
    FakeNode node_;
};

TEST_F(DestinationTest, OrdinaryAddressesAreOpen) {
    EXPECT_EQ(check(none(), "93.184.216.34", 443), "ok");
    EXPECT_EQ(check(none(), "192.168.1.77", 80), "ok");
    EXPECT_EQ(check(none(), "10.144.1.9", 22), "ok");
    EXPECT_EQ(check(none(), "2606:2800:220:1::1", 443), "ok");
}

TEST_F(DestinationTest, SpecialAddressesAreClosedInAllTheirSpellings) {
    const std::pair<std::string_view, std::string_view> cases[] = {
        {"127.0.0.1", "loopback"},
        {"127.8.9.1", "loopback"},
        {"0.0.0.0", "unspecified address"},
        {"0.1.2.3", "unspecified address"},
        {"169.254.1.1", "link-local"},
        {"169.254.169.254", "cloud metadata"},
        {"100.100.100.200", "cloud metadata"},
        {"168.63.129.16", "cloud metadata"},
        {"192.0.0.192", "cloud metadata"},
        {"224.0.0.1", "multicast"},
        {"255.255.255.255", "reserved or broadcast"},
        {"::", "unspecified address"},
        {"::1", "loopback"},
        {"::7f00:1", "IPv4-compatible address"},
        {"fe80::1", "link-local"},
        {"ff02::1", "multicast"},
        {"fd00:ec2::254", "cloud metadata"},
        {"fd20:ce::254", "cloud metadata"},
        {"::ffff:127.0.0.1", "loopback"},
        {"::ffff:169.254.169.254", "cloud metadata"},
        {"64:ff9b::7f00:1", "loopback"},
        {"64:ff9b::a9fe:a9fe", "cloud metadata"},
        {"2002:7f00:1::", "loopback"},
    };
    for (const auto& [address, reason] : cases) {
        EXPECT_TRUE(check(none(), address, 80).ends_with(reason))
            << address << ": " << check(none(), address, 80);
    }
}

TEST_F(DestinationTest, ARuleOpensASpecialAddressOnlyInSoManyWords) {
    EXPECT_EQ(check({rule(true, {"127.0.0.1/32"}, {"8080"})}, "127.0.0.1", 8080), "ok");
    EXPECT_EQ(check({rule(true, {"127.0.0.1/32"}, {"8080"})}, "::ffff:127.0.0.1", 8080), "ok");
    EXPECT_NE(check({rule(true, {"127.0.0.1/32"}, {"8080"})}, "127.0.0.1", 8081), "ok");
    EXPECT_NE(check({rule(true, {"127.0.0.1/32"}, {"8080"})}, "127.0.0.2", 8080), "ok");
    EXPECT_EQ(check({rule(true, {"127.0.0.0/8"})}, "127.3.2.1", 1), "ok");
    EXPECT_NE(check({rule(true, {"0.0.0.0/0"})}, "127.0.0.1", 80), "ok");
    EXPECT_NE(check({rule(true, {"169.254.0.0/16"})}, "169.254.169.254", 80), "ok");
    EXPECT_EQ(check({rule(true, {"169.254.0.0/16"})}, "169.254.1.1", 80), "ok");
    EXPECT_NE(check({rule(true, {})}, "127.0.0.1", 80), "ok");
    EXPECT_NE(check({rule(true, {}, {}, {"*.example"})}, "127.0.0.1", 80, "a.example"), "ok");
}

TEST_F(DestinationTest, AWideAllowDoesNotHideANarrowOne) {
    const std::vector<DestinationRule> rules{
        rule(true, {}, {"80"}), rule(true, {"127.0.0.1/32"}, {"80"})
    };
    EXPECT_EQ(check(rules, "127.0.0.1", 80), "ok");
}

TEST_F(DestinationTest, TheFirstMatchingRuleDecides) {
    const std::vector<DestinationRule> rules{
        rule(true, {"192.168.1.0/24"}, {"80", "8000-8999"}), rule(false, {"192.168.0.0/16"})
    };
    EXPECT_EQ(check(rules, "192.168.1.9", 80), "ok");
    EXPECT_EQ(check(rules, "192.168.1.9", 8500), "ok");
    EXPECT_EQ(check(rules, "192.168.1.9", 22), "192.168.1.9:22: a rule denies it");
    EXPECT_EQ(check(rules, "10.0.0.1", 22), "ok");
}

TEST_F(DestinationTest, NamesMatchByPatternWithoutCase) {
    const std::vector<DestinationRule> rules{
        rule(true, {}, {}, {"*.example.com"}), rule(false, {})
    };
    EXPECT_EQ(check(rules, "93.184.216.34", 443, "www.EXAMPLE.com."), "ok");
    EXPECT_NE(check(rules, "93.184.216.34", 443, "example.org"), "ok");
    EXPECT_NE(check(rules, "93.184.216.34", 443), "ok");
    EXPECT_TRUE(matches_pattern("a*b*c", "axxbxxc"));
    EXPECT_FALSE(matches_pattern("a*b*c", "axxbxx"));
    EXPECT_TRUE(matches_pattern("*", ""));
    EXPECT_FALSE(matches_pattern("", "a"));
}

TEST_F(DestinationTest, RulesMaySpeakOfCallers) {
    DestinationRule only_phone = rule(false, {});
    only_phone.from.add(AllowList::parse_rule("phone").value());
    EXPECT_EQ(check({only_phone}, "93.184.216.34", 443), "ok");
    DestinationRule only_laptop = rule(false, {});
    only_laptop.from.add(AllowList::parse_rule("laptop").value());
    EXPECT_NE(check({only_laptop}, "93.184.216.34", 443), "ok");
}

TEST_F(DestinationTest, OwnListenersAreClosedByAnyOfOurAddresses) {
    node_.listeners = {{IpAddress(), 11010}, {kNodeAddress, 1080}};
    EXPECT_TRUE(check(none(), "192.168.1.5", 11010).ends_with("a listener of this node"));
    EXPECT_TRUE(check(none(), "10.144.1.1", 1080).ends_with("a listener of this node"));
    EXPECT_EQ(check(none(), "192.168.1.5", 1080), "ok");
    EXPECT_EQ(check(none(), "192.168.1.6", 11010), "ok");
    EXPECT_NE(check({rule(true, {"192.168.1.0/24"})}, "192.168.1.5", 11010), "ok");
    EXPECT_NE(check({rule(true, {"192.168.1.5/32"})}, "192.168.1.5", 11010), "ok");
    EXPECT_EQ(check({rule(true, {"192.168.1.5/32"}, {"11010"})}, "192.168.1.5", 11010), "ok");
}

TEST_F(DestinationTest, ANameDeniedByRuleIsNotLookedUp) {
    const DestinationPolicy policy({rule(false, {}, {}, {"*.internal"})}, node_);
    EXPECT_FALSE(policy.check_name(laptop(), {.name = "a.internal", .address = {}, .port = 80}));
    EXPECT_TRUE(policy.check_name(laptop(), {.name = "a.example", .address = {}, .port = 80}));
}

TEST(ServiceOptions, MistakesNameTheKeyAndWhatWouldBeRight) {
    OptionsBuilder builder("proxy");
    builder.set("prot", std::int64_t{1080});
    builder.set("port", std::int64_t{70000});
    builder.set("listen_host", std::string("localhost"));
    builder.set("idle_timeout", std::string("soon"));
    builder.user("alice", "plain text");
    static_cast<void>(builder.build());
    std::string all;
    for (const auto& problem : builder.problems)
        all += problem.key + ": " + problem.text + "\n";
    EXPECT_EQ(
        all,
        "service.proxy.port: must be a whole number from 1 to 65535\n"
        "service.proxy.idle_timeout: must be a time from 0s to 8760h, as \"90s\", \"15m\" or a "
        "number of seconds\n"
        "service.proxy.listen_host: must be an address and port, as \"127.0.0.1:1080\"\n"
        "service.proxy.users: the entry of \"alice\" must be a crypt(3) hash; `selvage passwd` "
        "makes one\n"
        "service.proxy.prot: is not a key that is known here; did you mean `port`?\n"
    );
}

TEST(ServiceOptions, AShellWithoutUsersOrMeshAuthIsAMistake) {
    OptionsBuilder builder("shell");
    static_cast<void>(builder.build());
    ASSERT_EQ(builder.problems.size(), 1U);
    EXPECT_EQ(builder.problems[0].key, "service.shell.users");
    builder.set("auth", std::string("mesh"));
    static_cast<void>(builder.build());
    EXPECT_TRUE(builder.problems.empty());
}

TEST(ServiceOptions, TheTableOfServicesIsComplete) {
    for (const ServiceSpec* spec : service_table()) {
        EXPECT_FALSE(spec->summary.empty()) << spec->name;
        EXPECT_NE(spec->default_port, 0) << spec->name;
        EXPECT_NE(spec->make, nullptr) << spec->name;
        EXPECT_EQ(find_service(spec->name), spec);
    }
    EXPECT_NE(find_service("proxy"), nullptr);
    EXPECT_NE(find_service("shell"), nullptr);
    EXPECT_NE(find_service("echo"), nullptr);
    EXPECT_EQ(find_service("nonsense"), nullptr);
}

}  // namespace
}  // namespace selvage::edge
