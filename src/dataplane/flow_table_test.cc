// Tests of claims, of tracked flows and of what relays refuse.
#include "dataplane/flow_table.h"
#include "dataplane/claim_table.h"
#include "dataplane/relay_checks.h"
#include "packet/foreign_packet.h"
#include "packet/ip_headers.h"

namespace selvage::dataplane {
namespace {

using packet::IpProtocol;

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr TimePoint kNow{1h};

FlowKey key(std::uint16_t local_port, std::uint16_t remote_port, std::uint8_t protocol = kTcp) {
    return {
        protocol,
        {IpAddress::v4(10, 0, 0, 1), local_port},
        {IpAddress::v4(10, 0, 0, 2), remote_port}
    };
}

struct TestStack final : StackPort {
    void deliver(packet::PacketBatch&&) override {}
    bool has_tcp(const Endpoint&, const Endpoint&) const override { return live; }
    bool live = true;
};

TEST(ClaimTable, APortHasOneOwnerUntilTheClaimGoes) {
    ClaimTable claims;
    {
        const Claim claim = claims.claim(IpProtocol::tcp, 22).value();
        EXPECT_TRUE(claims.has(kTcp, 22));
        EXPECT_FALSE(claims.has(kUdp, 22));
        EXPECT_TRUE(claims.claim(IpProtocol::tcp, 22).error().is(Errc::in_use));
        const Claim other = claims.claim(IpProtocol::udp, 22).value();
        EXPECT_EQ(claims.size(), 2U);
    }
    EXPECT_EQ(claims.size(), 0U);
}

TEST(ClaimTable, AMovedClaimIsGivenBackOnce) {
    ClaimTable claims;
    Claim first = claims.claim(IpProtocol::tcp, 1080).value();
    Claim second = std::move(first);
    first = Claim();
    EXPECT_TRUE(claims.has(kTcp, 1080));
    second = claims.claim(IpProtocol::tcp, 1081).value();
    EXPECT_FALSE(claims.has(kTcp, 1080));
    EXPECT_TRUE(claims.has(kTcp, 1081));
}

TEST(FlowTable, IsBoundedInTotalAndPerPeer) {
    FlowTable flows({}, {.total = 5, .per_peer = 3});
    for (std::uint16_t port = 1; port <= 3; ++port) {
        EXPECT_TRUE(flows.insert(key(80, port), FlowOwner::stack, PeerId(7), kNow));
    }
    EXPECT_FALSE(flows.insert(key(80, 4), FlowOwner::stack, PeerId(7), kNow));
    EXPECT_TRUE(flows.insert(key(80, 3), FlowOwner::stack, PeerId(7), kNow)) << "already there";
    EXPECT_TRUE(flows.insert(key(80, 5), FlowOwner::stack, PeerId(8), kNow));
    EXPECT_TRUE(flows.insert(key(80, 6), FlowOwner::kernel, PeerId{}, kNow));
    EXPECT_FALSE(flows.insert(key(80, 7), FlowOwner::kernel, PeerId{}, kNow));
    EXPECT_EQ(flows.size_of(PeerId(7)), 3U);
    flows.erase(key(80, 1));
    EXPECT_EQ(flows.size_of(PeerId(7)), 2U);
}

TEST(FlowTable, AStackFlowLivesAsLongAsItsConnection) {
    FlowTable flows({}, {});
    TestStack stack;
    flows.insert(key(80, 1), FlowOwner::stack, PeerId(7), kNow);
    flows.sweep(stack, kNow + 24h);
    EXPECT_NE(flows.find(key(80, 1)), nullptr);
    stack.live = false;
    flows.find(key(80, 1))->last_seen = kNow + 24h;
    flows.sweep(stack, kNow + 24h + 1s);
    EXPECT_NE(flows.find(key(80, 1)), nullptr) << "the SYN may not have reached the stack yet";
    flows.sweep(stack, kNow + 24h + 3s);
    EXPECT_EQ(flows.find(key(80, 1)), nullptr);
    EXPECT_EQ(flows.size_of(PeerId(7)), 0U);
}

TEST(FlowTable, OtherFlowsGoWhenTheyAreIdle) {
    FlowTable flows({}, {});
    const TestStack stack;
    flows.insert(key(53, 1, kUdp), FlowOwner::stack, PeerId(7), kNow);
    flows.insert(key(22, 1), FlowOwner::kernel, PeerId{}, kNow);
    flows.sweep(stack, kNow + 179s);
    EXPECT_EQ(flows.size(), 2U);
    flows.sweep(stack, kNow + 181s);
    EXPECT_EQ(flows.size(), 0U);
}

// 1-link.md section 1.7 and the worked example of 2-control.md section 6.5.
TEST(ForeignPacket, IsSoundOnlyWhenEveryLengthIs) {
    const Bytes sound = from_hex(
                            "0e008a1300000a0004006e65743189130000"
                            "8a1300000800010003000000616263"
    )
                            .value();
    EXPECT_TRUE(packet::parse_foreign_packet(sound).has_value());
    EXPECT_FALSE(packet::parse_foreign_packet(ByteView(sound).first(9)).has_value());
    EXPECT_FALSE(packet::parse_foreign_packet(ByteView(sound).first(29)).has_value())
        << "half an inner header";
    const auto changed = [&sound](std::size_t at, std::uint8_t value) {
        Bytes bytes = sound;
        bytes[at] = value;
        return packet::parse_foreign_packet(bytes).has_value();
    };
    EXPECT_FALSE(changed(0, 0xff)) << "header_len beyond the payload";
    EXPECT_FALSE(changed(0, 0x0d)) << "header_len in the name";
    EXPECT_FALSE(changed(6, 0x0b)) << "name offset";
    EXPECT_FALSE(changed(8, 0xff)) << "name length";
    EXPECT_FALSE(changed(10, 0xff)) << "name not UTF-8";
}

packet::PacketBuf peer_packet(packet::PacketPool& pool, std::string_view hex) {
    return pool.copy(from_hex(hex).value());
}

TEST(Relay, DoesNotPassOnWhatStopsStockNodes) {
    packet::PacketPool pool;
    const std::string header =
        "01000000"
        "02000000";
    const std::string zeros28(56, '0');
    EXPECT_TRUE(would_harm_stock_node(peer_packet(pool, header + "0b00010000000000")));
    EXPECT_TRUE(would_harm_stock_node(peer_packet(
        pool, header + "0b00010008000000"
                       "0000000000000000"
    )));
    EXPECT_FALSE(would_harm_stock_node(peer_packet(pool, header + "0b0001001c000000" + zeros28)));
    EXPECT_TRUE(would_harm_stock_node(peer_packet(pool, header + "010001001c000000" + zeros28)));
    // Encrypted: we cannot know, and the destination drops it if it is nonsense.
    EXPECT_FALSE(would_harm_stock_node(peer_packet(pool, header + "010101001c000000" + zeros28)));
    // Types that we do not know pass.
    EXPECT_FALSE(would_harm_stock_node(peer_packet(pool, header + "6300010000000000")));
}

TEST(QuotedFlow, ReadsWhatAnIcmpErrorQuotes) {
    // Port unreachable from 10.0.0.2 about our datagram 10.0.0.1:5000 -> 10.0.0.2:53.
    const std::string quote =
        "4500001c00000000401100000a0000010a000002"
        "1388003500080000";
    const Bytes bytes = from_hex(
                            "45000038000000004001000"
                            "00a0000020a000001"
                            "0303000000000000" +
                            quote
    )
                            .value();
    const auto ip = packet::parse_ip(bytes).value();
    const auto flow = quoted_flow(ip, bytes);
    ASSERT_TRUE(flow);
    EXPECT_EQ(
        *flow, (FlowKey{kUdp, {IpAddress::v4(10, 0, 0, 1), 5000}, {IpAddress::v4(10, 0, 0, 2), 53}})
    );
    Bytes echo = bytes;
    echo[20] = 8;
    EXPECT_FALSE(quoted_flow(ip, echo));
    Bytes later = bytes;
    later[28 + 7] = 1;  // the offset of the quoted packet
    EXPECT_FALSE(quoted_flow(ip, later)) << "data, not ports";
    const auto cut = packet::parse_ip(bytes).value();
    EXPECT_FALSE(quoted_flow(cut, ByteView(bytes).first(40)));
}

}  // namespace
}  // namespace selvage::dataplane
