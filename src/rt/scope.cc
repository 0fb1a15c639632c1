// TaskScope over co_spawn with a cancellation slot per task.
#include "rt/scope.h"

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/multiple_exceptions.hpp>
#include <boost/system/system_error.hpp>
#include <cassert>

namespace selvage::rt {

namespace asio = boost::asio;

namespace {

// A completion handler with a cancellation slot and no executor of its own. The library's binder
// has one, and then a cancellation from outside a running loop is posted: it may arrive when its
// task is gone and touch what went with it.
template <class F>
struct WithSlot {
    using cancellation_slot_type = asio::cancellation_slot;
    cancellation_slot_type get_cancellation_slot() const noexcept { return slot; }
    void operator()(std::exception_ptr error) { run(error); }
    asio::cancellation_slot slot;
    F run;
};

// Starts with a turn of its own, so that spawn() never runs the task inside its caller.
Task<> start_later(Executor executor, Task<> task) {
    co_await asio::post(executor, asio::use_awaitable);
    co_await std::move(task);
}

}  // namespace

std::string describe_failure(const std::exception_ptr& error) {
    if (!error) return {};
    try {
        std::rethrow_exception(error);
    } catch (const boost::system::system_error& e) {
        if (e.code() == asio::error::operation_aborted) return {};
        return e.what();
    } catch (const asio::multiple_exceptions& e) {
        // Of awaits that ran side by side: a cancellation ends them all.
        return describe_failure(e.first_exception());
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "unknown exception";
    }
}

TaskScope::~TaskScope() {
    assert(tasks_.empty());
}

std::uint64_t TaskScope::spawn(std::string name, Task<> task) {
    if (closing_) return 0;
    const std::uint64_t id = next_id_++;
    Entry& entry = tasks_[id];
    entry.name = std::move(name);
    asio::co_spawn(
        runtime_->executor(), start_later(runtime_->executor(), std::move(task)),
        WithSlot{
            entry.signal.slot(), [this, id](const std::exception_ptr& error) { on_done(id, error); }
        }
    );
    return id;
}

void TaskScope::cancel_one(std::uint64_t id) {
    const auto found = tasks_.find(id);
    if (found != tasks_.end()) found->second.signal.emit(asio::cancellation_type::terminal);
}

void TaskScope::on_done(std::uint64_t id, std::exception_ptr error) {
    const auto found = tasks_.find(id);
    const std::string failure = describe_failure(error);
    if (!failure.empty()) {
        log_.error("task failed", "task=\"{}\" reason=\"{}\"", found->second.name, failure);
    }
    tasks_.erase(found);
    if (tasks_.empty()) idle_.notify();
}

void TaskScope::cancel() {
    // A cancelled task may end at once and erase its entry, so ids are looked up one by one.
    for (auto it = tasks_.begin(); it != tasks_.end();) {
        const std::uint64_t id = it->first;
        it->second.signal.emit(asio::cancellation_type::terminal);
        it = tasks_.upper_bound(id);
    }
}

Task<> TaskScope::close() {
    start_closing();
    co_await wait_empty();
}

Task<> TaskScope::wait_empty() {
    while (!tasks_.empty())
        co_await idle_.wait();
}

}  // namespace selvage::rt
