// One stack of ours in virtual time, and the two threads that packetdrill uses it from.
//
// packetdrill's main thread plays the script: it sends and takes packets, sleeps, asks for the time
// and makes the calls that must not block. Calls that may block are made by a second thread, which
// first sleeps until it is their time while the main thread looks on. Time moves in sleeps, to the
// stack's next deadline or to the end of the sleep, whichever is earlier, and a little whenever
// somebody asks for it. When a call of the second thread can go on, the main thread waits until it
// has come back and asked what time it is: so a call ends at the virtual time that woke it, on a
// busy machine too.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "netstack/core/stack.h"

namespace selvage::packetdrill {

class StackWorld final : private netstack::PacketOut {
public:
    using Lock = std::unique_lock<std::mutex>;

    StackWorld();
    StackWorld(const StackWorld&) = delete;
    StackWorld& operator=(const StackWorld&) = delete;
    ~StackWorld() override;

    // Every other function wants this lock held.
    Lock lock() { return Lock(mutex_); }

    // Made with the settings of the moment when it is first asked for: by then the script's first
    // lines have run.
    netstack::Stack& stack();
    void add_address(const IpAddress& address);
    TimePoint now() const { return now_; }

    // Lets the stack speak, and wakes the call that can go on now.
    void poll(Lock& lock);
    // Returns when `ready` says so; false when it never will.
    bool wait_until(Lock& lock, const std::function<bool()>& ready);
    // What packetdrill calls.
    void sleep(Lock& lock, Duration duration);
    TimePoint ask_time(Lock& lock);
    void send(Lock& lock, ByteView packet);
    // The next packet that the stack has sent and when; empty when there will be none.
    struct Sent {
        Bytes bytes;
        TimePoint at;
    };
    std::optional<Sent> receive(Lock& lock);

private:
    struct Waiter {
        const std::function<bool()>& ready;
        bool woken = false;
    };

    void from_stack(packet::PacketBatch&& batch) override;
    bool congested(const IpAddress& destination) const override;
    void advance_to(Lock& lock, TimePoint when);
    void wake(Lock& lock);
    bool step(Lock& lock, TimePoint most);
    bool on_main_thread() const { return std::this_thread::get_id() == main_; }

    std::mutex mutex_;
    std::condition_variable changed_;
    const std::thread::id main_ = std::this_thread::get_id();
    Waiter* waiter_ = nullptr;  // packetdrill makes one blocking call at a time
    bool time_owed_ = false;    // a woken call has not asked for the time yet
    packet::PacketPool pool_{16384};
    std::vector<Prefix> addresses_;
    std::optional<netstack::Stack> stack_;
    TimePoint now_{std::chrono::seconds(1000)};
    std::deque<Sent> sent_;
};

}  // namespace selvage::packetdrill
