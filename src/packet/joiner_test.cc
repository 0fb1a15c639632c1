// Trains of the Joiner: what may be joined, what may not, and that cutting gives back what went in.
#include "packet/joiner.h"

#include <numeric>

#include "packet/cutter.h"
#include "packet/test_packets.h"

namespace selvage::packet {
namespace {

const Bytes kTimestamps = {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8};

class JoinerTest : public testing::Test {
protected:
    void add(const TestPacket& packet) { add(packet.build()); }
    void add(const Bytes& bytes) { batch_.push(pool_.copy(bytes)); }
    // Packet numbers of each train.
    std::vector<std::vector<int>> trains(JoinOptions options = {}) {
        joiner_.set(options);
        std::vector<std::vector<int>> out;
        for (const Joiner::Train& train : joiner_.arrange(batch_)) {
            out.push_back({train.first});
            std::uint8_t at = train.first;
            for (unsigned i = 1; i < train.count; ++i)
                out.back().push_back(at = joiner_.next(at));
            EXPECT_EQ(at, train.last);
            if (train.count > 1) expect_cuts_to_itself(train);
        }
        return out;
    }
    void expect_cuts_to_itself(const Joiner::Train& train) {
        std::array<std::uint8_t, Joiner::kHeaderMax> header{};
        Offload offload;
        const std::size_t bytes = Joiner::build_header(batch_, train, header, offload);
        Bytes super(header.begin(), header.begin() + static_cast<std::ptrdiff_t>(bytes));
        std::uint8_t at = train.first;
        for (unsigned i = 0; i < train.count; ++i, at = joiner_.next(at)) {
            const auto payload = std::as_const(batch_[at]).bytes().subspan(bytes);
            super.insert(super.end(), payload.begin(), payload.end());
        }
        EXPECT_EQ(offload.header_bytes, bytes);
        Cutter cutter;
        ASSERT_TRUE(cutter.begin(super, offload));
        ASSERT_EQ(cutter.left(), train.count);
        at = train.first;
        for (unsigned i = 0; i < train.count; ++i, at = joiner_.next(at)) {
            const PacketBuf again = cutter.next(pool_);
            EXPECT_EQ(to_hex(again.bytes()), to_hex(batch_[at].bytes()));
        }
    }
    // `count` packets in a row, as one sender sends them.
    void add_run(TestPacket packet, int count, std::size_t size = 1000) {
        for (int i = 0; i < count; ++i) {
            packet.payload = test_payload(size, static_cast<std::size_t>(i));
            add(packet);
            packet.sequence += static_cast<std::uint32_t>(size);
            ++packet.id;
        }
    }

