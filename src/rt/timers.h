// One heap of timers per loop, ordered by time and then by creation, so that equal runs are equal.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "base/ids.h"
#include "base/time.h"

namespace selvage::rt {

using TimerId = Id<struct TimerTag, std::uint64_t>;

class TimerService {
public:
    using Callback = std::move_only_function<void()>;

    TimerService() = default;
    TimerService(const TimerService&) = delete;
    TimerService& operator=(const TimerService&) = delete;
    virtual ~TimerService() = default;

    // Calls `callback` once, on the loop, not before `when`, never from inside at().
    TimerId at(TimePoint when, Callback callback);
    // False when it already ran or never existed.
    bool cancel(TimerId id);

    std::optional<TimePoint> next() const;
    // Runs what is due at `now`, in order; timers added meanwhile wait for the next call.
    void run_due(TimePoint now);
    std::size_t size() const { return by_time_.size(); }

protected:
    // The earliest time changed; the loop must wake up then.
    virtual void on_earlier(TimePoint) {}

private:
    using Key = std::pair<TimePoint, std::uint64_t>;
    std::uint64_t next_id_ = 1;
    std::map<Key, Callback> by_time_;  // bounded by what its owners create: a few per connection
    std::unordered_map<std::uint64_t, TimePoint> when_;
};

// A timer that is cancelled when its owner goes; set() replaces what was set.
class Timer {
public:
    explicit Timer(TimerService& service) : service_(&service) {}
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    ~Timer() { cancel(); }

    void set(TimePoint when, TimerService::Callback callback) {
        cancel();
        id_ = service_->at(when, [this, run = std::move(callback)]() mutable {
            id_ = TimerId{};
            run();
        });
    }
    void cancel() {
        if (id_) service_->cancel(std::exchange(id_, TimerId{}));
    }
    bool pending() const { return static_cast<bool>(id_); }

private:
    TimerService* service_;
    TimerId id_;
};

}  // namespace selvage::rt
