// The next deadline of every connection: a binary heap with positions, so that one entry can be
// moved or removed by its index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"

namespace selvage::netstack {

class DeadlineHeap {
public:
    struct Entry {
        TimePoint at;
        std::uint32_t index = 0;
    };

    // Sets the deadline of `index`, replacing the one it had.
    void set(std::uint32_t index, TimePoint at);
    void erase(std::uint32_t index);
    std::optional<TimePoint> deadline_of(std::uint32_t index) const;
    std::optional<Entry> top() const {
        if (heap_.empty()) return std::nullopt;
        return heap_.front();
    }

private:
    static constexpr std::uint32_t kAbsent = 0xffffffff;
    void place(std::size_t slot, Entry entry);
    void sift_up(std::size_t slot);
    void sift_down(std::size_t slot);

    std::vector<Entry> heap_;
    std::vector<std::uint32_t> slots_;  // by index: where in heap_, or kAbsent
};

}  // namespace selvage::netstack
