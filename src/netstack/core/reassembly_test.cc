// Fragments: in order and not, doubled, overlapping, too many, never complete.
#include "netstack/core/reassembly.h"

#include <gtest/gtest.h>

#include "netstack/core/stack_pair_test_support.h"
#include "packet/checksum.h"

namespace selvage::netstack::testing {
namespace {

const IpAddress kOurs = IpAddress::v4(10, 0, 0, 1);
const IpAddress kPeer = IpAddress::v4(10, 0, 0, 2);
const IpAddress kOurs6 = *IpAddress::parse("fd00::1");
const IpAddress kPeer6 = *IpAddress::parse("fd00::2");
constexpr std::uint8_t kUdpNumber = 17;

Bytes pattern(std::size_t size) {
    Bytes out(size);
    for (std::size_t i = 0; i < size; ++i)
        out[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
    return out;
}

Bytes datagram(std::size_t payload, const IpAddress& from, const IpAddress& to) {
    Bytes out(sizeof(packet::UdpHeader));
    const Bytes body = pattern(payload);
    out.insert(out.end(), body.begin(), body.end());
    packet::UdpHeader header;
    header.source_port = 1000;
    header.destination_port = 53;
    header.length = static_cast<std::uint16_t>(out.size());
    std::memcpy(out.data(), &header, sizeof(header));
    const auto start =
        packet::pseudo_header_sum(from, to, kUdpNumber, static_cast<std::uint32_t>(out.size()));
    header.checksum = packet::checksum_finish(packet::checksum_add(out, start));
    std::memcpy(out.data(), &header, sizeof(header));
    return out;
}

struct FragmentPlan {
    std::size_t offset = 0;
    std::size_t size = 0;
    bool more = true;
    std::uint16_t id = 7;
    std::uint8_t protocol = kUdpNumber;
};

Bytes fragment4(ByteView whole, const FragmentPlan& plan, const IpAddress& from = kPeer) {
    packet::Ipv4Header header;
    header.total_length = static_cast<std::uint16_t>(sizeof(header) + plan.size);
    header.id = plan.id;
    const std::size_t more = plan.more ? packet::kIpv4MoreFragments : 0;
    header.fragment = static_cast<std::uint16_t>(plan.offset / 8 | more);
    header.protocol = plan.protocol;
    header.source = from.v4_value();
    header.destination = kOurs.v4_value();
    header.checksum = packet::checksum_finish(packet::checksum_add(as_bytes_of(header)));
    Bytes out(sizeof(header));
    std::memcpy(out.data(), &header, sizeof(header));
    const ByteView piece = whole.subspan(plan.offset, plan.size);
    out.insert(out.end(), piece.begin(), piece.end());
    return out;
}

// With a hop-by-hop header of eight bytes in front, which is skipped.
Bytes fragment6(ByteView whole, const FragmentPlan& plan) {
    packet::Ipv6Header header;
    header.payload_length = static_cast<std::uint16_t>(16 + plan.size);
    header.next_header = 0;
    header.source = kPeer6.raw();
    header.destination = kOurs6.raw();
    Bytes out(sizeof(header));
    std::memcpy(out.data(), &header, sizeof(header));
    const auto field = static_cast<std::uint16_t>(plan.offset | (plan.more ? 1U : 0U));
    const std::uint8_t extensions[] = {
        44,
        0,
        1,
        4,
        0,
        0,
        0,
        0,
        plan.protocol,
        0,
        static_cast<std::uint8_t>(field >> 8),
        static_cast<std::uint8_t>(field),
        0,
        0,
        0,
        static_cast<std::uint8_t>(plan.id)
    };
    out.insert(out.end(), std::begin(extensions), std::end(extensions));
    const ByteView piece = whole.subspan(plan.offset, plan.size);
    out.insert(out.end(), piece.begin(), piece.end());
    return out;
}

class ReassemblyTest : public ::testing::Test {
public:
    std::optional<Bytes> add(const Bytes& packet) {
        const auto meta = packet::parse_ip(packet);
        EXPECT_TRUE(meta && meta->is_fragment);
        return reassembly.add(packet, *meta, now);
    }
    StackCounters counters;
    Reassembly reassembly{counters};
    TimePoint now{1h};
    Bytes whole = datagram(2992, kPeer, kOurs);  // 3,000 bytes
};

TEST_F(ReassemblyTest, PutsPiecesTogetherInEveryOrder) {
    std::vector<FragmentPlan> plans{{0, 1000}, {1000, 1000}, {2000, 1000, false}};
    std::sort(plans.begin(), plans.end(), [](auto& a, auto& b) { return a.offset < b.offset; });
    do {
        std::optional<Bytes> built;
        for (const FragmentPlan& plan : plans) {
            EXPECT_FALSE(built);
            built = add(fragment4(whole, plan));
        }
        ASSERT_TRUE(built);
        EXPECT_EQ(Bytes(built->begin() + 20, built->end()), whole);
        const auto meta = packet::parse_ip(*built);
        ASSERT_TRUE(meta);
        EXPECT_FALSE(meta->is_fragment);
        EXPECT_EQ(meta->source, kPeer);
        EXPECT_EQ(reassembly.packet_count(), 0u);
        EXPECT_EQ(reassembly.bytes(), 0u);
    } while (std::next_permutation(plans.begin(), plans.end(), [](auto& a, auto& b) {
        return a.offset < b.offset;
    }));
}

TEST_F(ReassemblyTest, PutsIpv6TogetherBehindOtherExtensionHeaders) {  // RFC 8200, section 4.5
    whole = datagram(2992, kPeer6, kOurs6);
    EXPECT_FALSE(add(fragment6(whole, {2000, 1000, false})));
    EXPECT_FALSE(add(fragment6(whole, {0, 1000})));
    const auto built = add(fragment6(whole, {1000, 1000}));
    ASSERT_TRUE(built);
    EXPECT_EQ(Bytes(built->begin() + 40, built->end()), whole);
}

TEST_F(ReassemblyTest, KeepsPacketsApart) {
    EXPECT_FALSE(add(fragment4(whole, {.offset = 0, .size = 1504, .id = 1})));
    EXPECT_FALSE(add(fragment4(whole, {.offset = 1504, .size = 1496, .more = false, .id = 2})));
    EXPECT_FALSE(
        add(fragment4(whole, {.offset = 1504, .size = 1496, .more = false, .id = 1, .protocol = 1}))
    );
    EXPECT_EQ(reassembly.packet_count(), 3u);
}

TEST_F(ReassemblyTest, IgnoresAPieceThatWasDoubled) {
    EXPECT_FALSE(add(fragment4(whole, {0, 1504})));
    EXPECT_FALSE(add(fragment4(whole, {0, 1504})));
    EXPECT_TRUE(add(fragment4(whole, {1504, 1496, false})));
}

TEST_F(ReassemblyTest, RefusesPiecesThatOverlap) {  // RFC 5722
    EXPECT_FALSE(add(fragment4(whole, {0, 1504})));
    EXPECT_FALSE(add(fragment4(whole, {1496, 1504, false})));
    EXPECT_EQ(counters.fragments_overlap, 1u);
    EXPECT_EQ(reassembly.bytes(), 0u);
    // What would have completed it does not help any more.
    EXPECT_FALSE(add(fragment4(whole, {1504, 1496, false})));
    EXPECT_EQ(counters.reassembled, 0u);
}

TEST_F(ReassemblyTest, RefusesASecondVersionOfTheSameBytes) {
    EXPECT_FALSE(add(fragment4(whole, {0, 1504})));
    Bytes other = whole;
    other[3] ^= 1;
    EXPECT_FALSE(add(fragment4(other, {0, 1504})));
    EXPECT_EQ(counters.fragments_overlap, 1u);
}

TEST_F(ReassemblyTest, RefusesASecondEnd) {
    EXPECT_FALSE(add(fragment4(whole, {2000, 992, false})));
    EXPECT_FALSE(add(fragment4(whole, {1000, 500, false})));
    EXPECT_EQ(counters.fragments_overlap, 1u);
}

TEST_F(ReassemblyTest, DropsMalformedPieces) {
    EXPECT_FALSE(add(fragment4(whole, {0, 1001})));  // not the last, not a multiple of eight
    EXPECT_FALSE(add(fragment4(whole, {1000, 0})));  // nothing in it
    EXPECT_FALSE(add(fragment4(whole, {.offset = 0, .size = 16, .protocol = 6})));  // RFC 1858
    EXPECT_EQ(counters.fragments_bad, 3u);
    EXPECT_EQ(reassembly.packet_count(), 0u);
    Bytes far = fragment4(whole, {1000, 1000, false});
    packet::Ipv4Header header;
    std::memcpy(&header, far.data(), sizeof(header));
    header.fragment = packet::kIpv4OffsetMask;  // reaches beyond 65,535
    std::memcpy(far.data(), &header, sizeof(header));
    EXPECT_FALSE(add(far));
    EXPECT_EQ(counters.fragments_bad, 4u);
}

TEST_F(ReassemblyTest, ASourceKeepsOnlySoMany) {
    for (std::uint16_t id = 0; id < 1000; ++id)
        EXPECT_FALSE(add(fragment4(whole, {.offset = 0, .size = 1504, .id = id})));
    EXPECT_EQ(reassembly.packet_count(), Reassembly::kPerSourceMax);
    EXPECT_EQ(counters.reassembly_evicted, 1000 - Reassembly::kPerSourceMax);
    // Others are not touched.
    EXPECT_FALSE(add(fragment4(whole, {0, 1504}, IpAddress::v4(10, 0, 0, 3))));
    EXPECT_EQ(reassembly.packet_count(), Reassembly::kPerSourceMax + 1);
}

TEST_F(ReassemblyTest, AFloodStaysWithinItsBounds) {
    const Bytes large = pattern(60'000);
    for (std::uint16_t i = 0; i < 2000; ++i) {
        const auto from = IpAddress::v4(0x0a010000U + i);
        EXPECT_FALSE(add(fragment4(large, {.offset = 58'000, .size = 1000, .id = i}, from)));
        EXPECT_LE(reassembly.packet_count(), Reassembly::kPacketsMax);
        EXPECT_LE(reassembly.bytes(), Reassembly::kBytesMax);
    }
    for (std::uint16_t i = 0; i < 500; ++i)
        EXPECT_FALSE(add(fragment4(large, {.offset = i * 16U, .size = 8, .id = 9999})));
    EXPECT_EQ(counters.fragments_overlap, 1u) << "more holes than anything honest leaves";
}

TEST_F(ReassemblyTest, ForgetsWhatStaysIncomplete) {
    EXPECT_FALSE(reassembly.next_timeout());
    EXPECT_FALSE(add(fragment4(whole, {0, 1504})));
    EXPECT_EQ(reassembly.next_timeout(), now + Reassembly::kTimeout);
    EXPECT_FALSE(reassembly.expire(now + 59s));
    const auto expired = reassembly.expire(now + Reassembly::kTimeout);
    ASSERT_TRUE(expired);
    EXPECT_EQ(expired->meta.source, kPeer);
    EXPECT_EQ(expired->first.size(), Reassembly::kQuotedMax);
    EXPECT_EQ(reassembly.packet_count(), 0u);
}

// Through a whole stack.
class FragmentedStack : public ::testing::Test, public PacketOut {
protected:
    FragmentedStack() : stack(StackOptions{}, pool, {.sequence_key = {1, 2}, .table_key = {3, 4}}) {
        stack.set_addresses({Prefix{kOurs, 24}, Prefix{kOurs6, 64}});
        socket = *stack.udp_bind(53);
    }
    void from_stack(packet::PacketBatch&& batch) override {
        for (packet::PacketBuf& packet : batch)
            sent.emplace_back(packet.bytes().begin(), packet.bytes().end());
    }
    void input(const Bytes& packet) { stack.input(pool.copy(packet), now); }

    packet::PacketPool pool;
    Stack stack;
    UdpId socket;
    TimePoint now{1h};
    std::vector<Bytes> sent;
};

TEST_F(FragmentedStack, DeliversADatagramLargerThanAnyPacket) {
    const Bytes whole = datagram(20'000, kPeer, kOurs);
    for (std::size_t at = 0; at < whole.size(); at += 1000) {
        const std::size_t size = std::min<std::size_t>(1000, whole.size() - at);
        input(fragment4(whole, {at, size, at + size < whole.size()}));
    }
    Bytes got(65'536);
    const auto received = stack.udp_receive(socket, got);
    ASSERT_TRUE(received);
    got.resize(received->size);
    EXPECT_EQ(got, pattern(20'000));
}

TEST_F(FragmentedStack, TellsTheSenderWhenTheRestDoesNotCome) {  // RFC 792, page 6
    input(fragment4(datagram(2992, kPeer, kOurs), {0, 1504}));
    stack.poll(now, *this);
    EXPECT_EQ(stack.next_timeout(), now + 60s);
    now += 60s;
    stack.poll(now, *this);
    ASSERT_EQ(sent.size(), 1u);
    const auto meta = packet::parse_ip(sent[0]);
    ASSERT_TRUE(meta);
    EXPECT_EQ(meta->destination, kPeer);
    EXPECT_EQ(sent[0][20], 11);
    EXPECT_EQ(sent[0][21], 1);
    EXPECT_LE(sent[0].size(), 576u);
    EXPECT_FALSE(stack.next_timeout());
}

TEST_F(FragmentedStack, SaysNothingWithoutTheFirstPieceOrAboutAnIcmpError) {
    const Bytes whole = datagram(2992, kPeer, kOurs);
    input(fragment4(whole, {1504, 1496, false}));
    Bytes error = whole;
    error[0] = 3;  // destination unreachable
    input(fragment4(error, {.offset = 0, .size = 1504, .id = 8, .protocol = 1}));
    now += 60s;
    stack.poll(now, *this);
    EXPECT_TRUE(sent.empty());
    EXPECT_EQ(stack.counters().reassembly_timed_out, 2u);
}

}  // namespace
}  // namespace selvage::netstack::testing
