// Round-trip time and retransmission timeout after RFC 6298.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace selvage::netstack {

class RttEstimator {
public:
    // Before the first sample (RFC 6298, 2.1).
    static constexpr Duration kInitialTimeout = 1s;
    // RFC 6298 asks for a minimum of one second because of coarse clocks and delayed ACKs. Kernels
    // of today wait at least 200 ms longer than the round trip and delay ACKs by 40 ms, rarely by
    // 200 ms; waiting longer would make every lost tail cost five times as much as with them, and
    // less would send again what is only acknowledged late.
    static constexpr Duration kMinMargin = 200ms;
    static constexpr Duration kMaxTimeout = 60s;

    void add_sample(Duration rtt) {
        rtt = std::max<Duration>(rtt, 1us);
        if (!has_sample()) {
            smoothed_ = rtt;
            variation_ = rtt / 2;
        } else {
            const Duration error = smoothed_ > rtt ? smoothed_ - rtt : rtt - smoothed_;
            variation_ = (variation_ * 3 + error) / 4;
            smoothed_ = (smoothed_ * 7 + rtt) / 8;
        }
    }

    bool has_sample() const { return smoothed_ > Duration::zero(); }
    Duration smoothed() const { return smoothed_; }

    // The timeout after `backoff` expiries in a row, in whole milliseconds.
    Duration timeout(int backoff) const {
        Duration base = kInitialTimeout;
        if (has_sample()) {
            base = smoothed_ + std::max(variation_ * 4, kMinMargin);
            base -= base % std::chrono::milliseconds(1);
        }
        for (int i = 0; i < backoff && base < kMaxTimeout; ++i)
            base *= 2;
        return std::min(base, kMaxTimeout);
    }

private:
    Duration smoothed_{};
    Duration variation_{};
};

}  // namespace selvage::netstack
