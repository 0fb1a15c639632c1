// The smallest of what was seen in the last while, in constant room: two halves of the window, of
// which the older one falls away as a whole.
#pragma once

#include <algorithm>
#include <optional>

#include "base/time.h"

namespace selvage::netstack {

class WindowedMin {
public:
    explicit WindowedMin(Duration window) : half_(window / 2) {}

    void add(Duration value, TimePoint now) {
        if (!current_ || now - started_ > half_) {
            older_ = current_ && now - started_ <= 2 * half_ ? current_ : std::nullopt;
            current_ = value;
            started_ = now;
        }
        current_ = std::min(*current_, value);
    }
    std::optional<Duration> value() const {
        if (older_ && current_) return std::min(*older_, *current_);
        return current_;
    }
    Duration value_or(Duration fallback) const { return value().value_or(fallback); }

private:
    Duration half_;
    TimePoint started_{};
    std::optional<Duration> current_;
    std::optional<Duration> older_;
};

}  // namespace selvage::netstack
