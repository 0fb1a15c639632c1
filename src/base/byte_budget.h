// ByteBudget: so many bytes a second, with one second's worth saved up at most.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace selvage {

class ByteBudget {
public:
    ByteBudget(std::uint64_t per_second, TimePoint now)
        : per_second_(static_cast<double>(per_second)), saved_(per_second_), updated_(now) {}

    // Whether this many bytes may go now; they are spent then.
    bool take(std::size_t bytes, TimePoint now) {
        const double seconds = std::chrono::duration<double>(now - updated_).count();
        saved_ = std::min(per_second_, saved_ + seconds * per_second_);
        updated_ = now;
        const auto wanted = static_cast<double>(bytes);
        if (saved_ < wanted) return false;
        saved_ -= wanted;
        return true;
    }

private:
    double per_second_;
    double saved_;
    TimePoint updated_;
};

}  // namespace selvage