    PacketPool pool_;
    PacketBatch batch_;
    Joiner joiner_;
};

using Trains = std::vector<std::vector<int>>;

std::vector<int> numbers(int from, int count) {
    std::vector<int> out(static_cast<std::size_t>(count));
    std::iota(out.begin(), out.end(), from);
    return out;
}

TEST_F(JoinerTest, SegmentsInARowAreOneTrain) {
    add_run({.tcp_options = kTimestamps}, 46, 1308);
    EXPECT_EQ(trains(), Trains{numbers(0, 46)});
}

TEST_F(JoinerTest, BothFamiliesAndUdp) {
    add_run({.v6 = true}, 5);
    add_run({.udp = true}, 5);
    add_run({.v6 = true, .udp = true}, 5);
    EXPECT_EQ(trains(), (Trains{numbers(0, 5), numbers(5, 5), numbers(10, 5)}));
}

TEST_F(JoinerTest, AShorterPacketIsTheLastOne) {
    TestPacket packet;
    add_run(packet, 2);
    packet.sequence += 2000;
    packet.id = 102;
    packet.payload = test_payload(1);
    add(packet);
    packet.sequence += 1;
    packet.id = 103;
    add(packet);
    EXPECT_EQ(trains(), (Trains{{0, 1, 2}, {3}}));
}

TEST_F(JoinerTest, ALongerPacketBeginsAnotherTrain) {
    TestPacket packet{.payload = test_payload(100)};
    add(packet);
    packet.sequence += 100;
    packet.id = 101;
    add_run(packet, 2);
    EXPECT_EQ(trains(), (Trains{{0}, {1, 2}}));
}

TEST_F(JoinerTest, PshAndFinEndATrain) {
    for (const std::uint8_t flag : {tcp_flag::kPsh, tcp_flag::kFin}) {
        batch_.clear();
        TestPacket packet;
        for (int i = 0; i < 4; ++i) {
            packet.payload = test_payload(10);
            packet.flags = tcp_flag::kAck;
            if (i == 1) packet.flags = static_cast<std::uint8_t>(packet.flags | flag);
            add(packet);
            packet.sequence += 10;
            ++packet.id;
        }
        EXPECT_EQ(trains(), (Trains{{0, 1}, {2, 3}}));
    }
}

TEST_F(JoinerTest, OtherFlagsStandAlone) {
    for (const std::uint8_t flags :
         {tcp_flag::kSyn, tcp_flag::kRst, tcp_flag::kUrg, tcp_flag::kCwr}) {
        batch_.clear();
        add_run({.flags = static_cast<std::uint8_t>(tcp_flag::kAck | flags)}, 3);
        EXPECT_EQ(trains(), (Trains{{0}, {1}, {2}})) << int{flags};
    }
    batch_.clear();
    add_run({.flags = 0}, 2);
    EXPECT_EQ(trains(), (Trains{{0}, {1}})) << "without ACK";
    batch_.clear();
    add_run({.flags = tcp_flag::kAck | tcp_flag::kEce}, 3);
    EXPECT_EQ(trains(), Trains{numbers(0, 3)}) << "an echo of congestion is everybody's";
}

TEST_F(JoinerTest, WhateverDiffersInTheHeadersSeparates) {
    const auto separates = [this](auto change) {
        TestPacket packet{.tcp_options = kTimestamps, .payload = test_payload(100)};
        batch_.clear();
        add(packet);
        packet.sequence += 100;
        ++packet.id;
        change(packet);
        add(packet);
        return trains() == Trains{{0}, {1}};
    };
    EXPECT_FALSE(separates([](TestPacket&) {}));
    EXPECT_TRUE(separates([](TestPacket& p) { p.sequence += 1; }));
    EXPECT_TRUE(separates([](TestPacket& p) { p.sequence -= 100; }));
    EXPECT_TRUE(separates([](TestPacket& p) { p.acknowledgement += 1; }));
    EXPECT_TRUE(separates([](TestPacket& p) { p.window += 1; }));
    EXPECT_TRUE(separates([](TestPacket& p) { p.urgent = 1; }));
    EXPECT_TRUE(separates([](TestPacket& p) { p.tcp_options[5] = 9; }));
    EXPECT_TRUE(separates([](TestPacket& p) { p.tcp_options.resize(4, 1); }));
    EXPECT_TRUE(separates([](TestPacket& p) { p.flags |= tcp_flag::kEce; }));
    EXPECT_TRUE(separates([](TestPacket& p) { p.ttl = 63; }));
    EXPECT_TRUE(separates([](TestPacket& p) { p.traffic_class = 3; }));
    EXPECT_TRUE(separates([](TestPacket& p) { p.source_port = 1; }));
    EXPECT_TRUE(separates([](TestPacket& p) { p.destination_port = 1; }));
    EXPECT_TRUE(separates([](TestPacket& p) { p.source += 1; }));
    EXPECT_TRUE(separates([](TestPacket& p) { p.id += 1; }));
    EXPECT_TRUE(separates([](TestPacket& p) { p.fragment = kIpv4DontFragment; }));
    EXPECT_TRUE(separates([](TestPacket& p) { p.ip_options = {1, 1, 1, 1}; }));
    EXPECT_TRUE(separates([](TestPacket& p) { p.payload.clear(); }));
}

TEST_F(JoinerTest, IdsMeanNothingWhereNobodyMayFragment) {
    TestPacket packet{.id = 0, .fragment = kIpv4DontFragment, .payload = test_payload(100)};
    add(packet);
    packet.sequence += 100;
    add(packet);
    joiner_.set({});
    ASSERT_EQ(joiner_.arrange(batch_).size(), 1U);
}

TEST_F(JoinerTest, FragmentsAndOptionsAreNeverJoined) {
    add_run({.fragment = kIpv4MoreFragments}, 2);
    add_run({.udp = true, .fragment = 100}, 2);
    add_run({.ip_options = {1, 1, 1, 1}}, 2);
    EXPECT_EQ(trains(), (Trains{{0}, {1}, {2}, {3}, {4}, {5}}));
}

TEST_F(JoinerTest, AWrongChecksumStaysAlone) {
    for (const std::size_t where : {8U, 10U, 26U, 30U, 45U}) {  // TTL, checksums, TCP, payload
        for (int which = 0; which < 3; ++which) {
            batch_.clear();
            TestPacket packet;
            for (int i = 0; i < 3; ++i) {
                packet.payload = test_payload(100);
                Bytes bytes = packet.build();
                if (i == which) bytes[where] ^= 0x40;
                add(bytes);
                packet.sequence += 100;
                ++packet.id;
            }
            const Trains all = trains();
            for (const auto& train : all) {
                const bool has_it = std::ranges::find(train, which) != train.end();
                EXPECT_TRUE(!has_it || train.size() == 1) << where << " " << which;
            }
        }
    }
}

TEST_F(JoinerTest, UdpWithoutChecksumOrPayloadStaysAlone) {
    add_run({.udp = true, .checksum = false}, 2);
    add_run({.udp = true}, 2, 0);
    EXPECT_EQ(trains(), (Trains{{0}, {1}, {2}, {3}}));
}

TEST_F(JoinerTest, FlowsThatTakeTurnsAreJoinedEach) {
    TestPacket a{.source_port = 1};
    TestPacket b{.source_port = 2};
    for (int i = 0; i < 3; ++i) {
        for (TestPacket* packet : {&a, &b}) {
            packet->payload = test_payload(50);
            add(*packet);
            packet->sequence += 50;
            ++packet->id;
        }
    }
    add(Bytes{0x45, 0, 0, 20, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2});  // ICMP
    EXPECT_EQ(trains(), (Trains{{0, 2, 4}, {1, 3, 5}, {6}}));
}

TEST_F(JoinerTest, NothingOvertakesItsOwnFlow) {
    TestPacket packet{.payload = test_payload(50)};
    add(packet);
    TestPacket pure_ack = packet;  // its window opens before the next data
    pure_ack.payload.clear();
    pure_ack.sequence += 50;
    add(pure_ack);
    packet.sequence += 50;
    ++packet.id;
    add(packet);
    EXPECT_EQ(trains(), (Trains{{0}, {1}, {2}}));
}

TEST_F(JoinerTest, TrainsStayWithinAnIpPacket) {
    add_run({.fragment = kIpv4DontFragment}, 64, 1900);
    const auto all = joiner_.arrange(batch_);
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].count, 34U);
    EXPECT_LE(all[0].header_bytes + all[0].payload_bytes, 65535U);
}

