// Tests of the pipeline: who gets a packet, what is relayed, what is dropped and why.
#include "dataplane/forwarder_test_support.h"

namespace selvage::dataplane {
namespace {

using packet::IpProtocol;
using packet::PacketType;
namespace flag = packet::tcp_flag;

TEST(Forwarder, AClaimTakesItsConnectionAndNothingElse) {
    World world;
    const Claim claim = world.forwarder.claims().claim(IpProtocol::tcp, 22).value();
    world.segment(5000, 22, flag::kSyn);
    world.segment(5000, 22, flag::kAck);
    EXPECT_EQ(world.take_log(), "SS");
    world.segment(5000, 23, flag::kSyn);
    EXPECT_EQ(world.take_log(), "K") << "another port is the kernel's";
    world.segment(5001, 22, flag::kAck);
    EXPECT_EQ(world.take_log(), "K") << "a segment of no flow is the kernel's, which resets it";
    world.segment(5001, 22, flag::kSyn | flag::kAck);
    EXPECT_EQ(world.take_log(), "K") << "the answer to a connection of the host's own";
}

TEST(Forwarder, WithoutAKernelEverythingForOurAddressIsTheStacks) {
    World world(false);
    world.segment(5000, 22, flag::kSyn);
    world.segment(5001, 22, flag::kAck);
    EXPECT_EQ(world.take_log(), "SS");
    world.arrive(
        ip_packet(world.pool, {kNearIp, 1}, {IpAddress::v4(10, 0, 0, 255), 2}, IpProtocol::udp),
        kNear, kUs
    );
    EXPECT_EQ(world.take_log(), "");
    EXPECT_EQ(world.dropped(DropReason::no_receiver), 1U);
}

TEST(Forwarder, AConnectionThatTheHostOpenedFromAClaimedPortStaysTheHosts) {
    World world;
    const Claim claim = world.forwarder.claims().claim(IpProtocol::tcp, 22).value();
    world.send_from_nic(
        ip_packet(world.pool, {kOurIp, 22}, {kNearIp, 5000}, IpProtocol::tcp, flag::kSyn)
    );
    EXPECT_EQ(world.take_log(), ">2(1)");
    // Even a simultaneous open from the other side belongs to the host's connection.
    world.segment(5000, 22, flag::kSyn);
    world.segment(5000, 22, flag::kAck);
    EXPECT_EQ(world.take_log(), "KK");
}

TEST(Forwarder, AFlowEndsWithItsConnection) {
    World world;
    const Claim claim = world.forwarder.claims().claim(IpProtocol::tcp, 22).value();
    world.segment(5000, 22, flag::kSyn);
    EXPECT_EQ(world.forwarder.flows().size(), 1U);
    world.stack_has_connection = false;
    world.runtime.run_for(3s);
    world.forwarder.sweep();
    EXPECT_EQ(world.forwarder.flows().size(), 0U);
    (void)world.take_log();
    world.segment(5000, 22, flag::kAck);
    EXPECT_EQ(world.take_log(), "K");
}

TEST(Forwarder, OnlyTheCallerMayTouchItsConnection) {
    World world;
    const Claim claim = world.forwarder.claims().claim(IpProtocol::tcp, 22).value();
    world.segment(5000, 22, flag::kSyn);
    // far forges near's address.
    world.segment(5000, 22, flag::kRst, kFar);
    EXPECT_EQ(world.take_log(), "S");
    EXPECT_EQ(world.dropped(DropReason::bad_source), 1U);
    EXPECT_EQ(world.forwarder.peer_of_flow(6, {kOurIp, 22}, {kNearIp, 5000}), kNear);
}

TEST(Forwarder, UdpToAClaimedPortIsTheStacksExceptAnswersToTheHost) {
    World world;
    const Claim claim = world.forwarder.claims().claim(IpProtocol::udp, 53).value();
    const auto datagram = [&world](std::uint16_t from_port) {
        world.arrive(
            ip_packet(world.pool, {kNearIp, from_port}, {kOurIp, 53}, IpProtocol::udp), kNear, kUs
        );
        return world.take_log();
    };
    EXPECT_EQ(datagram(7000), "S");
    world.send_from_nic(ip_packet(world.pool, {kOurIp, 53}, {kNearIp, 7001}, IpProtocol::udp));
    (void)world.take_log();
    EXPECT_EQ(datagram(7001), "K");
    EXPECT_EQ(datagram(7000), "S");
}

TEST(Forwarder, AnswersToOurStacksOwnCallsComeBackToIt) {
    World world;
    world.send_from_stack(
        ip_packet(world.pool, {kOurIp, 61000}, {kNearIp, 80}, IpProtocol::tcp, flag::kSyn)
    );
    EXPECT_EQ(world.take_log(), ">2(1)");
    world.segment(80, 61000, flag::kSyn | flag::kAck);
    EXPECT_EQ(world.take_log(), "S");
    EXPECT_TRUE(world.forwarder.kernel_uses(IpProtocol::tcp, 61001) == false);
    world.send_from_nic(
        ip_packet(world.pool, {kOurIp, 61001}, {kNearIp, 80}, IpProtocol::tcp, flag::kSyn)
    );
    EXPECT_TRUE(world.forwarder.kernel_uses(IpProtocol::tcp, 61001));
}

TEST(Forwarder, OurOwnAddressIsReachedWithoutLeaving) {
    World world;
    world.send_from_stack(
        ip_packet(world.pool, {kOurIp, 61000}, {kOurIp, 22}, IpProtocol::tcp, flag::kSyn)
    );
    EXPECT_EQ(world.take_log(), "") << "in a later turn";
    world.runtime.run_ready();
    EXPECT_EQ(world.take_log(), "S");
}

TEST(Forwarder, LocalPacketsGoToTheOwnerOfTheirDestination) {
    World world;
    world.send_from_nic(ip_packet(world.pool, {kOurIp, 1}, {kFarIp, 2}, IpProtocol::udp));
    EXPECT_EQ(world.take_log(), ">3(1)");
    world.send_from_nic(
        ip_packet(world.pool, {kOurIp, 1}, {IpAddress::v4(10, 0, 0, 9), 2}, IpProtocol::udp)
    );
    EXPECT_EQ(world.dropped(DropReason::no_route), 1U);
    world.send_from_nic(
        ip_packet(world.pool, {IpAddress::v4(192, 168, 1, 1), 1}, {kFarIp, 2}, IpProtocol::udp)
    );
    EXPECT_EQ(world.dropped(DropReason::unannounced_source), 1U);
    EXPECT_EQ(world.take_log(), "");
}

TEST(Forwarder, ABroadcastIsOneCopyForEveryNode) {
    World world;
    world.send_from_nic(
        ip_packet(world.pool, {kOurIp, 1}, {IpAddress::v4(10, 0, 0, 255), 2}, IpProtocol::udp)
    );
    EXPECT_EQ(world.take_log(), ">2(1)>3(1)");
    world.send_from_nic(
        ip_packet(world.pool, {kOurIp, 1}, {IpAddress::v4(224, 0, 0, 251), 2}, IpProtocol::udp)
    );
    EXPECT_EQ(world.take_log(), ">2(1)>3(1)");
}

TEST(Forwarder, RelaysUnopenedAndCountsHops) {
    World world;
    const auto relay = [&world](PacketType type, std::uint8_t hops, std::uint8_t flags) {
        world.arrive(world.pool.copy(Bytes(28, 0x45)), kFar, kNear, type, hops, flags);
        return world.take_log();
    };
    EXPECT_EQ(relay(PacketType::data, 1, 0), ">2(2)");
    EXPECT_EQ(relay(PacketType::data, 7, 0), ">2(8)");
    EXPECT_EQ(relay(PacketType::data, 8, 0), "");
    EXPECT_EQ(world.dropped(DropReason::hop_limit), 1U);
    // Types and flags that nobody knows pass.
    EXPECT_EQ(relay(static_cast<PacketType>(99), 1, 0x88), ">2(2)");
    world.arrive(world.pool.copy(Bytes(28, 0x45)), kNear, PeerId(77));
    EXPECT_EQ(world.dropped(DropReason::no_next_hop), 1U);
}

TEST(Forwarder, ARelayThatCarriesNoDataOfOthersStillPassesTheirCalls) {
    World world(true, false, {.relays_data = false});
    const auto relay = [&world](PacketType type, Bytes payload = Bytes(28, 0x45)) {
        world.arrive(world.pool.copy(payload), kFar, kNear, type);
        return world.take_log();
    };
    for (const auto type :
         {PacketType::data, PacketType::kcp_source, PacketType::kcp_destination,
          PacketType::quic_source, PacketType::quic_destination, PacketType::data_kcp_modified,
          PacketType::data_quic_modified}) {
        EXPECT_EQ(relay(type), "") << int{static_cast<std::uint8_t>(type)};
    }
    EXPECT_EQ(world.dropped(DropReason::relay_disabled), 7U);
    EXPECT_EQ(relay(PacketType::rpc_request), ">2(2)");
    EXPECT_EQ(relay(PacketType::relay_handshake), ">2(2)");
    // What a foreign network's packet carries decides about it.
    const auto foreign = [](PacketType inner) {
        Bytes out = from_hex("0b000a0000000a0001006e").value();  // to peer 10 of network "n"
        Bytes header(sizeof(packet::PeerHeader), 0);
        header[8] = static_cast<std::uint8_t>(inner);
        out.insert(out.end(), header.begin(), header.end());
        return out;
    };
    EXPECT_EQ(relay(PacketType::foreign_network, foreign(PacketType::rpc_request)), ">2(2)");
    EXPECT_EQ(relay(PacketType::foreign_network, foreign(PacketType::data)), "");
    EXPECT_EQ(world.dropped(DropReason::relay_disabled), 8U);
}

TEST(Forwarder, ARelayClearsLatencyFirstAfterTwoHops) {
    World world;
    for (const std::uint8_t hops : {std::uint8_t{2}, std::uint8_t{3}}) {
        world.arrive(
            world.pool.copy(Bytes(28, 0x45)), kFar, kNear, PacketType::data, hops,
            packet::flag::kLatencyFirst
        );
        const Bytes sent = from_hex(world.to_near->sent.back()).value();
        EXPECT_EQ(sent[9], hops == 2 ? packet::flag::kLatencyFirst : 0) << int{hops};
    }
}

TEST(Forwarder, RpcReachesItsEndpointSealedOrClear) {
    World world(true, true);
    world.arrive(world.pool.copy(as_view("hello")), kFar, kUs, PacketType::rpc_request, 2);
    EXPECT_EQ(world.take_log(), "R3:hello");
    world.forwarder.send_rpc(kUs, PacketType::rpc_request, world.pool.copy(as_view("me")));
    world.runtime.run_ready();
    EXPECT_EQ(world.take_log(), "R1:me");
    world.forwarder.send_rpc(kFar, PacketType::rpc_request, world.pool.copy(as_view("you")));
    const Bytes sent = from_hex(world.to_near->sent.back()).value();
    EXPECT_EQ(sent[9], packet::flag::kEncrypted);
    EXPECT_EQ(sent[10], 2) << "stock nodes count their own receive loop as a hop";
    EXPECT_EQ(sent.size(), 16U + 3 + 28);
    EXPECT_EQ(sent[12], 3) << "the header keeps the plain length";
}

TEST(Forwarder, ClearDataIsRefusedWhereTheNetworkEncrypts) {
    World world(true, true);
    world.segment(5000, 22, flag::kSyn);
    EXPECT_EQ(world.take_log(), "");
    EXPECT_EQ(world.dropped(DropReason::not_encrypted), 1U);

    auto sealed = ip_packet(world.pool, {kNearIp, 1}, {kOurIp, 22}, IpProtocol::tcp, flag::kSyn);
    const auto size = static_cast<std::uint32_t>(sealed.size());
    auto* header = sealed.push_front<packet::PeerHeader>();
    header->from_peer = kNear.raw();
    header->to_peer = kUs.raw();
    header->type = 1;
    header->payload_len = size;
    ASSERT_TRUE(world.codec.seal(sealed));
    auto changed = sealed.clone();
    world.arrive_raw(std::move(sealed));
    EXPECT_EQ(world.take_log(), "K");
    changed.data()[20] ^= 1;
    world.arrive_raw(std::move(changed));
    EXPECT_EQ(world.dropped(DropReason::bad_seal), 1U);
}

TEST(Forwarder, EncryptedPacketsAreRefusedWithoutEncryption) {
    World world;
    world.arrive(
        world.pool.copy(Bytes(60, 0)), kNear, kUs, PacketType::data, 1, packet::flag::kEncrypted
    );
    EXPECT_EQ(world.dropped(DropReason::bad_seal), 1U);
}

TEST(Forwarder, MalformedPacketsAreCountedByTheirKind) {
    World world;
    world.arrive_raw(world.pool.copy(Bytes(15, 0)));
    EXPECT_EQ(world.dropped(DropReason::malformed_header), 1U);
    world.arrive(world.pool.copy(Bytes(9, 0)), kNear, kUs, PacketType::foreign_network);
    world.arrive(world.pool.copy(Bytes(9, 0)), kNear, kFar, PacketType::foreign_network);
    EXPECT_EQ(world.dropped(DropReason::malformed_foreign), 2U) << "also in transit";
    world.arrive(world.pool.copy(Bytes(40, 0)), kNear, kUs);
    world.arrive(world.pool.copy(Bytes(3, 0x45)), kNear, kUs);
    EXPECT_EQ(world.dropped(DropReason::not_ip), 2U);
    world.arrive(world.pool.copy(Bytes(40, 0)), kNear, kFar);
    world.arrive(world.pool.copy({}), kNear, kFar, PacketType::kcp_source);
    EXPECT_EQ(world.dropped(DropReason::malformed_inner), 2U) << "would stop the node behind us";
    world.arrive(world.pool.copy({}), kNear, kUs, PacketType::data_kcp_modified);
    EXPECT_EQ(world.dropped(DropReason::local_only_type), 1U);
    world.arrive(world.pool.copy({}), kNear, kUs, static_cast<PacketType>(200));
    EXPECT_EQ(world.dropped(DropReason::unknown_type), 1U);
    world.arrive(
        world.pool.copy(Bytes(20, 0xee)), kNear, kUs, PacketType::data, 1, packet::flag::kCompressed
    );
    EXPECT_EQ(world.dropped(DropReason::bad_compression), 1U);
    EXPECT_EQ(world.take_log(), "");
}

TEST(Forwarder, IcmpErrorsFollowTheFlowThatTheyQuote) {
    World world;
    world.send_from_stack(ip_packet(world.pool, {kOurIp, 61000}, {kNearIp, 53}, IpProtocol::udp));
    (void)world.take_log();
    const auto unreachable = [&world](std::uint16_t our_port) {
        world.unreachable({kOurIp, our_port}, {kNearIp, 53});
        return world.take_log();
    };
    EXPECT_EQ(unreachable(61000), "S");
    EXPECT_EQ(unreachable(4000), "K");
}

TEST(Forwarder, IcmpErrorsAboutAClaimedUdpPortAreTheStacks) {
    World world;
    const Claim claim = world.forwarder.claims().claim(IpProtocol::udp, 53).value();
    world.send_from_nic(ip_packet(world.pool, {kOurIp, 53}, {kNearIp, 7001}, IpProtocol::udp));
    (void)world.take_log();
    world.unreachable({kOurIp, 53}, {kNearIp, 7000});
    EXPECT_EQ(world.take_log(), "S") << "an answer of the service found nobody";
    world.unreachable({kOurIp, 53}, {kNearIp, 7001});
    EXPECT_EQ(world.take_log(), "K") << "the host's own question found nobody";
    world.unreachable({kFarIp, 53}, {kNearIp, 7000});
    EXPECT_EQ(world.take_log(), "K") << "not our packet at all";
}

TEST(Forwarder, OnlyTheOtherEndOfAStackFlowReportsErrorsOfIt) {
    World world;
    world.send_from_stack(ip_packet(world.pool, {kOurIp, 61000}, {kFarIp, 80}, IpProtocol::tcp, 2));
    const auto from_far = [&world](std::uint8_t flags) {
        world.arrive(
            ip_packet(world.pool, {kFarIp, 80}, {kOurIp, 61000}, IpProtocol::tcp, flags), kFar, kUs
        );
    };
    from_far(flag::kSyn | flag::kAck);
    (void)world.take_log();
    world.unreachable({kOurIp, 61000}, {kFarIp, 80}, IpProtocol::tcp);
    EXPECT_EQ(world.take_log(), "");
    EXPECT_EQ(world.dropped(DropReason::flow_peer_mismatch), 1U);
}

TEST(Forwarder, FragmentsFollowTheFirstOneOfTheirPacket) {
    World world;
    const Claim claim = world.forwarder.claims().claim(IpProtocol::udp, 53).value();
    world.fragment({kNearIp, 7000}, {kOurIp, 53}, 1, 0);
    world.fragment({kNearIp, 7000}, {kOurIp, 53}, 1, 1);
    EXPECT_EQ(world.take_log(), "SS");
    world.fragment({kNearIp, 7000}, {kOurIp, 54}, 2, 0);
    world.fragment({kNearIp, 7000}, {kOurIp, 54}, 2, 1);
    world.fragment({kNearIp, 7000}, {kOurIp, 53}, 1, 2);
    EXPECT_EQ(world.take_log(), "KKS");
}

TEST(Forwarder, AFragmentThatOvertookTheFirstOneWaitsForIt) {
    World world;
    const Claim claim = world.forwarder.claims().claim(IpProtocol::udp, 53).value();
    world.fragment({kNearIp, 7000}, {kOurIp, 53}, 1, 2);
    world.fragment({kNearIp, 7000}, {kOurIp, 53}, 1, 1);
    world.fragment({kNearIp, 7000}, {kOurIp, 54}, 2, 1);
    EXPECT_EQ(world.take_log(), "");
    world.fragment({kNearIp, 7000}, {kOurIp, 53}, 1, 0);
    EXPECT_EQ(world.take_log(), "SSS");
    world.runtime.run_for(4s);
    world.forwarder.sweep();
    EXPECT_EQ(world.take_log(), "");
    EXPECT_EQ(world.dropped(DropReason::first_fragment_missing), 1U);
}

TEST(Forwarder, WithoutClaimsFragmentsDoNotWait) {
    World world;
    world.fragment({kNearIp, 7000}, {kOurIp, 53}, 1, 1);
    EXPECT_EQ(world.take_log(), "K");
}

TEST(Forwarder, AFloodOfFragmentsTakesItsOwnPlaceOnly) {
    World world;
    const Claim claim = world.forwarder.claims().claim(IpProtocol::udp, 53).value();
    world.fragment({kFarIp, 7000}, {kOurIp, 53}, 1, 1, kFar);
    for (std::uint16_t id = 1; id <= 100; ++id)
        world.fragment({kNearIp, 7000}, {kOurIp, 53}, id, 1);
    EXPECT_EQ(
        world.dropped(DropReason::first_fragment_missing), 100 - FragmentSides::kWaitingPerPeer
    );
    world.fragment({kFarIp, 7000}, {kOurIp, 53}, 1, 0, kFar);
    EXPECT_EQ(world.take_log(), "SS");
}

TEST(Forwarder, ALongAnswerToTheHostDoesNotTurnIntoACall) {
    World world;
    const Claim claim = world.forwarder.claims().claim(IpProtocol::udp, 53).value();
    world.send_from_nic(ip_packet(world.pool, {kOurIp, 53}, {kNearIp, 7001}, IpProtocol::udp));
    (void)world.take_log();
    for (int i = 0; i < 3; ++i) {
        world.runtime.run_for(FlowTable::kIdleLimit / 2 + 1s);
        world.forwarder.sweep();
        world.arrive(
            ip_packet(world.pool, {kNearIp, 7001}, {kOurIp, 53}, IpProtocol::udp), kNear, kUs
        );
        EXPECT_EQ(world.take_log(), "K") << i;
    }
}

TEST(Forwarder, AnswersOfTheHostCountForTheNodeThatAsked) {
    // Near has a server of the host in our stack's own range answer to every port that it has.
    World world(true, false, {.flow_limits = {.total = 100, .per_peer = 10}});
    const Claim claim = world.forwarder.claims().claim(IpProtocol::tcp, 22).value();
    for (std::uint16_t port = 1; port <= 200; ++port)
        world.send_from_nic(ip_packet(world.pool, {kOurIp, 61500}, {kNearIp, port}, IpProtocol::udp)
        );
    EXPECT_EQ(world.forwarder.flows().size(), 10U);
    (void)world.take_log();
    world.arrive(
        ip_packet(world.pool, {kFarIp, 1}, {kOurIp, 22}, IpProtocol::tcp, flag::kSyn), kFar, kUs
    );
    EXPECT_EQ(world.take_log(), "S") << "others are served";
}

// ---- ACL ---------------------------------------------------------------------------------------

AclRules drop_all(AclChainType type) {
    AclChain chain;
    chain.type = type;
    chain.enabled = true;
    chain.default_action = AclAction::drop;
    AclRules out;
    out.chains.push_back(std::move(chain));
    return out;
}

TEST(Forwarder, InboundPacketsPassTheAclBeforeAnyClaimOrFlowSeesThem) {
    World world;
    const Claim claim = world.forwarder.claims().claim(IpProtocol::tcp, 22).value();
    world.forwarder.apply_acl(drop_all(AclChainType::inbound));
    world.segment(5000, 22, flag::kSyn);
    world.segment(5000, 23, flag::kSyn);
    EXPECT_EQ(world.take_log(), "");
    EXPECT_EQ(world.dropped(DropReason::acl_denied), 2U);
    EXPECT_EQ(world.forwarder.flows().size(), 0U);
    world.forwarder.apply_acl({});
    world.segment(5000, 22, flag::kSyn);
    EXPECT_EQ(world.take_log(), "S");
}

TEST(Forwarder, NewRulesEndAFlowThatTheyNoLongerAllow) {
    World world;
    const Claim claim = world.forwarder.claims().claim(IpProtocol::tcp, 22).value();
    world.segment(5000, 22, flag::kSyn);
    EXPECT_EQ(world.take_log(), "S");
    world.forwarder.apply_acl(drop_all(AclChainType::inbound));
    world.segment(5000, 22, flag::kAck);
    EXPECT_EQ(world.take_log(), "");
}

TEST(Forwarder, OutboundPacketsOfHostAndStackPassTheAclBeforeTheyAreSealed) {
    World world;
    world.forwarder.apply_acl(drop_all(AclChainType::outbound));
    world.send_from_nic(ip_packet(world.pool, {kOurIp, 1}, {kNearIp, 2}, IpProtocol::udp));
    world.send_from_stack(ip_packet(world.pool, {kOurIp, 1}, {kNearIp, 2}, IpProtocol::udp));
    EXPECT_EQ(world.take_log(), "");
    EXPECT_EQ(world.dropped(DropReason::acl_denied), 2U);
}

TEST(Forwarder, ForwardRulesAreForWhatGoesToOtherAddressesAndNotForWhatIsRelayed) {
    World world;
    world.forwarder.apply_acl(drop_all(AclChainType::forward));
    const auto broadcast = IpAddress::v4(10, 0, 0, 255);
    world.arrive(ip_packet(world.pool, {kNearIp, 1}, {broadcast, 2}, IpProtocol::udp), kNear, kUs);
    EXPECT_EQ(world.take_log(), "");
    EXPECT_EQ(world.dropped(DropReason::acl_denied), 1U);
    world.segment(1, 2, flag::kSyn);
    EXPECT_EQ(world.take_log(), "K");
    world.arrive(ip_packet(world.pool, {kFarIp, 1}, {kNearIp, 2}, IpProtocol::udp), kFar, kNear);
    EXPECT_EQ(world.take_log(), ">2(2)") << "a relay does not open it";
}

TEST(Forwarder, AnswersToOurCallsPassADenyingInboundChain) {
    World world;
    world.forwarder.apply_acl(drop_all(AclChainType::inbound));
    world.send_from_nic(ip_packet(world.pool, {kOurIp, 7000}, {kNearIp, 80}, IpProtocol::tcp));
    (void)world.take_log();
    world.segment(80, 7000, flag::kSyn | flag::kAck);
    EXPECT_EQ(world.take_log(), "K");
    world.segment(81, 7000, flag::kSyn | flag::kAck);
    EXPECT_EQ(world.take_log(), "");
}

TEST(Forwarder, KeepsTheHeadersOfWhatItDropped) {
    World world;
    world.arrive(
        ip_packet(world.pool, {kFarIp, 7}, {kOurIp, 80}, IpProtocol::tcp, flag::kSyn), kNear, kUs
    );
    world.send_from_nic(
        ip_packet(world.pool, {kOurIp, 5}, {IpAddress::v4(10, 0, 0, 200), 6}, IpProtocol::udp)
    );
    world.arrive(
        ip_packet(world.pool, {kFarIp, 7}, {kOurIp, 80}, IpProtocol::tcp), kFar, kNear,
        PacketType::data, 200
    );
    const auto samples = world.forwarder.drop_log().samples();
    ASSERT_EQ(samples.size(), 3U);
    EXPECT_EQ(samples[0].reason, DropReason::hop_limit) << "in the order of the table";
    EXPECT_FALSE(samples[0].ip) << "what is for others is not read";
    EXPECT_EQ(samples[0].arrival.header->to_peer, kNear.raw());
    EXPECT_EQ(samples[1].reason, DropReason::bad_source);
    EXPECT_EQ(samples[1].arrival.header->from_peer, kNear.raw());
    EXPECT_EQ(samples[1].ip->source, kFarIp);
    EXPECT_EQ(samples[1].ip->destination_port, 80);
    EXPECT_EQ(samples[2].reason, DropReason::no_route);
    EXPECT_FALSE(samples[2].arrival.header);
    EXPECT_EQ(samples[2].ip->destination, IpAddress::v4(10, 0, 0, 200));
}

TEST(DropLog, AFloodOfOneReasonHidesNoOther) {
    DropLog log;
    log.add({.reason = DropReason::bad_seal, .at = TimePoint{}, .arrival = {}, .ip = {}});
    for (std::uint32_t i = 0; i < 1000; ++i) {
        log.add(
            {.reason = DropReason::no_route, .at = TimePoint{}, .arrival = {.bytes = i}, .ip = {}}
        );
    }
    const auto samples = log.samples();
    ASSERT_EQ(samples.size(), 1 + DropLog::kSamples);
    EXPECT_EQ(samples.front().reason, DropReason::bad_seal);
    EXPECT_EQ(samples[1].arrival.bytes, 1000 - DropLog::kSamples) << "the oldest first";
    EXPECT_EQ(samples.back().arrival.bytes, 999U);
}

}  // namespace
}  // namespace selvage::dataplane
