// What a connection knows of the path while it sends: made with the first data, forgotten when it
// has been idle for a while, so that ten thousand idle connections cost little.
#pragma once

#include "netstack/core/congestion.h"
#include "netstack/core/loss_recovery.h"

namespace selvage::netstack {

// Spreads segments over time. The clock is the stack's owner: next_at() says when to come again.
class Pacer {
public:
    // A loop that came round late may make up for this much; more would be a burst after all.
    static constexpr Duration kLateMax = 4ms;

    bool ready(TimePoint now, std::uint64_t rate, std::uint32_t burst) const {
        return rate == 0 || next_ < now + time_of(burst, rate);
    }
    // The same for bursts that wait for each other, when `sent` bytes of one have left just now.
    bool ready_in_turn(TimePoint now, std::uint64_t rate, std::uint32_t burst, std::uint32_t sent)
        const {
        return rate == 0 || (sent == 0 ? next_ <= now : sent < burst);
    }
    void on_sent(std::uint32_t bytes, std::uint64_t rate, bool was_idle, TimePoint now) {
        if (rate == 0) return;
        next_ = std::max(next_, was_idle ? now : now - kLateMax) + time_of(bytes, rate);
    }
    TimePoint next_at() const { return next_; }

private:
    static Duration time_of(std::uint32_t bytes, std::uint64_t rate) {
        return Duration(static_cast<Duration::rep>(std::uint64_t{bytes} * 1'000'000'000 / rate));
    }
    TimePoint next_{};
};

// Whether the window was used: one that was not says nothing about the path and must not grow
// (RFC 7661, in the simple form that kernels have).
class WindowUse {
public:
    void note(bool limited, std::uint32_t outstanding, SeqNum una, SeqNum nxt) {
        const bool new_round = una.at_or_after(round_end_);
        if (!new_round && !limited && (limited_ || outstanding <= most_)) return;
        limited_ = limited;
        most_ = outstanding;
        round_end_ = nxt;
    }
    bool limited() const { return limited_; }
    std::uint32_t most_outstanding() const { return most_; }

private:
    bool limited_ = false;
    std::uint32_t most_ = 0;
    SeqNum round_end_;
};

struct SendPath {
    SendPath(
        CongestionAlgorithm algorithm, std::uint32_t mss, Duration smoothed_rtt, bool pace_windows,
        SeqNum first, TimePoint now
    )
        : congestion(make_congestion_control(algorithm, mss, smoothed_rtt, pace_windows, now)),
          una(first) {
        if (smoothed_rtt > Duration::zero()) recovery.add_rtt(smoothed_rtt, now);
    }

    std::unique_ptr<CongestionControl> congestion;
    LossRecovery recovery;
    Pacer pacer;
    WindowUse use;
    SeqNum una;  // what recovery was told last
};

}  // namespace selvage::netstack
