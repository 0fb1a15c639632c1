// FairQueue: turns between flows, and what happens to a queue that stands (RFC 8289, RFC 8290).
#include "tunnel/fair_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "packet/peer_header.h"

namespace selvage::tunnel {
namespace {

using packet::PacketBuf;
using packet::PacketPool;

class FairQueueTest : public testing::Test {
protected:
    // A data packet of a flow that another node sealed.
    PacketBuf packet(std::uint32_t flow, std::size_t size, std::uint32_t number = 0) {
        PacketBuf out = pool_.take();
        auto* header = new (out.push_back(sizeof(packet::PeerHeader))) packet::PeerHeader{};
        header->from_peer = flow;
        header->to_peer = 7;
        header->payload_len = number;
        std::memset(out.push_back(size - sizeof(packet::PeerHeader)), 0, size - sizeof(*header));
        return out;
    }
    void push(std::uint32_t flow, std::size_t size, std::uint32_t number = 0) {
        queue_.push(packet(flow, size, number), now_);
    }
    // The flow and the number of the next packet.
    std::pair<std::uint32_t, std::uint32_t> pop() {
        const PacketBuf out = queue_.pop(now_, dropped_);
        const auto* header = out.header<packet::PeerHeader>();
        return {header->from_peer, header->payload_len};
    }

    PacketPool pool_;
    FairQueue queue_{SipKey{.k0 = 1, .k1 = 2}};
    TimePoint now_{1s};
    std::uint64_t dropped_ = 0;
};

TEST_F(FairQueueTest, KeepsTheOrderOfAFlow) {
    for (std::uint32_t i = 1; i <= 100; ++i)
        push(1, 1000, i);
    for (std::uint32_t i = 1; i <= 100; ++i)
        EXPECT_EQ(pop(), std::pair(1U, i));
    EXPECT_TRUE(queue_.empty());
    EXPECT_EQ(queue_.bytes(), 0U);
}

TEST_F(FairQueueTest, WhoHasJustBegunGoesBeforeWhatWaits) {
    for (int i = 0; i < 100; ++i)
        push(1, 1400);
    for (int i = 0; i < 4; ++i)
        EXPECT_EQ(pop().first, 1U);
    push(2, 100);
    // The download may finish its turn, no more.
    std::vector<std::uint32_t> next = {pop().first, pop().first};
    EXPECT_NE(std::ranges::find(next, 2U), next.end());
}

TEST_F(FairQueueTest, FlowsShareByBytesAndNotByPackets) {
    for (int i = 0; i < 100; ++i)
        push(1, 1400);
    for (int i = 0; i < 1400; ++i)
        push(2, 100);
    std::map<std::uint32_t, std::size_t> bytes;
    while (bytes[1] + bytes[2] < 100'000) {
        const std::uint32_t flow = pop().first;
        bytes[flow] += flow == 1 ? 1400 : 100;
    }
    EXPECT_NEAR(static_cast<double>(bytes[1]), 50'000, 5'000);
}

TEST_F(FairQueueTest, TheLongestFlowGivesWayWithItsOldest) {
    for (std::uint32_t i = 1; i <= 3; ++i)
        push(1, 1000, i);
    push(2, 500, 9);
    queue_.drop_from_longest();
    EXPECT_EQ(queue_.bytes(), 2500U);
    std::map<std::uint32_t, std::vector<std::uint32_t>> left;
    while (!queue_.empty()) {
        const auto [flow, number] = pop();
        left[flow].push_back(number);
    }
    EXPECT_EQ(left[1], (std::vector<std::uint32_t>{2, 3}));
    EXPECT_EQ(left[2], (std::vector<std::uint32_t>{9}));
}

TEST_F(FairQueueTest, ABurstThatDrainsLosesNothing) {
    for (int i = 0; i < 80; ++i)
        push(1, 1400);
    for (; !queue_.empty(); now_ += 1ms)
        pop();
    EXPECT_EQ(dropped_, 0U);
}

TEST_F(FairQueueTest, AQueueThatStandsLosesMoreAndMore) {
    for (int i = 0; i < 50; ++i)
        push(1, 1400);
    const auto drops_of = [&](Duration time) {
        const std::uint64_t before = dropped_;
        for (const TimePoint end = now_ + time; now_ < end; now_ += 1ms) {
            const std::size_t missing = 50 - queue_.size();  // a sender that does not slow down
            for (std::size_t i = 0; i < missing; ++i)
                push(1, 1400);
            pop();
        }
        return dropped_ - before;
    };
    EXPECT_EQ(drops_of(100ms), 0U) << "a round trip's time to notice";
    const std::uint64_t first = drops_of(1s);
    EXPECT_GE(first, 5U);
    EXPECT_GT(drops_of(1s), first);
}

TEST_F(FairQueueTest, OthersLoseNothingByAFlowThatStands) {
    std::uint64_t small = 0;
    for (int i = 0; i < 2000; ++i, now_ += 1ms) {
        while (queue_.size() < 50)
            push(1, 1400);
        if (i % 20 == 0) push(2, 100, 1);
        small += pop().first == 2;
    }
    EXPECT_GT(dropped_, 0U);
    EXPECT_GE(small, 99U) << "all but one that may still wait";
}

TEST_F(FairQueueTest, ClearingGivesEverythingBack) {
    for (std::uint32_t flow = 1; flow <= 200; ++flow)
        push(flow, 100);
    queue_.clear();
    EXPECT_TRUE(queue_.empty());
    EXPECT_EQ(pool_.in_use(), 0U);
    push(1, 100, 5);
    EXPECT_EQ(pop(), std::pair(1U, 5U));
}

}  // namespace
}  // namespace selvage::tunnel
