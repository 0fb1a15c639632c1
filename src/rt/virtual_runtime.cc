// The loop of virtual time.
#include "rt/virtual_runtime.h"

#include <stdexcept>

namespace selvage::rt {

void VirtualRuntime::InlineWorkers::submit(std::move_only_function<void()> job) {
    // Work takes time; a fixed amount keeps runs equal.
    runtime_.timers_.at(runtime_.now_ + 1ms, [job = std::move(job)]() mutable { job(); });
}

void VirtualRuntime::run_ready() {
    do {
        io_.restart();
        io_.poll();
        timers_.run_due(now_);
        io_.restart();
    } while (io_.poll() > 0);
}

bool VirtualRuntime::run_until(const std::function<bool()>& done, Duration limit) {
    const TimePoint end = now_ + limit;
    for (;;) {
        run_ready();
        if (done()) return true;
        const auto next = timers_.next();
        if (!next || *next > end) {
            now_ = std::max(now_, end);
            run_ready();
            return done();
        }
        now_ = std::max(now_, *next);
        timers_.run_due(now_);
    }
}

void VirtualRuntime::run_for(Duration duration) {
    run_until([] { return false; }, duration);
}

void VirtualRuntime::finish_run(
    const bool& done, const std::exception_ptr& failure, Duration limit
) {
    if (!run_until([&done] { return done; }, limit)) {
        throw std::runtime_error("the task did not finish in the virtual time given");
    }
    if (failure) std::rethrow_exception(failure);
}

}  // namespace selvage::rt
