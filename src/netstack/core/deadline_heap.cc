// A textbook binary heap that keeps track of where each index lies.
#include "netstack/core/deadline_heap.h"

namespace selvage::netstack {

void DeadlineHeap::place(std::size_t slot, Entry entry) {
    heap_[slot] = entry;
    slots_[entry.index] = static_cast<std::uint32_t>(slot);
}

void DeadlineHeap::sift_up(std::size_t slot) {
    const Entry entry = heap_[slot];
    while (slot > 0) {
        const std::size_t parent = (slot - 1) / 2;
        if (heap_[parent].at <= entry.at) break;
        place(slot, heap_[parent]);
        slot = parent;
    }
    place(slot, entry);
}

void DeadlineHeap::sift_down(std::size_t slot) {
    const Entry entry = heap_[slot];
    for (;;) {
        std::size_t child = slot * 2 + 1;
        if (child >= heap_.size()) break;
        if (child + 1 < heap_.size() && heap_[child + 1].at < heap_[child].at) ++child;
        if (entry.at <= heap_[child].at) break;
        place(slot, heap_[child]);
        slot = child;
    }
    place(slot, entry);
}

void DeadlineHeap::set(std::uint32_t index, TimePoint at) {
    if (slots_.size() <= index) slots_.resize(index + std::size_t{1}, kAbsent);
    std::size_t slot = slots_[index];
    if (slot == kAbsent) {
        slot = heap_.size();
        heap_.push_back({at, index});
    } else {
        heap_[slot].at = at;
    }
    sift_up(slot);
    sift_down(slots_[index]);
}

void DeadlineHeap::erase(std::uint32_t index) {
    if (index >= slots_.size() || slots_[index] == kAbsent) return;
    const std::size_t slot = slots_[index];
    slots_[index] = kAbsent;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (slot == heap_.size()) return;
    place(slot, last);
    sift_up(slot);
    sift_down(slots_[last.index]);
}

std::optional<TimePoint> DeadlineHeap::deadline_of(std::uint32_t index) const {
    if (index >= slots_.size() || slots_[index] == kAbsent) return std::nullopt;
    return heap_[slots_[index]].at;
}

}  // namespace selvage::netstack
