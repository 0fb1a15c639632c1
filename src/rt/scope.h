// TaskScope: owns the coroutines of one object. Nothing is detached.
//
//   scope_.spawn("ping 7", ping_loop(conn));      // runs until it returns or the scope is closed
//   co_await scope_.close();                      // cancels all of them and waits
//
// A task that ends with an exception other than cancellation is a bug: it is logged and counted,
// and on_failure (if set) may end what the task belonged to; the process goes on.
#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <exception>
#include <functional>
#include <map>
#include <string>

#include "base/log.h"
#include "rt/event.h"
#include "rt/task.h"

namespace selvage::rt {

class TaskScope {
public:
    TaskScope(Runtime& runtime, Log log)
        : runtime_(&runtime), log_(std::move(log)), idle_(runtime) {}
    TaskScope(const TaskScope&) = delete;
    TaskScope& operator=(const TaskScope&) = delete;
    ~TaskScope();  // Precondition: empty; close() or wait until its tasks have returned

    // Starts `task` in a later turn of the loop. After close() it is dropped unstarted. The number
    // returned is for cancel_one(); 0 when dropped.
    std::uint64_t spawn(std::string name, Task<> task);
    // Asks one task to end; nothing happens when it is gone. Not from the task itself.
    void cancel_one(std::uint64_t id);
    // Asks every task to end. They end in later turns.
    void cancel();
    // No new tasks; cancels and waits until the last one is gone. Not from one of its own tasks.
    Task<> close();
    // As close(), without waiting: for owners that learn of the end through empty().
    void start_closing() {
        closing_ = true;
        cancel();
    }

    bool empty() const { return tasks_.empty(); }
    std::size_t size() const { return tasks_.size(); }
    // Waits until no task is left, without cancelling.
    Task<> wait_empty();

private:
    struct Entry {
        std::string name;
        boost::asio::cancellation_signal signal;
    };
    void on_done(std::uint64_t id, std::exception_ptr error);

    Runtime* runtime_;
    Log log_;
    Event idle_;
    bool closing_ = false;
    std::uint64_t next_id_ = 1;
    std::map<std::uint64_t, Entry> tasks_;  // bounded by the owner's own limit of what it spawns
};

// The message of an exception that ended a task; empty for a cancellation.
std::string describe_failure(const std::exception_ptr& error);

}  // namespace selvage::rt
