// Congestion window after RFC 5681 with byte counting (RFC 3465) and an initial window of ten
// segments (RFC 6928). Loss recovery decides what to send again; this only says how much may be
// under way. Another algorithm takes its place behind the same functions.
#pragma once

#include <algorithm>
#include <cstdint>

namespace selvage::netstack {

class NewReno {
public:
    // An acknowledgement may open the window in slow start by this many segments at most: peers
    // that answer once per train would else make us send a burst twice as long (RFC 9406, L = 8).
    static constexpr std::uint32_t kSlowStartSegmentsMax = 8;
    static constexpr std::uint32_t kWindowMax = 64 * 1024 * 1024;

    void start(std::uint32_t mss) {
        mss_ = mss;
        window_ = initial_window();
    }

    std::uint32_t window() const { return window_; }
    std::uint32_t slow_start_threshold() const { return threshold_; }
    bool in_slow_start() const { return window_ < threshold_; }

    // New data was acknowledged outside fast recovery while the window was what held us back.
    void on_acked(std::uint32_t bytes) {
        if (in_slow_start()) {
            window_ += std::min(bytes, mss_ * kSlowStartSegmentsMax);
        } else {
            acked_ += bytes;
            if (acked_ >= window_) {
                acked_ -= window_;
                window_ += mss_;
            }
        }
        window_ = std::min(window_, kWindowMax);
    }
    // A loss was noticed by duplicate or selective acknowledgements.
    void on_loss(std::uint32_t in_flight) {
        threshold_ = std::max(in_flight / 2, 2 * mss_);
        window_ = threshold_;
        acked_ = 0;
    }
    // The retransmission timer expired; `again` for the same data (RFC 5681, section 3.1).
    void on_timeout(std::uint32_t in_flight, bool again) {
        if (!again) threshold_ = std::max(in_flight / 2, 2 * mss_);
        window_ = mss_;
        acked_ = 0;
    }
    // Nothing was sent for longer than a timeout: the path may have changed (section 4.1).
    void on_idle() { window_ = std::min(window_, initial_window()); }

private:
    std::uint32_t initial_window() const {
        return std::min(10 * mss_, std::max(2 * mss_, std::uint32_t{14600}));
    }

    std::uint32_t mss_ = 536;
    std::uint32_t window_ = 5360;
    std::uint32_t threshold_ = kWindowMax;
    std::uint32_t acked_ = 0;
};

}  // namespace selvage::netstack
