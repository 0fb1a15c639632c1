// What a module needs to wait, to know the time and to draw a number.
//
// LoopRuntime (loop.h) is the real one, VirtualRuntime (virtual_runtime.h) the one of tests and of
// the simulation. All members are used on the loop only, except WorkerPool::submit's jobs.
#pragma once

#include <functional>
#include <type_traits>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/time.h"
#include "rt/rng.h"
#include "rt/task.h"
#include "rt/timers.h"

namespace selvage::rt {

// Threads for work that computes or blocks: password hashes, name resolution, files.
class WorkerPool {
public:
    virtual ~WorkerPool() = default;
    // Runs `job` on some thread, soon. The job takes its values with it and touches nothing else.
    virtual void submit(std::move_only_function<void()> job) = 0;
};

class Runtime {
public:
    virtual ~Runtime() = default;
    virtual Executor executor() = 0;
    virtual TimePoint now() = 0;  // constant during one turn of the loop
    virtual WallTime wall_now() = 0;
    virtual TimerService& timers() = 0;
    virtual Rng& rng() = 0;
    virtual WorkerPool& workers() = 0;

    // Runs `callback` in a later turn of the loop.
    template <class F>
    void post(F&& callback) {
        boost::asio::post(executor(), std::forward<F>(callback));
    }
};

// Suspends until the time has come.
Task<> sleep_until(Runtime& runtime, TimePoint when);
Task<> sleep_for(Runtime& runtime, Duration duration);
// Lets everything else that is ready go first.
Task<> yield(Runtime& runtime);

// Runs job() on a worker and returns its value. Not cancellable: a cancelled task goes on only
// when the job is done, so that nothing the job owns outlives the wait.
template <class F, class T = std::invoke_result_t<F>>
    requires(!std::is_void_v<T>)
Task<T> run_on_worker(Runtime& runtime, F job) {
    co_return co_await boost::asio::async_initiate<
        const boost::asio::use_awaitable_t<>, void(std::exception_ptr, T)>(
        [&runtime](auto handler, F work) {
            auto guard = boost::asio::make_work_guard(runtime.executor());
            runtime.workers().submit([handler = std::move(handler), work = std::move(work),
                                      executor = runtime.executor(),
                                      guard = std::move(guard)]() mutable {
                boost::asio::post(
                    executor,
                    [handler = std::move(handler), value = work()]() mutable {
                        std::move(handler)(std::exception_ptr{}, std::move(value));
                    }
                );
            });
        },
        boost::asio::use_awaitable, std::move(job)
    );
}

}  // namespace selvage::rt
