// A runtime in virtual time: runs everything that is ready, then jumps to the next timer.
//
// For unit tests and, with hosts and links around it, for the simulated world. Single-threaded and
// deterministic: equal seed, equal run. The clock does not start at zero, because somebody will
// use zero for "never".
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <functional>
#include <optional>

#include "rt/runtime.h"

namespace selvage::rt {

class VirtualRuntime final : public Runtime {
public:
    explicit VirtualRuntime(std::uint64_t seed = 1) : rng_(seed), workers_(*this) {}
    // Destroys what is still suspended; destructors of coroutine frames may use the runtime.
    ~VirtualRuntime() override = default;

    Executor executor() override { return io_.get_executor(); }
    TimePoint now() override { return now_; }
    WallTime wall_now() override {
        return WallTime(std::chrono::seconds(1'800'000'000)) + (now_ - kStart);
    }
    TimerService& timers() override { return timers_; }
    Rng& rng() override { return rng_; }
    WorkerPool& workers() override { return workers_; }

    // Runs what is ready now, without moving the clock.
    void run_ready();
    // Runs until `done` holds; false when `limit` of virtual time passed, or nothing is left to
    // happen, before it did.
    bool run_until(const std::function<bool()>& done, Duration limit);
    // Runs for exactly this long.
    void run_for(Duration duration);

    // Runs a coroutine to its end and returns its value; throws what it throws. Virtual time passes
    // as needed, at most `limit`; std::runtime_error beyond it.
    template <class T>
    T run(Task<T> task, Duration limit = std::chrono::hours(1)) {
        std::optional<T> value;
        std::exception_ptr failure;
        bool done = false;
        boost::asio::co_spawn(io_, std::move(task), [&](std::exception_ptr error, T result) {
            failure = error;
            if (!error) value.emplace(std::move(result));
            done = true;
        });
        finish_run(done, failure, limit);
        return std::move(*value);
    }
    void run(Task<> task, Duration limit = std::chrono::hours(1)) {
        std::exception_ptr failure;
        bool done = false;
        boost::asio::co_spawn(io_, std::move(task), [&](std::exception_ptr error) {
            failure = error;
            done = true;
        });
        finish_run(done, failure, limit);
    }

private:
    static constexpr TimePoint kStart = TimePoint(std::chrono::hours(1000));

    class InlineWorkers final : public WorkerPool {
    public:
        explicit InlineWorkers(VirtualRuntime& runtime) : runtime_(runtime) {}
        void submit(std::move_only_function<void()> job) override;

    private:
        VirtualRuntime& runtime_;
    };

    void finish_run(const bool& done, const std::exception_ptr& failure, Duration limit);

    TimePoint now_ = kStart;
    TimerService timers_;
    Rng rng_;
    InlineWorkers workers_;
    boost::asio::io_context io_{1};  // last: coroutine frames that it destroys use the others
};

}  // namespace selvage::rt
