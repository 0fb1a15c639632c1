// Tests of wrapping; the vectors are in tests/vectors.
#include "packet/foreign_packet.h"

#include <gtest/gtest.h>

namespace selvage::packet {
namespace {

PacketBuf inner_packet(PacketPool& pool, std::size_t payload, std::uint32_t to) {
    PacketBuf out = pool.copy(Bytes(payload, 0x61));
    out.push_front<PeerHeader>()->to_peer = to;
    return out;
}

// The worked example of 2-control.md section 6.5.
TEST(ForeignPacket, IsWrappedAsTheWorkedExample) {
    PacketPool pool;
    const Bytes inner = from_hex("891300008a1300000800010003000000616263").value();
    const PacketBuf wrapped = wrap_foreign_packet(pool, PeerId(5002), "net1", pool.copy(inner));
    EXPECT_EQ(
        to_hex(wrapped.bytes()),
        "0e008a1300000a0004006e657431891300008a1300000800010003000000616263"
    );
}

TEST(ForeignPacket, KeepsRoomInFrontWhateverTheName) {
    PacketPool pool;
    for (const std::size_t length : {0U, 4U, 60U, 61U, 62U, 63U, 64U, 65U, 100U, 256U}) {
        const std::string name(length, 'n');
        PacketBuf wrapped = wrap_foreign_packet(pool, PeerId(9), name, inner_packet(pool, 1400, 9));
        ASSERT_TRUE(wrapped);
        EXPECT_GE(wrapped.headroom(), sizeof(PeerHeader) + 20);
        const auto parsed = parse_foreign_packet(wrapped.bytes());
        ASSERT_TRUE(parsed);
        EXPECT_EQ(parsed->network_name, name);
        EXPECT_EQ(parsed->to, PeerId(9));
        EXPECT_EQ(parsed->inner.size(), 1400 + sizeof(PeerHeader));
    }
}

TEST(ForeignPacket, LongerThanAnyNodeTakesIsNone) {
    PacketPool pool;
    const std::size_t most = kPeerPacketMax - 2 * sizeof(PeerHeader) - sizeof(ForeignHeader) - 2;
    EXPECT_TRUE(wrap_foreign_packet(pool, PeerId(9), "n1", inner_packet(pool, most, 9)));
    EXPECT_FALSE(wrap_foreign_packet(pool, PeerId(9), "n1", inner_packet(pool, most + 1, 9)));
}

}  // namespace
}  // namespace selvage::packet
