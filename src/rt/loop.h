// The real runtime: one io_context, one thread, the steady clock read once a turn.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <optional>

#include "rt/runtime.h"

namespace selvage::rt {

struct LoopOptions {
    unsigned worker_threads = 1;
};

class LoopRuntime final : public Runtime {
public:
    explicit LoopRuntime(LoopOptions options = {});
    ~LoopRuntime() override;

    Executor executor() override { return io_.get_executor(); }
    TimePoint now() override;
    WallTime wall_now() override;
    TimerService& timers() override { return timers_; }
    Rng& rng() override { return rng_; }
    WorkerPool& workers() override { return workers_; }

    // Runs on the calling thread until stop() was called.
    void run();
    // May be called from any thread.
    void stop();
    // Calls `callback` on the loop at the first SIGINT or SIGTERM, and again at each later one.
    void on_stop_signal(std::function<void()> callback);
    // Calls `callback` on the loop at each SIGHUP.
    void on_hangup_signal(std::function<void()> callback);

    Duration longest_turn() const { return longest_turn_; }

private:
    class Timers final : public TimerService {
    public:
        explicit Timers(LoopRuntime& loop) : loop_(loop) {}

    protected:
        void on_earlier(TimePoint when) override { loop_.wake_at(when); }

    private:
        LoopRuntime& loop_;
    };
    class Threads final : public WorkerPool {
    public:
        explicit Threads(unsigned count) : pool_(count) {}
        void submit(std::move_only_function<void()> job) override;
        void join() { pool_.join(); }

    private:
        boost::asio::thread_pool pool_;
    };
    struct Signals;

    void wake_at(TimePoint when);
    void on_wake();

    Timers timers_{*this};
    Rng rng_;
    std::optional<TimePoint> now_;  // empty between turns
    std::optional<TimePoint> armed_;
    Duration longest_turn_{0};
    bool stopping_ = false;
    boost::asio::io_context io_{1};
    boost::asio::steady_timer wake_{io_};
    std::unique_ptr<Signals> signals_;
    Threads workers_;
};

}  // namespace selvage::rt
