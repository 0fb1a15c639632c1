// What comes out of the Cutter must be what the sender would have sent without super-packets.
#include "packet/cutter.h"

#include "packet/test_packets.h"

namespace selvage::packet {
namespace {

std::vector<Bytes> cut(Bytes packet, const Offload& offload) {
    PacketPool pool;
    Cutter cutter;
    std::vector<Bytes> out;
    if (!cutter.begin(packet, offload)) return out;
    while (!cutter.done()) {
        const PacketBuf piece = cutter.next(pool);
        EXPECT_EQ(piece.headroom(), kHeadroom);
        EXPECT_GE(piece.tailroom(), kTailroom);
        out.emplace_back(piece.bytes().begin(), piece.bytes().end());
    }
    return out;
}

// `whole` as a super-packet of `segment` bytes each, cut again.
std::vector<Bytes> cut_super(const TestPacket& whole, SuperKind kind, std::size_t segment) {
    Offload offload{.kind = kind, .segment_bytes = static_cast<std::uint16_t>(segment)};
    const Bytes packet = whole.build_open(offload);
    return cut(packet, offload);
}

// The packets that `whole` stands for.
std::vector<Bytes> expected(const TestPacket& whole, std::size_t segment) {
    std::vector<Bytes> out;
    const Bytes& all = whole.payload;
    for (std::size_t at = 0; at < all.size(); at += segment) {
        TestPacket piece = whole;
        const bool last = at + segment >= all.size();
        const std::size_t end = std::min(all.size(), at + segment);
        const auto number = static_cast<std::uint16_t>(out.size());
        piece.payload.assign(
            all.begin() + static_cast<std::ptrdiff_t>(at),
            all.begin() + static_cast<std::ptrdiff_t>(end)
        );
        piece.id = static_cast<std::uint16_t>(whole.id + number);
        piece.sequence = static_cast<std::uint32_t>(whole.sequence + at);
        if (number > 0) piece.flags &= static_cast<std::uint8_t>(~tcp_flag::kCwr);
        if (!last) piece.flags &= static_cast<std::uint8_t>(~(tcp_flag::kFin | tcp_flag::kPsh));
        out.push_back(piece.build());
    }
    return out;
}

const Bytes kTimestamps = {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8};

TEST(Cutter, CutsTcpOverBothFamilies) {
    for (const bool v6 : {false, true}) {
        const TestPacket whole{
            .v6 = v6, .tcp_options = kTimestamps, .payload = test_payload(10 * 1308)
        };
        const auto pieces = cut_super(whole, v6 ? SuperKind::tcp6 : SuperKind::tcp4, 1308);
        EXPECT_EQ(pieces.size(), 10U);
        EXPECT_EQ(pieces, expected(whole, 1308));
    }
}

TEST(Cutter, TheLastPacketMayBeShorterAndOdd) {
    const TestPacket whole{.payload = test_payload(3 * 999 + 1)};
    const auto pieces = cut_super(whole, SuperKind::tcp4, 999);
    EXPECT_EQ(pieces, expected(whole, 999));
    EXPECT_EQ(pieces.back().size(), 41U);
}

TEST(Cutter, FinAndPshAreOfTheLastPacketCwrOfTheFirst) {
    const TestPacket whole{
        .flags = tcp_flag::kAck | tcp_flag::kFin | tcp_flag::kPsh | tcp_flag::kCwr | tcp_flag::kEce,
        .payload = test_payload(3000)
    };
    const auto pieces = cut_super(whole, SuperKind::tcp4, 1000);
    EXPECT_EQ(pieces, expected(whole, 1000));
    ASSERT_EQ(pieces.size(), 3U);
    constexpr std::size_t kFlags = 20 + 13;
    EXPECT_EQ(pieces[0][kFlags], tcp_flag::kAck | tcp_flag::kEce | tcp_flag::kCwr);
    EXPECT_EQ(pieces[1][kFlags], tcp_flag::kAck | tcp_flag::kEce);
    EXPECT_EQ(pieces[2][kFlags], tcp_flag::kAck | tcp_flag::kEce | tcp_flag::kFin | tcp_flag::kPsh);
}

TEST(Cutter, SequenceNumbersAndIdsWrapAround) {
    const TestPacket whole{.id = 0xffff, .sequence = 0xfffffff0, .payload = test_payload(4000)};
    EXPECT_EQ(cut_super(whole, SuperKind::tcp4, 1000), expected(whole, 1000));
}

TEST(Cutter, IpOptionsAndTheCongestionBitsAreEverybodys) {
    const TestPacket whole{
        .traffic_class = 0x29,
        .fragment = kIpv4DontFragment,
        .ip_options = {7, 4, 0, 0},
        .payload = test_payload(2500)
    };
    EXPECT_EQ(cut_super(whole, SuperKind::tcp4, 1200), expected(whole, 1200));
}

TEST(Cutter, CutsUdpOverBothFamilies) {
    for (const bool v6 : {false, true}) {
        const TestPacket whole{.v6 = v6, .udp = true, .payload = test_payload(5 * 1200 + 17)};
        EXPECT_EQ(cut_super(whole, SuperKind::udp, 1200), expected(whole, 1200));
    }
}

TEST(Cutter, ASuperPacketOfOneIsOrdinary) {
    const TestPacket whole{.flags = tcp_flag::kAck | tcp_flag::kPsh, .payload = test_payload(500)};
    EXPECT_EQ(cut_super(whole, SuperKind::tcp4, 1000), std::vector<Bytes>{whole.build()});
}

TEST(Cutter, AnOrdinaryPacketGetsTheChecksumThatTheKernelLeftOpen) {
    for (const bool udp : {false, true}) {
        for (const bool v6 : {false, true}) {
            const TestPacket whole{.v6 = v6, .udp = udp, .payload = test_payload(333)};
            Offload offload;
            const Bytes open = whole.build_open(offload);
            EXPECT_EQ(cut(open, offload), std::vector<Bytes>{whole.build()});
            EXPECT_EQ(cut(whole.build(), {}), std::vector<Bytes>{whole.build()});
        }
    }
}

TEST(Cutter, WaitsForBlocks) {
    PacketPool pool(1);
    Offload offload{.kind = SuperKind::tcp4, .segment_bytes = 100};
    Bytes packet = TestPacket{.payload = test_payload(250)}.build_open(offload);
    Cutter cutter;
    ASSERT_TRUE(cutter.begin(packet, offload));
    EXPECT_EQ(cutter.left(), 3U);
    {
        const PacketBuf first = cutter.next(pool);
        EXPECT_TRUE(first);
        EXPECT_FALSE(cutter.next(pool));
        EXPECT_EQ(cutter.left(), 2U);
    }
    EXPECT_TRUE(cutter.next(pool));
    EXPECT_TRUE(cutter.next(pool));
    EXPECT_TRUE(cutter.done());
}

TEST(Cutter, RefusesWhatContradictsItself) {
    const TestPacket tcp{.payload = test_payload(2000)};
    Offload offload{.kind = SuperKind::tcp4, .segment_bytes = 1000};
    const Bytes good = tcp.build_open(offload);
    const auto refuses = [](Bytes packet, const Offload& said) {
        Cutter cutter;
        return !cutter.begin(packet, said) && cutter.done();
    };
    ASSERT_FALSE(refuses(good, offload));
    EXPECT_TRUE(refuses({}, {})) << "nothing there";
    EXPECT_TRUE(refuses(Bytes(3000, 0x45), {})) << "larger than a block";
    Offload said = offload;
    said.segment_bytes = 0;
    EXPECT_TRUE(refuses(good, said));
    said.segment_bytes = 5000;
    EXPECT_TRUE(refuses(good, said)) << "packets larger than a block";
    said = offload;
    said.kind = SuperKind::tcp6;
    EXPECT_TRUE(refuses(good, said));
    said.kind = SuperKind::udp;
    EXPECT_TRUE(refuses(good, said));
    Bytes cut_off(good.begin(), good.end() - 1);
    EXPECT_TRUE(refuses(cut_off, offload)) << "shorter than its length field";
    Bytes long_header = good;
    long_header[20 + 12] = 0x40;
    EXPECT_TRUE(refuses(long_header, offload)) << "a TCP header of 16 bytes";
    TestPacket fragment = tcp;
    fragment.fragment = kIpv4MoreFragments;
    EXPECT_TRUE(refuses(fragment.build(), offload));
    said = {.needs_checksum = true, .checksum_start = 2019, .checksum_offset = 20};
    EXPECT_TRUE(refuses(Bytes(100, 0x45), said)) << "the checksum is beyond the packet";
    EXPECT_TRUE(refuses(TestPacket{}.build(), offload)) << "no payload";
}

}  // namespace
}  // namespace selvage::packet
