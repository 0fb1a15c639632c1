// Gives a task a deadline: with_timeout(runtime, 5s, dial(url)).
#pragma once

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <exception>

#include "base/error.h"
#include "rt/runtime.h"
#include "rt/scope.h"
#include "rt/task.h"

namespace selvage::rt {

// Errc::timed_out when `task` did not finish in time; it is cancelled and has ended by then. A
// cancellation of the caller cancels `task` and unwinds as usual.
template <class T>
Task<Result<T>> with_timeout(Runtime& runtime, Duration limit, Task<Result<T>> task) {
    namespace asio = boost::asio;
    asio::cancellation_signal signal;
    bool expired = false;
    Timer timer(runtime.timers());
    timer.set(runtime.now() + limit, [&signal, &expired] {
        expired = true;
        signal.emit(asio::cancellation_type::terminal);
    });
    auto state = co_await asio::this_coro::cancellation_state;
    auto slot = state.slot();
    if (slot.is_connected()) {
        slot.assign([&signal](asio::cancellation_type type) { signal.emit(type); });
    }
    try {
        auto value = co_await asio::co_spawn(
            runtime.executor(), std::move(task),
            asio::bind_cancellation_slot(signal.slot(), asio::use_awaitable)
        );
        if (slot.is_connected()) slot.clear();
        co_return value;
    } catch (...) {
        if (slot.is_connected()) slot.clear();
        // Ours only if it says nothing but "cancelled"; awaits that run side by side wrap that.
        if (!expired || !describe_failure(std::current_exception()).empty()) throw;
    }
    co_return Errc::timed_out;
}

}  // namespace selvage::rt
