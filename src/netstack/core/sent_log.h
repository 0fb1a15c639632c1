// Every segment under way, in the order of its sequence numbers: when it was sent last, and what
// has become of it. The scoreboard of RFC 6675 with the times that RFC 8985 wants.
//
//   in_flight  sent, and nothing is known of it; in a list by time of sending
//   lost       believed lost, to be sent again; in a list of its own
//   sacked     the peer says that it holds it
//
// A segment is a whole: a selective acknowledgement of a part of it counts for nothing. Records lie
// in a ring that grows as needed; numbers name them and stay valid until acknowledged.
#pragma once

#include <cstdint>
#include <vector>

#include "base/time.h"
#include "netstack/core/seq_num.h"

namespace selvage::netstack {

struct SentSegment {
    enum class State : std::uint8_t { in_flight, lost, sacked };

    SeqNum begin;
    SeqNum end;
    TimePoint sent_at{};  // the last time
    // What RateSampler knew then.
    TimePoint first_sent_at{};
    TimePoint delivered_at{};
    std::uint64_t delivered = 0;
    std::uint32_t in_flight = 0;  // with this one
    std::uint32_t lost = 0;
    // Neighbours in the list that the state names.
    std::uint32_t previous = 0;
    std::uint32_t next = 0;
    State state = State::in_flight;
    bool retransmitted = false;
    bool app_limited = false;
    bool pushed = false;  // with PSH

    std::uint32_t size() const { return end.since(begin); }
};

class SentLog {
public:
    // Full: nothing new is sent until something is acknowledged. Enough for twice 1 Gb/s x 100 ms
    // in segments of 1,000 bytes; bounds what a stream of tiny writes costs to 2 MiB.
    static constexpr std::uint32_t kSegmentsMax = 32768;
    static constexpr std::uint32_t kNone = 0xffffffff;

    bool empty() const { return first_ == end_; }
    bool full() const { return count() >= kSegmentsMax; }
    std::uint32_t count() const { return distance(end_, first_); }
    // Numbers; walk with after() until end().
    std::uint32_t first() const { return first_; }
    std::uint32_t end() const { return end_; }
    static std::uint32_t after(std::uint32_t number) { return (number + 1) & kNumberMask; }
    // Precondition: not empty().
    std::uint32_t last() const { return (end_ - 1) & kNumberMask; }
    SentSegment& operator[](std::uint32_t number) { return slots_[number & slot_mask()]; }
    const SentSegment& operator[](std::uint32_t number) const {
        return slots_[number & slot_mask()];
    }
    // The segment that holds `seq`, end() when none does.
    std::uint32_t find(SeqNum seq) const;

    // Appends a segment that has just been sent. Precondition: not full().
    void push(const SentSegment& segment);
    void pop_first();
    // Cuts the first segment at its front; it was acknowledged in part.
    void trim_first(SeqNum begin);
    // Into the list of those in flight, as the latest.
    void put_in_flight(std::uint32_t number);
    void mark_lost(std::uint32_t number);
    void mark_sacked(std::uint32_t number);
    // Joins the first two segments if both are lost and `most` bytes hold them, so that tiny ones
    // are sent again together. False when they are not.
    bool merge_first(std::uint32_t most);
    // Those believed lost are in flight after all, and older than all others.
    void restore_lost();
    // Cuts segments longer than `most` into pieces, for a path that takes only smaller ones.
    void resegment(std::uint32_t most);

    // The one that was sent longest ago, and the one to be sent again next; kNone if there is none.
    std::uint32_t oldest_in_flight() const { return in_flight_.head; }
    std::uint32_t first_lost() const { return lost_.head; }

    std::uint32_t in_flight_bytes() const { return in_flight_.bytes; }
    std::uint32_t lost_bytes() const { return lost_.bytes; }
    std::uint32_t sacked_bytes() const { return sacked_bytes_; }
    std::uint32_t sacked_count() const { return sacked_count_; }
    // In flight and sent more than once.
    std::uint32_t repeated_bytes() const;

private:
    // So that kNone is no number.
    static constexpr std::uint32_t kNumberMask = 0x7fffffff;
    struct List {
        std::uint32_t head = kNone;
        std::uint32_t tail = kNone;
        std::uint32_t bytes = 0;
    };
    static std::uint32_t distance(std::uint32_t to, std::uint32_t from) {
        return (to - from) & kNumberMask;
    }
    std::uint32_t slot_mask() const { return static_cast<std::uint32_t>(slots_.size()) - 1; }
    void grow();
    void link_back(List& list, std::uint32_t number);
    void link_front(List& list, std::uint32_t number);
    void leave_list(std::uint32_t number);

    std::vector<SentSegment> slots_;  // a power of two
    std::uint32_t first_ = 0;
    std::uint32_t end_ = 0;
    List in_flight_;
    List lost_;
    std::uint32_t sacked_bytes_ = 0;
    std::uint32_t sacked_count_ = 0;
};

}  // namespace selvage::netstack
