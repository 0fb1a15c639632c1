// Time as an argument: a monotonic clock that nobody outside rt can read.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace selvage {

using Duration = std::chrono::nanoseconds;

// Has no now(): code below rt is given the time, so that it can be simulated.
struct MonotonicClock {
    using rep = Duration::rep;
    using period = Duration::period;
    using duration = Duration;
    using time_point = std::chrono::time_point<MonotonicClock>;
    static constexpr bool is_steady = true;
};
using TimePoint = MonotonicClock::time_point;

// Calendar time, for certificates, tokens, wire timestamps and log lines only.
using WallTime = std::chrono::sys_time<std::chrono::nanoseconds>;

using namespace std::chrono_literals;

}  // namespace selvage
