// Finds the segment size that a path bears where nobody says it: packets that are too large vanish
// without a message (RFC 4821, in a form that needs no timers and no packets of its own).
//
//   off --full segments time out twice in a row--> a size that every path bears, and then:
//   a segment of the size in question goes out in front of other new data
//     it arrives: segments have that size from now on; it was the full size: off
//     it is lost: what lies between is in question
//   too little is in question --ten minutes--> the full size is in question again
//
// The full size comes first: mostly the path was only away for a while.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/time.h"
#include "netstack/core/seq_num.h"

namespace selvage::netstack {

class MssSearch {
public:
    // Sizes as the MSS counts them: of a segment without its header, options included. An IPv6 path
    // bears packets of 1,280 bytes; for IPv4 the size is the one of RFC 4821, section 7.2.
    static constexpr std::uint32_t kSafe4 = 1024;
    static constexpr std::uint32_t kSafe6 = 1220;
    // Less to win is not worth losing a segment for.
    static constexpr std::uint32_t kStepMin = 32;
    static constexpr Duration kRest = std::chrono::minutes(10);  // RFC 8201, section 4

    bool on() const { return goal_ != 0; }
    // Segments of `mss` vanish.
    void start(std::uint32_t mss) {
        goal_ = std::max(goal_, static_cast<std::uint16_t>(mss));
        ceiling_ = goal_;
        trying_ = 0;
        next_at_ = {};
    }
    // The path is known to bear no more than `most`; segments have `mss`.
    void limit(std::uint32_t most, std::uint32_t mss) {
        goal_ = std::min(goal_, static_cast<std::uint16_t>(most));
        ceiling_ = std::min(ceiling_, goal_);
        if (goal_ <= mss) *this = {};
    }
    // The size to try next, when segments have `mss`; 0 while there is none.
    std::uint32_t next_size(std::uint32_t mss, TimePoint now) const {
        if (!on() || trying_ != 0 || now < next_at_) return 0;
        return ceiling_ == goal_ ? goal_ : mss + (ceiling_ - mss + 1) / 2;
    }
    // Precondition: next_size() gave `size`.
    void on_sent(std::uint32_t size, SeqNum end) {
        trying_ = static_cast<std::uint16_t>(size);
        end_ = end;
    }
    // A segment that ends there is lost, and was larger than `mss`.
    void on_lost(SeqNum end, std::uint32_t mss, TimePoint now) {
        if (trying_ == 0 || end != end_) return;
        ceiling_ = static_cast<std::uint16_t>(trying_ - 1);
        trying_ = 0;
        rest_when_found(mss, now);
    }
    // Everything before `una` has arrived; gives the size that the path has just shown to bear.
    std::optional<std::uint32_t> on_acked(SeqNum una, TimePoint now) {
        if (trying_ == 0 || una.before(end_)) return std::nullopt;
        const std::uint32_t size = trying_;
        trying_ = 0;
        if (size >= goal_) {
            *this = {};
        } else {
            rest_when_found(size, now);
        }
        return size;
    }

private:
    void rest_when_found(std::uint32_t mss, TimePoint now) {
        if (ceiling_ >= mss + kStepMin) return;
        ceiling_ = goal_;
        next_at_ = now + kRest;
    }

    std::uint16_t goal_ = 0;     // the full size; 0: off
    std::uint16_t ceiling_ = 0;  // the largest that is still in question
    std::uint16_t trying_ = 0;   // the size that is under way
    SeqNum end_;                 // of the segment of that size
    TimePoint next_at_{};
};

}  // namespace selvage::netstack
