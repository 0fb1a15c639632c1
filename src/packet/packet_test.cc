// Tests of buffers, headers and checksums.
#include "packet/checksum.h"
#include "packet/ip_headers.h"
#include "packet/packet_buf.h"
#include "packet/peer_header.h"

namespace selvage::packet {
namespace {

TEST(PacketPool, IsBoundedAndGetsEveryBlockBack) {
    PacketPool pool(2);
    {
        PacketBuf a = pool.take();
        PacketBuf b = pool.take();
        EXPECT_FALSE(pool.take());
        EXPECT_EQ(pool.exhausted_count(), 1U);
        EXPECT_EQ(pool.available(), 0U);
        const PacketBuf moved = std::move(a);
        EXPECT_EQ(pool.in_use(), 2U);
    }
    EXPECT_EQ(pool.in_use(), 0U);
}

TEST(PacketBuf, HeadersArePushedWithoutMovingThePayload) {
    PacketPool pool;
    PacketBuf packet = pool.copy(as_view("hello"));
    const auto* payload = packet.data();
    auto* header = packet.push_front<PeerHeader>();
    header->from_peer = 0x01020304;
    header->to_peer = 0x0a0b0c0d;
    header->type = 1;
    header->payload_len = 5;
    // 1-link.md section 2.5: the clear header of the worked example.
    EXPECT_EQ(to_hex(packet.bytes().first(16)), "040302010d0c0b0a0100010005000000");
    packet.pop_front(16);
    EXPECT_EQ(packet.data(), payload);
    EXPECT_EQ(as_text(packet.bytes()), "hello");
}

TEST(PacketBuf, CloneIsASecondPacket) {
    PacketPool pool;
    PacketBuf packet = pool.copy(as_view("abc"));
    packet.meta().from_peer = PeerId(7);
    PacketBuf copy = packet.clone();
    copy.data()[0] = 'x';
    EXPECT_EQ(as_text(packet.bytes()), "abc");
    EXPECT_EQ(copy.meta().from_peer, PeerId(7));
    EXPECT_EQ(copy.headroom(), kHeadroom);
}

// The ICMP echo of vectors/control/packets.json, "data from a neighbour".
constexpr std::string_view kEcho =
    "45000054727940004001b3910a4e00010a4e000208004f22084c0001fc05036b00000000dd4c050000000000"
    "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637";

TEST(ParseIp, ReadsAnEcho) {
    const Bytes bytes = from_hex(kEcho).value();
    const auto meta = parse_ip(bytes).value();
    EXPECT_EQ(meta.source.to_string(), "10.78.0.1");
    EXPECT_EQ(meta.destination.to_string(), "10.78.0.2");
    EXPECT_EQ(meta.protocol, 1);
    EXPECT_EQ(meta.total_length, 84);
    EXPECT_EQ(meta.transport_offset, 20);
    EXPECT_FALSE(meta.has_ports);
}

TEST(ParseIp, RefusesWhatContradictsItself) {
    Bytes bytes = from_hex(kEcho).value();
    EXPECT_TRUE(parse_ip(ByteView(bytes).first(83)).error().is(Errc::truncated));
    EXPECT_TRUE(parse_ip({}).error().is(Errc::truncated));
    bytes[0] = 0x44;
    EXPECT_TRUE(parse_ip(bytes).error().is(Errc::bad_length));
    bytes[0] = 0x35;
    EXPECT_TRUE(parse_ip(bytes).error().is(Errc::unsupported));
}

TEST(ParseIp, SkipsIpv6ExtensionHeaders) {
    Bytes bytes =
        from_hex("60000000001800400000000000000000000000000000000100000000000000000000000000000002")
            .value();
    bytes[6] = 60;  // destination options, then UDP
    for (const std::uint8_t b : from_hex("1100010400000000"
                                         "00350036001000000102030405060708")
                                    .value()) {
        bytes.push_back(b);
    }
    const auto meta = parse_ip(bytes).value();
    EXPECT_EQ(meta.protocol, 17);
    EXPECT_EQ(meta.transport_offset, 48);
    EXPECT_EQ(meta.destination_port, 54);
}

TEST(ChecksumAdd, IsTheSumOfWordsWhateverLengthAndPlace) {
    Bytes bytes(1600);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::uint8_t>(i * i + 255 * (i % 3));
    for (std::size_t from = 0; from < 9; ++from) {
        for (std::size_t size = 0; from + size <= bytes.size(); size += size < 200 ? 1 : 13) {
            std::uint32_t sum = 0x1234;
            for (std::size_t i = 0; i < size; ++i)
                sum += std::uint32_t{bytes[from + i]} << (i % 2 == 0 ? 8 : 0);
            while (sum > 0xffff)
                sum = (sum & 0xffff) + (sum >> 16);
            ASSERT_EQ(checksum_add(ByteView(bytes).subspan(from, size), 0x1234), sum) << size;
        }
    }
}

TEST(Checksum, MatchesTheEcho) {
    const Bytes bytes = from_hex(kEcho).value();
    EXPECT_EQ(checksum_add(ByteView(bytes).first(20)), 0xffff);
    EXPECT_EQ(checksum_add(ByteView(bytes).subspan(20)), 0xffff);
}

TEST(Checksum, AgreesWithAPlainLoopAtEveryLength) {
    Bytes bytes;
    for (int i = 0; i < 100; ++i) {
        std::uint32_t sum = 0;
        for (std::size_t k = 0; k < bytes.size(); ++k) {
            sum += k % 2 == 0 ? std::uint32_t{bytes[k]} << 8 : std::uint32_t{bytes[k]};
        }
        while (sum > 0xffff)
            sum = (sum & 0xffff) + (sum >> 16);
        ASSERT_EQ(checksum_add(bytes), sum) << i;
        bytes.push_back(static_cast<std::uint8_t>(i * 37 + 200));
    }
}

}  // namespace
}  // namespace selvage::packet
