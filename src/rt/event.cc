// Event, and the sleeping that is built from it.
#include "rt/event.h"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>

namespace selvage::rt {

namespace asio = boost::asio;

template <class Handler>
struct Event::WaiterOf final : Event::WaiterBase {
    WaiterOf(Handler h, Executor ex)
        : handler(std::move(h)), executor(ex), guard(asio::make_work_guard(ex)) {}
    void complete(boost::system::error_code error, bool notified) override {
        asio::get_associated_cancellation_slot(handler).clear();
        asio::post(executor, [h = std::move(handler), error, notified]() mutable {
            std::move(h)(error, notified);
        });
    }
    Handler handler;
    Executor executor;
    asio::executor_work_guard<Executor> guard;
};

template <class Handler>
void Event::add(Handler handler, std::optional<TimePoint> deadline) {
    auto slot = asio::get_associated_cancellation_slot(handler);
    auto owned = std::make_unique<WaiterOf<Handler>>(std::move(handler), runtime_->executor());
    WaiterBase& waiter = *owned;
    waiters_.push_back(std::move(owned));
    waiter.at = std::prev(waiters_.end());
    if (deadline) {
        waiter.timer = runtime_->timers().at(*deadline, [this, &waiter] {
            waiter.timer = TimerId{};
            finish(waiter, {}, false);
        });
    }
    if (slot.is_connected()) {
        slot.assign([this, &waiter](asio::cancellation_type type) {
            if (type == asio::cancellation_type::none) return;
            finish(waiter, asio::error::operation_aborted, false);
        });
    }
}

void Event::finish(WaiterBase& waiter, boost::system::error_code error, bool notified) {
    if (waiter.timer) runtime_->timers().cancel(waiter.timer);
    const auto owned = std::move(*waiter.at);
    waiters_.erase(waiter.at);
    owned->complete(error, notified);
}

void Event::notify() {
    while (!waiters_.empty())
        finish(*waiters_.front(), {}, true);
}

void Event::drop_all() {
    while (!waiters_.empty())
        finish(*waiters_.front(), asio::error::operation_aborted, false);
}

Task<> Event::wait() {
    co_await asio::async_initiate<
        const asio::use_awaitable_t<>, void(boost::system::error_code, bool)>(
        [this](auto handler) { add(std::move(handler), std::nullopt); }, asio::use_awaitable
    );
}

Task<bool> Event::wait_until(TimePoint deadline) {
    co_return co_await asio::async_initiate<
        const asio::use_awaitable_t<>, void(boost::system::error_code, bool)>(
        [this, deadline](auto handler) { add(std::move(handler), deadline); }, asio::use_awaitable
    );
}

Task<> sleep_until(Runtime& runtime, TimePoint when) {
    Event never(runtime);
    co_await never.wait_until(when);
}

Task<> sleep_for(Runtime& runtime, Duration duration) {
    co_await sleep_until(runtime, runtime.now() + duration);
}

Task<> yield(Runtime& runtime) {
    co_await asio::post(runtime.executor(), asio::use_awaitable);
}

}  // namespace selvage::rt
