// Virtual time and the hand-over between packetdrill's threads.
#include "tests/packetdrill/stack_world.h"

#include "tests/packetdrill/system_settings.h"

namespace selvage::packetdrill {

namespace {
// Longer than any script waits: nothing will come any more.
constexpr Duration kPatience = 300s;
// Of real time, for the other thread to come back. Only a bug makes it last.
constexpr auto kHandOver = std::chrono::seconds(5);
}  // namespace

StackWorld::StackWorld() = default;
StackWorld::~StackWorld() = default;

netstack::Stack& StackWorld::stack() {
    if (!stack_) {
        const netstack::StackSeeds seeds{.sequence_key = {1, 2}, .table_key = {3, 4}};
        stack_.emplace(options_from_system(), pool_, seeds);
        stack_->set_addresses(addresses_);
    }
    return *stack_;
}

void StackWorld::add_address(const IpAddress& address) {
    for (const Prefix& known : addresses_) {
        if (known.address == address) return;
    }
    addresses_.push_back(Prefix{address, static_cast<std::uint8_t>(address.is_v4() ? 24 : 64)});
    if (stack_) stack_->set_addresses(addresses_);
}

void StackWorld::from_stack(packet::PacketBatch&& batch) {
    for (packet::PacketBuf& packet : batch)
        sent_.push_back({Bytes(packet.bytes().begin(), packet.bytes().end()), now_});
}

bool StackWorld::congested(const IpAddress&) const {
    return device_queue() == DeviceQueue::takes_nothing;
}

void StackWorld::poll(Lock& lock) {
    do {
        stack().poll(now_, *this);
        while (stack().next_event()) {
        }
    } while (stack().next_timeout() && *stack().next_timeout() <= now_);
    wake(lock);
}

void StackWorld::wake(Lock& lock) {
    while (on_main_thread() && waiter_ != nullptr && !waiter_->woken && waiter_->ready()) {
        waiter_->woken = true;
        time_owed_ = true;
        changed_.notify_all();
        changed_.wait_for(lock, kHandOver, [this] { return !time_owed_; });
    }
}

bool StackWorld::wait_until(Lock& lock, const std::function<bool()>& ready) {
    if (ready()) return true;
    if (on_main_thread()) {
        const TimePoint end = now_ + kPatience;
        while (!ready()) {
            if (!step(lock, end)) return false;
        }
        return true;
    }
    Waiter waiter{ready};
    waiter_ = &waiter;
    time_owed_ = false;
    changed_.notify_all();
    changed_.wait(lock, [&] { return waiter.woken; });
    waiter_ = nullptr;
    return true;
}

// Goes to the next thing that happens by itself; false when nothing does until `most`.
bool StackWorld::step(Lock& lock, TimePoint most) {
    const auto next = stack().next_timeout();
    if (!next || *next > most) return false;
    now_ = std::max(now_, *next);
    poll(lock);
    return true;
}

void StackWorld::advance_to(Lock& lock, TimePoint when) {
    if (stack_) {
        while (step(lock, when)) {
        }
    }
    now_ = std::max(now_, when);
}

void StackWorld::sleep(Lock& lock, Duration duration) {
    advance_to(lock, now_ + duration);
}

TimePoint StackWorld::ask_time(Lock& lock) {
    if (on_main_thread() || !time_owed_) {
        // It spins on the clock for the last microseconds before an event.
        advance_to(lock, now_ + 1us);
    } else {
        time_owed_ = false;
        changed_.notify_all();
    }
    return now_;
}

void StackWorld::send(Lock& lock, ByteView bytes) {
    packet::PacketBuf packet = pool_.take();
    if (!packet) return;
    packet.reset(0);  // some scripts send more than an Ethernet would carry: all the room counts
    if (!packet.append(bytes)) return;
    stack().input(std::move(packet), now_);
    poll(lock);
}

std::optional<StackWorld::Sent> StackWorld::receive(Lock& lock) {
    const TimePoint end = now_ + kPatience;
    while (sent_.empty()) {
        if (!step(lock, end)) return std::nullopt;
    }
    Sent first = std::move(sent_.front());
    sent_.pop_front();
    return first;
}

}  // namespace selvage::packetdrill
