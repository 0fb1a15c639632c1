// A wake-up call for coroutines: wait() resumes after the next notify.
//
//   while (queue_.empty()) co_await changed_.wait();
//
// The condition is the caller's; an Event only says "look again".
#pragma once

#include <list>
#include <memory>

#include "base/time.h"
#include "rt/runtime.h"
#include "rt/task.h"

namespace selvage::rt {

class Event {
public:
    explicit Event(Runtime& runtime) : runtime_(&runtime) {}
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
    ~Event() { drop_all(); }  // those still waiting see a cancellation

    // Resumes everybody who waits now, in a later turn.
    void notify();
    // Suspends until the next notify(); throws when the task is cancelled.
    Task<> wait();
    // As wait(), but false when `deadline` came first.
    Task<bool> wait_until(TimePoint deadline);

private:
    struct Waiter;
    struct WaiterBase {
        virtual ~WaiterBase() = default;
        virtual void complete(boost::system::error_code error, bool notified) = 0;
        TimerId timer;
        std::list<std::unique_ptr<WaiterBase>>::iterator at;
    };
    template <class Handler>
    struct WaiterOf;
    template <class Handler>
    void add(Handler handler, std::optional<TimePoint> deadline);
    void finish(WaiterBase& waiter, boost::system::error_code error, bool notified);
    void drop_all();

    Runtime* runtime_;
    std::list<std::unique_ptr<WaiterBase>> waiters_;  // as many as tasks that wait here
};

}  // namespace selvage::rt
