// Drives the real loop from a test, on the test's own thread. The limits are reached only when a
// test fails. For virtual time there is VirtualRuntime.
#pragma once

#include <functional>
#include <optional>
#include <stdexcept>

#include "rt/loop.h"
#include "rt/scope.h"

namespace selvage::rt {

class TestLoop {
public:
    TestLoop() = default;
    TestLoop(const TestLoop&) = delete;
    TestLoop& operator=(const TestLoop&) = delete;
    ~TestLoop() { settle(); }

    Runtime& runtime() { return loop_; }

    // Runs until `done` holds; false when it never did.
    bool run_until(const std::function<bool()>& done, Duration limit = 20s) {
        const TimePoint give_up = loop_.now() + limit;
        bool held = false;
        Timer timer(loop_.timers());
        std::function<void()> look = [&] {
            held = done();
            if (held || loop_.now() >= give_up) {
                loop_.stop();
            } else {
                timer.set(loop_.now() + 1ms, [&] { look(); });
            }
        };
        timer.set(loop_.now(), [&] { look(); });
        loop_.run();
        return held;
    }
    // Lets everything that is already under way happen.
    void settle() {
        int turns = 0;
        run_until([&] { return ++turns > 5; });
    }
    // Runs a task to its end and returns its value.
    template <class T>
    T run(Task<T> task) {
        std::optional<T> out;
        TaskScope scope(loop_, Log());
        scope.spawn("test", keep(std::move(task), out));
        if (!run_until([&] { return scope.empty(); })) throw_never_ended(scope);
        if (!out) throw std::runtime_error("the task ended without a value");
        return std::move(*out);
    }
    // False when tasks are left although they were cancelled.
    bool close(TaskScope& scope) {
        // On the loop, as everything that touches a scope: elsewhere a cancellation is posted, and
        // may arrive when its task is gone.
        bool asked = false;
        loop_.post([&] {
            scope.start_closing();
            asked = true;
        });
        return run_until([&] { return asked && scope.empty(); });
    }

private:
    template <class T>
    static Task<> keep(Task<T> task, std::optional<T>& out) {
        out.emplace(co_await std::move(task));
    }
    void throw_never_ended(TaskScope& scope) {
        if (!close(scope)) std::abort();  // it holds references to what is about to go
        throw std::runtime_error("the task did not end by itself");
    }

    LoopRuntime loop_;
};

}  // namespace selvage::rt
