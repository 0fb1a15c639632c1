// FairQueue: packets that wait for a slow transport, by flow (FQ-CoDel, RFC 8290).
//
// Flows take turns by bytes, and one that has just begun goes first, so that a question or a key
// does not wait behind a download. A flow whose packets wait for longer than 5 ms through 100 ms
// loses one now and then until its sender slows down (CoDel, RFC 8289): the queue takes up bursts
// and does not stand. There is nothing to mark (ECN), because packets are sealed already.
//
// Packets of one flow keep their order. What a flow is: addresses, protocol and ports of our own
// packets; of those that we carry for others, sealed by them, sender and receiver. Flows share one
// of 64 places by a keyed hash.
#pragma once

#include <vector>

#include "base/siphash.h"
#include "packet/packet_buf.h"

namespace selvage::tunnel {

class FairQueue {
public:
    explicit FairQueue(SipKey hash_key) : hash_key_(hash_key) {}

    // Precondition: the packet has a whole peer header.
    void push(packet::PacketBuf&& packet, TimePoint now);
    // The packet whose turn it is. Those that gave way to it are counted. Precondition: not empty.
    packet::PacketBuf pop(TimePoint now, std::uint64_t& dropped);
    // Drops the oldest packet of the flow that has the most bytes here. Precondition: not empty.
    void drop_from_longest();
    void clear();

    bool empty() const { return size_ == 0; }
    std::size_t size() const { return size_; }
    std::size_t bytes() const { return bytes_; }

private:
    static constexpr std::size_t kFlows = 64;
    static constexpr std::uint32_t kNone = ~std::uint32_t{0};

    struct Entry {
        packet::PacketBuf packet;
        TimePoint since{};
        std::uint32_t next = kNone;
    };
    struct Flow {
        std::uint32_t first = kNone;
        std::uint32_t last = kNone;
        std::size_t bytes = 0;
        std::ptrdiff_t deficit = 0;
        bool listed = false;
        std::uint32_t next = kNone;  // in its list
        // CoDel, in the words of RFC 8289.
        bool dropping = false;
        std::uint32_t count = 0;
        std::uint32_t last_count = 0;
        TimePoint first_above{};
        TimePoint drop_next{};
    };
    struct List {
        std::uint32_t first = kNone;
        std::uint32_t last = kNone;
    };
    struct Taken {
        packet::PacketBuf packet;
        bool may_drop = false;
    };

    std::uint32_t flow_of(const packet::PacketBuf& packet) const;
    packet::PacketBuf take(Flow& flow, TimePoint* since = nullptr);
    Taken take_and_judge(Flow& flow, TimePoint now);
    packet::PacketBuf take_in_time(Flow& flow, TimePoint now, std::uint64_t& dropped);
    void append(List& list, std::uint32_t flow);
    void remove_first(List& list);

    SipKey hash_key_;
    std::vector<Flow> flows_;  // none before the first packet
    List new_flows_;
    List old_flows_;
    std::vector<Entry> entries_;  // as many as ever waited at once
    std::uint32_t free_ = kNone;
    std::size_t size_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace selvage::tunnel
