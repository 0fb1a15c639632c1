// The real loop and the kernel's sockets on loopback, driven from a test.
#pragma once

#include <functional>

#include "host/linux/host.h"
#include "rt/loop.h"
#include "rt/scope.h"

namespace selvage::test {

class LoopWorld {
public:
    ~LoopWorld() { settle(); }

    rt::Runtime& runtime() { return loop_; }
    host::Sockets& sockets() { return *sockets_; }
    packet::PacketPool& pool() { return pool_; }

    // Runs until `done` holds. The limit is only reached when a test fails.
    bool run_until(const std::function<bool()>& done, Duration limit = 20s) {
        const TimePoint give_up = loop_.now() + limit;
        bool held = false;
        rt::Timer timer(loop_.timers());
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
    template <class T>
    T run(rt::Task<T> task) {
        std::optional<T> out;
        rt::TaskScope scope(loop_, Log());
        scope.spawn("test", keep(std::move(task), out));
        EXPECT_TRUE(run_until([&] { return scope.empty(); })) << "the task did not end";
        if (!out) throw std::runtime_error("the task ended without a value");
        return std::move(*out);
    }
    void close(rt::TaskScope& scope) {
        scope.start_closing();
        EXPECT_TRUE(run_until([&] { return scope.empty(); })) << "tasks are left";
    }

private:
    template <class T>
    static rt::Task<> keep(rt::Task<T> task, std::optional<T>& out) {
        out.emplace(co_await std::move(task));
    }

    rt::LoopRuntime loop_;
    packet::PacketPool pool_;
    std::unique_ptr<host::Sockets> sockets_ = host::make_linux_sockets(loop_, pool_);
};

}  // namespace selvage::test
