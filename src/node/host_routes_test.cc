// Tests of the host's routes on a device that only remembers.
#include "node/host_routes.h"

#include "route/link_state.h"

namespace selvage::node {
namespace {

Prefix prefix(std::string_view text) {
    return Prefix::parse(text).value();
}

class FakeTun final : public host::Tun {
public:
    const std::string& name() const override { return name_; }
    void start(host::TunSink&) override {}
    void send(packet::PacketBatch&&) override {}
    Result<> add_address(const Prefix&) override { return {}; }
    Result<> remove_address(const Prefix&) override { return {}; }
    Result<> add_route(const Prefix& to, unsigned metric) override {
        ++asked_;
        EXPECT_EQ(metric, HostRoutes::kMetric);
        if (taken_.contains(to) || !routes_.insert(to).second) return Errc::exists;
        return {};
    }
    Result<> remove_route(const Prefix& to, unsigned) override {
        return routes_.erase(to) == 1 ? Result<>{} : Result<>(Errc::not_found);
    }
    const Stats& stats() const override { return stats_; }

    std::set<Prefix> routes_;
    std::set<Prefix> taken_;  // by somebody else
    int asked_ = 0;

private:
    std::string name_ = "fake0";
    Stats stats_;
};

// A table that shows one neighbour with these networks.
route::RouteTable table_with(const std::vector<std::string>& cidrs) {
    const route::RouteOptions options{.self = PeerId(1), .network_name = "n1"};
    route::LinkState links(options, 7, TimePoint{}, WallTime{});
    route::RouteOptions theirs{.self = PeerId(2), .network_name = "n1"};
    for (const std::string& cidr : cidrs)
        theirs.own.proxy_cidrs.push_back(prefix(cidr));
    links.add_record(route::build_own_record(theirs, 9, 1, WallTime{}), TimePoint{});
    links.set_neighbours({PeerId(2)}, TimePoint{});
    return {links, {}, {{PeerId(2), {}}}, 1};
}

const NodeAddresses kOwn{.ipv4 = prefix("10.144.1.1/24"), .ipv6 = {}};

TEST(HostRoutes, FollowWhatMembersAnnounce) {
    FakeTun tun;
    HostRoutes routes(std::nullopt, Log());
    routes.set_device(&tun);
    routes.follow(table_with({"192.168.7.0/24", "172.16.0.0/12", "fd07::/64"}), kOwn, {});
    EXPECT_EQ(tun.routes_, (std::set{prefix("172.16.0.0/12"), prefix("192.168.7.0/24")}))
        << "without an IPv6 address there is no source to send from";
    routes.follow(table_with({"192.168.7.0/24", "10.9.0.0/16"}), kOwn, {});
    EXPECT_EQ(tun.routes_, (std::set{prefix("10.9.0.0/16"), prefix("192.168.7.0/24")}));
    EXPECT_EQ(tun.asked_, 3) << "what is there already is left alone";
    routes.withdraw();
    EXPECT_TRUE(tun.routes_.empty());
    const NodeAddresses both{.ipv4 = kOwn.ipv4, .ipv6 = prefix("fd00::1/64")};
    routes.follow(table_with({"fd07::/64"}), both, {});
    EXPECT_EQ(tun.routes_, std::set{prefix("fd07::/64")});
    routes.follow(table_with({}), both, {});
    EXPECT_TRUE(tun.routes_.empty());
}

TEST(HostRoutes, ThoseOfTheConfigurationReplaceAllOthers) {
    FakeTun tun;
    HostRoutes routes(std::vector{prefix("10.9.0.0/16"), prefix("0.0.0.0/0")}, Log());
    routes.set_device(&tun);
    routes.follow(table_with({"192.168.7.0/24"}), kOwn, {IpAddress::v4(10, 9, 0, 1)});
    EXPECT_EQ(tun.routes_, (std::set{prefix("0.0.0.0/0"), prefix("10.9.0.0/16")}));
}

TEST(HostRoutes, ATunnelIsNotLedThroughItself) {
    FakeTun tun;
    HostRoutes routes(std::nullopt, Log());
    routes.set_device(&tun);
    const auto table = table_with({"203.0.113.0/24", "192.168.7.0/24"});
    routes.follow(table, kOwn, {});
    EXPECT_EQ(tun.routes_.size(), 2U);
    routes.follow(table, kOwn, {IpAddress::v4(203, 0, 113, 9)});
    EXPECT_EQ(tun.routes_, std::set{prefix("192.168.7.0/24")});
}

TEST(HostRoutes, WhatTheKernelRefusesIsAskedForAgain) {
    FakeTun tun;
    tun.taken_ = {prefix("192.168.7.0/24")};
    HostRoutes routes(std::nullopt, Log());
    routes.set_device(&tun);
    const auto table = table_with({"192.168.7.0/24"});
    routes.follow(table, kOwn, {});
    EXPECT_TRUE(routes.installed().empty());
    tun.taken_.clear();
    routes.follow(table, kOwn, {});
    EXPECT_EQ(tun.routes_, std::set{prefix("192.168.7.0/24")});
}

}  // namespace
}  // namespace selvage::node
