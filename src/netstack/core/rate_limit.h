// A token bucket: so many a second, with a burst of as many again as fit into `burst`.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace selvage::netstack {

class RateLimit {
public:
    RateLimit(std::uint32_t per_second, std::uint32_t burst)
        : interval_(Duration(1s) / std::max<std::uint32_t>(per_second, 1)), burst_(burst) {}

    // Whether one more is allowed now.
    bool allow(TimePoint now) {
        // `used_until_` lies as far ahead of now as tokens are missing, so nothing is counted down.
        used_until_ = std::max(used_until_, now);
        if (used_until_ - now > interval_ * (burst_ - 1)) return false;
        used_until_ += interval_;
        return true;
    }

private:
    Duration interval_;
    std::int64_t burst_;
    TimePoint used_until_ = TimePoint::min();
};

}  // namespace selvage::netstack
