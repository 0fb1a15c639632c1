// Where packets may come from and go to by their addresses: IPv6, broadcasts, networks behind
// members, exit nodes.
#include "dataplane/forwarder_test_support.h"

namespace selvage::dataplane {
namespace {

using packet::IpProtocol;
namespace flag = packet::tcp_flag;

IpAddress ip(std::string_view text) {
    return IpAddress::parse(text).value();
}

// near (2) has 10.0.0.2 and fd00::2; far (3), behind near, has 10.0.0.3, fd00::3 and carries
// 192.168.7.0/24 and 10.9.0.0/24. We are 10.0.0.1 and fd00::1.
struct Mesh : World {
    explicit Mesh(bool with_kernel = true, std::vector<IpAddress> exit_nodes = {})
        : World(with_kernel, false, {.exit_nodes = std::move(exit_nodes)}) {
        forwarder.set_addresses(
            {.ipv4 = Prefix{kOurIp, 24}, .ipv6 = Prefix::parse("fd00::1/64").value()}
        );
        route::RouteOptions own{.self = kUs, .network_name = "n1"};
        own.own.ipv4 = Prefix{kOurIp, 24};
        own.own.ipv6 = Prefix::parse("fd00::1/64").value();
        route::LinkState links(own, 1, runtime.now(), runtime.wall_now());
        links.set_neighbours({kNear}, runtime.now());
        for (const PeerId peer : {kNear, kFar}) {
            route::RouteOptions theirs{.self = peer, .network_name = "n1"};
            theirs.own.ipv4 = Prefix{peer == kNear ? kNearIp : kFarIp, 24};
            theirs.own.ipv6 = Prefix::parse(fmt::format("fd00::{}/64", peer)).value();
            if (peer == kFar) {
                theirs.own.proxy_cidrs = {
                    Prefix::parse("192.168.7.0/24").value(), Prefix::parse("10.9.0.0/24").value()
                };
            }
            links.add_record(
                route::build_own_record(theirs, 7, 1, runtime.wall_now()), runtime.now()
            );
        }
        links.add_row({.peer = {kNear, 1}, .connected = {kUs, kFar}}, runtime.now());
        links.add_row({.peer = {kFar, 1}, .connected = {kNear}}, runtime.now());
        forwarder.set_routes(std::make_shared<route::RouteTable>(
            links, route::EdgeLatencies{}, std::map<PeerId, route::NeighbourInfo>{{kNear, {}}}, 2
        ));
    }
    // What happens to a datagram of the host.
    std::string sent(std::string_view from, std::string_view to) {
        send_from_nic(ip_packet(pool, {ip(from), 4000}, {ip(to), 5000}, IpProtocol::udp));
        return take_log();
    }
    // What happens to a datagram from a member.
    std::string got(PeerId peer, std::string_view from, std::string_view to) {
        arrive(ip_packet(pool, {ip(from), 4000}, {ip(to), 5000}, IpProtocol::udp), peer, kUs);
        return take_log();
    }
};

TEST(Addresses, BothFamiliesAreRoutedAndReceived) {
    Mesh mesh;
    EXPECT_EQ(mesh.sent("fd00::1", "fd00::3"), ">3(1)");
    EXPECT_EQ(mesh.sent("10.0.0.1", "10.0.0.3"), ">3(1)");
    EXPECT_EQ(mesh.got(kFar, "fd00::3", "fd00::1"), "K");
    EXPECT_EQ(mesh.sent("fd00::1", "fd00::9"), "");
    EXPECT_EQ(mesh.dropped(DropReason::no_route), 1U);
    EXPECT_EQ(mesh.sent("fe80::1", "fd00::3"), "");
    EXPECT_EQ(mesh.dropped(DropReason::unannounced_source), 1U);
}

TEST(Addresses, AClaimHoldsForBothFamilies) {
    Mesh mesh;
    const Claim claim = mesh.forwarder.claims().claim(IpProtocol::tcp, 22).value();
    const auto call = [&mesh](std::uint16_t port, std::uint8_t flags) {
        mesh.arrive(
            ip_packet(
                mesh.pool, {ip("fd00::2"), 5000}, {ip("fd00::1"), port}, IpProtocol::tcp, flags
            ),
            kNear, kUs
        );
        return mesh.take_log();
    };
    EXPECT_EQ(call(22, flag::kSyn), "S");
    EXPECT_EQ(call(22, flag::kAck), "S");
    EXPECT_EQ(call(23, flag::kSyn), "K");
}

TEST(Addresses, FlowsOfAnAddressThatIsGoneDoNotCatchTheNewOne) {
    Mesh mesh;
    const Claim claim = mesh.forwarder.claims().claim(IpProtocol::tcp, 22).value();
    mesh.segment(5000, 22, flag::kSyn);
    EXPECT_EQ(mesh.take_log(), "S");
    mesh.forwarder.set_addresses({.ipv4 = Prefix::parse("10.0.0.7/24").value(), .ipv6 = {}});
    EXPECT_EQ(mesh.got(kNear, "10.0.0.2", "10.0.0.7"), "K");
    mesh.segment(5000, 22, flag::kAck);
    EXPECT_EQ(mesh.take_log(), "K") << "the kernel drops or forwards what is for others";
    EXPECT_EQ(mesh.sent("10.0.0.1", "10.0.0.2"), "") << "no longer our address";
    EXPECT_EQ(mesh.sent("10.0.0.7", "10.0.0.2"), ">2(1)");
}

TEST(Addresses, BroadcastsAndMulticastGoToAllMembers) {
    Mesh mesh;
    for (const char* to : {"255.255.255.255", "224.0.0.251", "10.0.0.255", "172.16.5.255"})
        EXPECT_EQ(mesh.sent("10.0.0.1", to), ">2(1)>3(1)") << to;
    for (const char* to : {"ff02::fb", "fd00::ffff:ffff:ffff:ffff"})
        EXPECT_EQ(mesh.sent("fd00::1", to), ">2(1)>3(1)") << to;
    EXPECT_EQ(mesh.sent("10.0.0.1", "10.9.0.255"), ">3(1)") << "the network of one member";
    EXPECT_EQ(mesh.got(kFar, "10.0.0.3", "255.255.255.255"), "K");
    EXPECT_EQ(mesh.got(kFar, "10.0.0.3", "10.0.0.255"), "K");
    EXPECT_EQ(mesh.got(kFar, "fd00::3", "ff02::fb"), "K");
    EXPECT_EQ(mesh.got(kFar, "10.0.0.2", "10.0.0.255"), "");
    EXPECT_EQ(mesh.dropped(DropReason::bad_source), 1U);
}

TEST(Addresses, WithoutAKernelNobodyTakesABroadcast) {
    Mesh mesh(false);
    EXPECT_EQ(mesh.got(kFar, "10.0.0.3", "10.0.0.255"), "");
    EXPECT_EQ(mesh.dropped(DropReason::no_receiver), 1U);
}

TEST(Addresses, NetworksBehindMembersAreReachedAndHeardThroughThem) {
    Mesh mesh;
    EXPECT_EQ(mesh.sent("10.0.0.1", "192.168.7.9"), ">3(1)");
    EXPECT_EQ(mesh.got(kFar, "192.168.7.9", "10.0.0.1"), "K");
    EXPECT_EQ(mesh.got(kNear, "192.168.7.9", "10.0.0.1"), "");
    EXPECT_EQ(mesh.dropped(DropReason::bad_source), 1U);
}

TEST(Addresses, TheFirstExitNodeThatCanBeReachedCarriesTheRest) {
    Mesh mesh(true, {ip("10.0.0.9"), ip("fd00::2"), kFarIp, kNearIp});
    mesh.send_from_nic(
        ip_packet(mesh.pool, {kOurIp, 4000}, {ip("198.51.100.7"), 53}, IpProtocol::udp)
    );
    ASSERT_EQ(mesh.to_near->sent.size(), 1U);
    const Bytes bytes = from_hex(mesh.to_near->sent.front()).value();
    EXPECT_TRUE(
        reinterpret_cast<const packet::PeerHeader*>(bytes.data())->has(packet::flag::kExitNode)
    );
    EXPECT_EQ(mesh.take_log(), ">3(1)");
    EXPECT_EQ(mesh.sent("fd00::1", "2001:db8::1"), ">2(1)");
    EXPECT_EQ(mesh.sent("10.0.0.1", "10.0.0.77"), "") << "our own network ends here";
    EXPECT_EQ(mesh.sent("fd00::1", "fe80::1"), "");
    EXPECT_EQ(mesh.dropped(DropReason::no_route), 2U);

    EXPECT_EQ(mesh.got(kFar, "198.51.100.7", "10.0.0.1"), "K");
    EXPECT_EQ(mesh.got(kNear, "198.51.100.7", "10.0.0.1"), "") << "not the one we chose";
    EXPECT_EQ(mesh.got(kFar, "10.0.0.2", "10.0.0.1"), "") << "an exit node speaks for no member";
    EXPECT_EQ(mesh.got(kFar, "10.0.0.77", "10.0.0.1"), "");
    EXPECT_EQ(mesh.dropped(DropReason::bad_source), 3U);
}

TEST(Addresses, IcmpErrorsOfBothFamiliesFollowTheFlowThatTheyQuote) {
    Mesh mesh;
    mesh.send_from_stack(ip_packet(
        mesh.pool, {ip("fd00::1"), 61000}, {ip("fd00::2"), 80}, IpProtocol::tcp, flag::kSyn
    ));
    (void)mesh.take_log();
    for (const std::uint16_t port : std::array<std::uint16_t, 2>{61000, 40000}) {
        packet::PacketBuf quote = ip_packet(
            mesh.pool, {ip("fd00::1"), port}, {ip("fd00::2"), 80}, IpProtocol::tcp, flag::kSyn
        );
        const std::size_t quoted = quote.size();
        auto* icmp = quote.push_front<packet::IcmpHeader>();
        icmp->type = 1;  // destination unreachable
        auto* header = quote.push_front<packet::Ipv6Header>();
        header->payload_length = static_cast<std::uint16_t>(quoted + sizeof(*icmp));
        header->next_header = static_cast<std::uint8_t>(IpProtocol::icmpv6);
        header->source = ip("fd00::2").raw();
        header->destination = ip("fd00::1").raw();
        mesh.arrive(std::move(quote), kNear, kUs);
        EXPECT_EQ(mesh.take_log(), port == 61000 ? "S" : "K");
    }
}

}  // namespace
}  // namespace selvage::dataplane
