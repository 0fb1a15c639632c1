// The loop thread: turns, the clock, the wake-up timer, signals and workers.
#include "rt/loop.h"

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <random>

namespace selvage::rt {

namespace asio = boost::asio;

namespace {

TimePoint read_clock() {
    return TimePoint(std::chrono::steady_clock::now().time_since_epoch());
}

std::uint64_t os_seed() {
    std::random_device device;
    return (std::uint64_t{device()} << 32) | device();
}

}  // namespace

struct LoopRuntime::Signals {
    explicit Signals(asio::io_context& io) : stop(io), hangup(io) {}

    void wait(asio::signal_set& set, const std::function<void()>& callback) {
        set.async_wait([this, &set, callback](boost::system::error_code error, int) {
            if (error) return;
            callback();
            wait(set, callback);
        });
    }

    asio::signal_set stop;
    asio::signal_set hangup;
};

LoopRuntime::LoopRuntime(LoopOptions options)
    : rng_(os_seed()),
      signals_(std::make_unique<Signals>(io_)),
      workers_(std::max(1U, options.worker_threads)) {}

LoopRuntime::~LoopRuntime() {
    workers_.join();
}

TimePoint LoopRuntime::now() {
    if (!now_) now_ = read_clock();
    return *now_;
}

WallTime LoopRuntime::wall_now() {
    return std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
}

void LoopRuntime::run() {
    const auto guard = asio::make_work_guard(io_);
    while (!stopping_) {
        now_.reset();
        if (io_.run_one() == 0) io_.restart();
        // A handler that asked for the time began its turn then; the others are not worth a call.
        if (now_) longest_turn_ = std::max(longest_turn_, read_clock() - *now_);
    }
    stopping_ = false;
}

void LoopRuntime::stop() {
    asio::post(io_, [this] { stopping_ = true; });
}

void LoopRuntime::on_stop_signal(std::function<void()> callback) {
    signals_->stop.add(SIGINT);
    signals_->stop.add(SIGTERM);
    signals_->wait(signals_->stop, callback);
}

void LoopRuntime::on_hangup_signal(std::function<void()> callback) {
    signals_->hangup.add(SIGHUP);
    signals_->wait(signals_->hangup, callback);
}

void LoopRuntime::wake_at(TimePoint when) {
    if (armed_ && *armed_ <= when) return;
    armed_ = when;
    wake_.expires_at(std::chrono::steady_clock::time_point(
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(when.time_since_epoch())
    ));
    wake_.async_wait([this](boost::system::error_code error) {
        if (!error) on_wake();
    });
}

void LoopRuntime::on_wake() {
    armed_.reset();
    timers_.run_due(now());
    if (const auto next = timers_.next()) wake_at(*next);
}

void LoopRuntime::Threads::submit(std::move_only_function<void()> job) {
    asio::post(pool_, std::move(job));
}

}  // namespace selvage::rt
