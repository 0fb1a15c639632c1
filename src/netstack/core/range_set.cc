// Sorted ranges in a flat vector: there are few, and they are walked far more often than changed.
#include "netstack/core/range_set.h"

#include <algorithm>

namespace selvage::netstack {

bool RangeSet::insert(SeqRange range) {
    if (range.begin == range.end) return true;
    // The first range that ends at or after our begin, so that touching ranges are joined.
    auto first = std::find_if(ranges_.begin(), ranges_.end(), [&](const SeqRange& r) {
        return r.end.at_or_after(range.begin);
    });
    auto last = first;
    while (last != ranges_.end() && last->begin.at_or_before(range.end)) {
        range.begin = earlier(range.begin, last->begin);
        range.end = later(range.end, last->end);
        ++last;
    }
    if (first == last) {
        if (ranges_.size() >= limit_) return false;
        ranges_.insert(first, range);
        return true;
    }
    *first = range;
    ranges_.erase(first + 1, last);
    return true;
}

void RangeSet::trim_before(SeqNum seq) {
    auto keep = std::find_if(ranges_.begin(), ranges_.end(), [&](const SeqRange& r) {
        return r.end.after(seq);
    });
    ranges_.erase(ranges_.begin(), keep);
    if (!ranges_.empty() && ranges_.front().begin.before(seq)) ranges_.front().begin = seq;
    give_back();
}

bool RangeSet::covers(SeqRange range) const {
    return count_within(range) == range.size();
}

std::uint32_t RangeSet::count_within(SeqRange range) const {
    std::uint32_t count = 0;
    for (const SeqRange& r : ranges_) {
        if (r.begin.at_or_after(range.end)) break;
        const SeqNum begin = later(r.begin, range.begin);
        const SeqNum end = earlier(r.end, range.end);
        if (end.after(begin)) count += end.since(begin);
    }
    return count;
}

std::optional<SeqRange> RangeSet::find(SeqNum seq) const {
    for (const SeqRange& r : ranges_) {
        if (r.begin.at_or_before(seq) && r.end.after(seq)) return r;
    }
    return std::nullopt;
}

std::uint32_t RangeSet::total() const {
    std::uint32_t sum = 0;
    for (const SeqRange& r : ranges_)
        sum += r.size();
    return sum;
}

}  // namespace selvage::netstack
