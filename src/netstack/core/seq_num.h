// TCP sequence numbers: 32 bits that wrap, compared by distance, and half-open ranges of them.
#pragma once

#include <cstdint>

namespace selvage::netstack {

// Has no operator<: two sequence numbers have an order only when they are less than 2^31 apart.
class SeqNum {
public:
    constexpr SeqNum() = default;
    constexpr explicit SeqNum(std::uint32_t raw) : raw_(raw) {}

    constexpr std::uint32_t raw() const { return raw_; }
    constexpr bool before(SeqNum other) const { return distance(other, *this) < 0; }
    constexpr bool after(SeqNum other) const { return distance(other, *this) > 0; }
    constexpr bool at_or_before(SeqNum other) const { return !after(other); }
    constexpr bool at_or_after(SeqNum other) const { return !before(other); }
    // How many numbers lie from `from` up to this one. Precondition: at_or_after(from).
    constexpr std::uint32_t since(SeqNum from) const { return raw_ - from.raw_; }

    constexpr SeqNum& operator+=(std::uint32_t count) {
        raw_ += count;
        return *this;
    }
    friend constexpr SeqNum operator+(SeqNum a, std::uint32_t count) {
        return SeqNum(a.raw_ + count);
    }
    friend constexpr SeqNum operator-(SeqNum a, std::uint32_t count) {
        return SeqNum(a.raw_ - count);
    }
    friend constexpr bool operator==(SeqNum, SeqNum) = default;

private:
    static constexpr std::int32_t distance(SeqNum from, SeqNum to) {
        return static_cast<std::int32_t>(to.raw_ - from.raw_);
    }
    std::uint32_t raw_ = 0;
};

constexpr SeqNum earlier(SeqNum a, SeqNum b) {
    return a.before(b) ? a : b;
}
constexpr SeqNum later(SeqNum a, SeqNum b) {
    return a.after(b) ? a : b;
}

struct SeqRange {
    SeqNum begin;
    SeqNum end;  // one past the last

    constexpr std::uint32_t size() const { return end.since(begin); }
    friend constexpr bool operator==(const SeqRange&, const SeqRange&) = default;
};

}  // namespace selvage::netstack