TEST_F(JoinerTest, ManyFlowsCostOnlyTheirTrains) {
    TestPacket packet{.payload = test_payload(50)};
    for (int round = 0; round < 2; ++round) {
        for (std::uint16_t flow = 0; flow < 20; ++flow) {
            packet.source_port = flow;
            packet.sequence = static_cast<std::uint32_t>(1000 + 50 * round);
            packet.id = static_cast<std::uint16_t>(100 + round);
            add(packet);
        }
    }
    EXPECT_EQ(trains().size(), 40U) << "each train was closed for newer ones";
}

TEST_F(JoinerTest, CanBeToldWhatTheKernelDoesNotTake) {
    add_run({}, 2);
    add_run({.udp = true}, 2);
    EXPECT_EQ(trains({.tcp = false, .udp = true}), (Trains{{0}, {1}, {2, 3}}));
    EXPECT_EQ(trains({.tcp = true, .udp = false}), (Trains{{0, 1}, {2}, {3}}));
}

TEST_F(JoinerTest, WhatIsNoPacketStandsAlone) {
    add(Bytes{0xff, 1, 2, 3});
    add(Bytes(19, 0x45));
    add(Bytes(40, 0x45));
    add(Bytes(60, 0x60));
    EXPECT_EQ(trains(), (Trains{{0}, {1}, {2}, {3}}));
}

}  // namespace
}  // namespace selvage::packet
