// Things that come and go, named by index and generation: an old name never finds a newcomer.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace selvage::netstack {

template <class Tag>
struct SocketHandle {
    std::uint32_t index = 0;
    std::uint32_t generation = 0;  // 0 names nothing

    explicit operator bool() const { return generation != 0; }
    friend bool operator==(const SocketHandle&, const SocketHandle&) = default;
};

template <class T, class Handle>
class SlotTable {
public:
    // At most `limit` live entries; add() beyond it gives an empty handle.
    explicit SlotTable(std::size_t limit) : limit_(limit) {}

    std::size_t size() const { return slots_.size() - free_.size(); }
    bool full() const { return size() >= limit_; }

    Handle add(std::unique_ptr<T> value) {
        if (full()) return {};
        std::uint32_t index = 0;
        if (free_.empty()) {
            index = static_cast<std::uint32_t>(slots_.size());
            slots_.emplace_back();
        } else {
            index = free_.back();
            free_.pop_back();
        }
        Slot& slot = slots_[index];
        slot.value = std::move(value);
        return {index, slot.generation};
    }
    void remove(std::uint32_t index) {
        Slot& slot = slots_[index];
        slot.value.reset();
        if (++slot.generation == 0) slot.generation = 1;
        free_.push_back(index);
    }
    T* find(Handle handle) const {
        if (handle.index >= slots_.size()) return nullptr;
        const Slot& slot = slots_[handle.index];
        return slot.generation == handle.generation ? slot.value.get() : nullptr;
    }
    T* at(std::uint32_t index) const {
        return index < slots_.size() ? slots_[index].value.get() : nullptr;
    }
    Handle handle_of(std::uint32_t index) const { return {index, slots_[index].generation}; }
    std::uint32_t index_end() const { return static_cast<std::uint32_t>(slots_.size()); }

private:
    struct Slot {
        std::unique_ptr<T> value;
        std::uint32_t generation = 1;
    };
    std::size_t limit_;
    std::vector<Slot> slots_;
    std::vector<std::uint32_t> free_;
};

}  // namespace selvage::netstack
