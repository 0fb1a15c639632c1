// A bounded set of sequence numbers as sorted, disjoint ranges: what arrived out of order, and
// what the peer said it holds (SACK).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "netstack/core/seq_num.h"

namespace selvage::netstack {

class RangeSet {
public:
    // Beyond `limit` ranges an insertion that would make one more is refused; the caller treats
    // the segment or the SACK block as lost, which costs a retransmission and nothing else.
    explicit RangeSet(std::size_t limit) : limit_(limit) {}

    // Adds the range, joining what it touches. False when the limit refused it.
    [[nodiscard]] bool insert(SeqRange range);
    // Forgets everything before `seq`.
    void trim_before(SeqNum seq);
    void clear() {
        ranges_.clear();
        give_back();
    }

    bool empty() const { return ranges_.empty(); }
    std::span<const SeqRange> ranges() const { return ranges_; }
    // Whether every number of the range is in the set.
    bool covers(SeqRange range) const;
    // How many numbers of `range` are in the set.
    std::uint32_t count_within(SeqRange range) const;
    // The range that holds `seq`.
    std::optional<SeqRange> find(SeqNum seq) const;
    std::uint32_t total() const;

private:
    // Of an empty set: a connection keeps no memory of the worst that its path ever did.
    static constexpr std::size_t kKeptRanges = 8;
    void give_back() {
        if (ranges_.empty() && ranges_.capacity() > kKeptRanges) ranges_ = std::vector<SeqRange>();
    }

    std::size_t limit_;
    std::vector<SeqRange> ranges_;
};

}  // namespace selvage::netstack
