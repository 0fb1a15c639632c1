// ReadModeration: when a socket or device that is busy with few packets at a time is read again.
//
// A sender without segmentation offload gives its packets to the network one by one. A reader that
// wakes for each of them pays a turn of the loop a packet, writes the packets to the TUN device one
// by one, and so makes the kernel acknowledge every other one: work for both ends. A moment later
// the same read brings a train. Network cards moderate their interrupts likewise.
//
// Reads are counted in a token bucket. When it is empty the next read waits; where that gathers
// nothing, packets come in turns with our answers, and the bucket is full again. Trains are free:
// they were gathered by their sender.
#pragma once

#include <algorithm>
#include <cstddef>

#include "base/time.h"

namespace selvage::host {

class ReadModeration {
public:
    // How long to leave alone what was just read at `now` and gave `packets`; zero: until it is
    // readable.
    Duration after_read(TimePoint now, std::size_t packets) {
        const bool in_vain = held_ && packets < kWorthwhile;
        free_at_ = in_vain ? now - kBurst * kEach : std::max(free_at_, now - kBurst * kEach);
        if (packets < (held_ ? kLongTrain : kTrain)) free_at_ += kEach;
        held_ = free_at_ > now;
        return held_ ? kHold : Duration{0};
    }

private:
    static constexpr int kBurst = 16;         // reads without a wait
    static constexpr Duration kEach = 500us;  // and one more after so long
    // Far below what fills a socket's buffer, and what a packet waits on a busy processor anyway.
    static constexpr Duration kHold = 500us;
    static constexpr std::size_t kWorthwhile = 3;
    static constexpr std::size_t kTrain = 16;
    static constexpr std::size_t kLongTrain = 64;  // more than the wait itself makes of single ones

    TimePoint free_at_{};  // when the bucket was, or will be, empty no more
    bool held_ = false;
};

}  // namespace selvage::host
