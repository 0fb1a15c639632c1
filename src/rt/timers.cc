// The timer heap.
#include "rt/timers.h"

namespace selvage::rt {

TimerId TimerService::at(TimePoint when, Callback callback) {
    const std::uint64_t id = next_id_++;
    const bool earlier = by_time_.empty() || when < by_time_.begin()->first.first;
    by_time_.emplace(Key{when, id}, std::move(callback));
    when_.emplace(id, when);
    if (earlier) on_earlier(when);
    return TimerId(id);
}

bool TimerService::cancel(TimerId id) {
    const auto found = when_.find(id.raw());
    if (found == when_.end()) return false;
    by_time_.erase(Key{found->second, id.raw()});
    when_.erase(found);
    return true;
}

std::optional<TimePoint> TimerService::next() const {
    if (by_time_.empty()) return std::nullopt;
    return by_time_.begin()->first.first;
}

void TimerService::run_due(TimePoint now) {
    // A callback may add or cancel timers, so the first due one is looked up again every time;
    // the id limit keeps one that re-arms itself for `now` from holding the loop.
    const std::uint64_t limit = next_id_;
    auto it = by_time_.begin();
    while (it != by_time_.end() && it->first.first <= now) {
        if (it->first.second >= limit) {
            ++it;
            continue;
        }
        const Key key = it->first;
        Callback callback = std::move(it->second);
        by_time_.erase(it);
        when_.erase(key.second);
        callback();
        it = by_time_.begin();
    }
}

}  // namespace selvage::rt
