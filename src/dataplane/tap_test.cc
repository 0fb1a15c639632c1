// Tests of taps: what they see, and what a slow reader loses.
#include "dataplane/tap.h"
#include "dataplane/forwarder_test_support.h"

namespace selvage::dataplane {
namespace {

using packet::IpProtocol;

TEST(Tap, SeesWhatComesAndGoesInTheClear) {
    World world(true, true);
    Tap tap(world.runtime, world.forwarder.taps(), {.filter = {}});
    auto in = ip_packet(world.pool, {kNearIp, 7}, {kOurIp, 80}, IpProtocol::udp);
    const Bytes clear(in.bytes().begin(), in.bytes().end());
    auto* header = in.push_front<packet::PeerHeader>();
    header->from_peer = kNear.raw();
    header->to_peer = kUs.raw();
    header->type = static_cast<std::uint8_t>(packet::PacketType::data);
    header->payload_len = static_cast<std::uint32_t>(clear.size());
    ASSERT_TRUE(world.codec.seal(in));
    world.arrive_raw(std::move(in));
    world.send_from_nic(ip_packet(world.pool, {kOurIp, 80}, {kFarIp, 7}, IpProtocol::udp));
    const auto first = tap.take();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->direction, TapDirection::from_mesh);
    EXPECT_EQ(first->peer, kNear);
    EXPECT_EQ(first->bytes, clear);
    const auto second = tap.take();
    ASSERT_TRUE(second);
    EXPECT_EQ(second->direction, TapDirection::to_mesh);
    EXPECT_EQ(second->peer, kFar);
    EXPECT_EQ(packet::parse_ip(second->bytes)->destination, kFarIp);
    EXPECT_FALSE(tap.take());
}

TEST(Tap, CountsWhatItsReaderIsTooSlowForAndStopsAtItsNumber) {
    World world;
    Tap slow(
        world.runtime, world.forwarder.taps(),
        {.filter = {}, .snap_bytes = 20, .queue_bytes_limit = 500}
    );
    Tap few(world.runtime, world.forwarder.taps(), {.filter = {}, .packets_limit = 2});
    for (int i = 0; i < 50; ++i)
        world.send_from_nic(ip_packet(world.pool, {kOurIp, 80}, {kFarIp, 7}, IpProtocol::udp));
    EXPECT_GT(slow.lost(), 0U);
    EXPECT_EQ(slow.lost() + slow.accepted(), 50U);
    const auto first = slow.take();
    EXPECT_EQ(first->bytes.size(), 20U);
    EXPECT_GT(first->whole_bytes, 20U);
    EXPECT_TRUE(few.finished());
    EXPECT_EQ(few.accepted(), 2U);
    EXPECT_EQ(few.lost(), 0U);
}

TEST(Tap, AFlowIsMatchedInBothDirections) {
    packet::IpMeta ip;
    ip.source = kNearIp;
    ip.destination = kOurIp;
    ip.protocol = 6;
    ip.has_ports = true;
    ip.source_port = 5000;
    ip.destination_port = 22;
    packet::IpMeta back = ip;
    std::swap(back.source, back.destination);
    std::swap(back.source_port, back.destination_port);
    const std::string near = kNearIp.to_string();
    const std::string ours = kOurIp.to_string();
    for (const std::string& flow : std::vector<std::string>{
             "tcp", ":22", near, near + ":5000", "tcp," + near, near + "," + ours,
             "tcp," + ours + ":22," + near + ":5000", ":5000," + ours
         }) {
        const auto filter = parse_flow(flow);
        ASSERT_TRUE(filter) << flow;
        EXPECT_TRUE(filter->matches(kNear, ip)) << flow;
        EXPECT_TRUE(filter->matches(kNear, back)) << flow;
    }
    for (const std::string& flow : std::vector<std::string>{
             "udp", "icmp", ":23", near + ":22", "10.9.9.9", near + ":22," + ours
         }) {
        const auto filter = parse_flow(flow);
        ASSERT_TRUE(filter) << flow;
        EXPECT_FALSE(filter->matches(kNear, ip)) << flow;
        EXPECT_FALSE(filter->matches(kNear, back)) << flow;
    }
    for (const std::string wrong : {"", ",", "tcp,", "tcp,x", "sctp", ":0", ":70000", ":1,:2,:3"})
        EXPECT_FALSE(parse_flow(wrong)) << wrong;
    EXPECT_TRUE((TapFilter{.peer = kNear, .protocols = {}, .ends = {}}).matches(kNear, ip));
    EXPECT_FALSE((TapFilter{.peer = kFar, .protocols = {}, .ends = {}}).matches(kNear, ip));
}

}  // namespace
}  // namespace selvage::dataplane
