// How the window grows and shrinks.
#include "netstack/core/window_control.h"

#include <cmath>
#include <utility>

namespace selvage::netstack {

namespace {

constexpr double kCubicScale = 0.4;  // C, segments per second cubed
constexpr double kCubicBeta = 0.7;
// Reno's growth that gives the same share as CUBIC's gentler shrinking (RFC 9438, section 4.3).
constexpr double kRenoFriendly = 3 * (1 - kCubicBeta) / (1 + kCubicBeta);

double seconds(Duration span) {
    return std::chrono::duration<double>(span).count();
}

}  // namespace

void HyStart::start_round(const AckSample& ack) {
    round_end_ = ack.delivered_total + ack.in_flight;
    last_round_rtt_ = round_rtt_;
    round_rtt_ = Duration::max();
    samples_ = 0;
    if (conservative_rounds_ > 0) ++conservative_rounds_;
}

bool HyStart::on_ack(const AckSample& ack) {
    if (ack.delivered_total >= round_end_) start_round(ack);
    if (ack.rtt) {
        round_rtt_ = std::min(round_rtt_, *ack.rtt);
        ++samples_;
    }
    if (samples_ < kSamples || round_rtt_ == Duration::max()) {
        return conservative_rounds_ > kConservativeRounds;
    }
    if (conservative_rounds_ > 0) {
        // The growth of the round trip has gone again: it was none.
        if (round_rtt_ < baseline_rtt_) {
            conservative_rounds_ = 0;
            baseline_rtt_ = Duration::max();
        }
    } else if (last_round_rtt_ != Duration::max()) {
        const Duration threshold =
            std::clamp(last_round_rtt_ / kRttDivisor, kRttThresholdMin, kRttThresholdMax);
        if (round_rtt_ >= last_round_rtt_ + threshold) {
            baseline_rtt_ = round_rtt_;
            conservative_rounds_ = 1;
        }
    }
    return conservative_rounds_ > kConservativeRounds;
}

WindowControl::WindowControl(Growth growth, std::uint32_t mss, bool paced, Duration smoothed_rtt)
    : growth_(growth), paced_(paced), rtt_(smoothed_rtt), mss_(mss), window_(initial_window(mss)) {}

// Faster than the window by itself, so that the window and not the pace decides how much is sent.
std::uint64_t WindowControl::pacing_rate() const {
    if (!paced_ || rtt_ <= Duration::zero()) return 0;
    const double gain = window_ < threshold_ / 2 ? 2.0 : 1.2;
    return static_cast<std::uint64_t>(gain * window_ / seconds(rtt_));
}

void WindowControl::on_ack(const AckSample& ack) {
    started_ = true;
    if (ack.smoothed_rtt > Duration::zero()) rtt_ = ack.smoothed_rtt;
    if (ack.recovering || ack.reducing) return reduce(ack);
    // Duplicates say that something arrived, not that the path takes more (RFC 5681, section 3.2);
    // unless the path is known to reorder. What was acknowledged selectively counts once.
    if (ack.acked == 0 && !ack.reordering) return;
    const std::uint32_t acked = ack.reordering ? ack.delivered : std::min(ack.acked, ack.delivered);
    const bool used = in_slow_start() && window_ < 2 * ack.most_outstanding;
    if (!ack.window_limited && !used) {
        // The curve must not run on while nobody asks for more (RFC 9438, section 5.8).
        cubic_.epoch.reset();
        return;
    }
    if (in_slow_start()) {
        // Without a limit for one ACK: peers answer a train once, and most of ours do.
        window_ = std::min(window_ + start_.growth(acked), kWindowMax);
        if (!ack.after_timeout && start_.on_ack(ack)) threshold_ = window_;
    } else if (growth_ == Growth::reno) {
        grow_reno(acked);
    } else {
        grow_cubic(ack, acked);
    }
    window_ = std::min(window_, kWindowMax);
}

void WindowControl::grow_reno(std::uint32_t acked) {
    growth_left_ += acked;
    if (growth_left_ < window_) return;
    growth_left_ -= window_;
    window_ += mss_;
}

void WindowControl::grow_cubic(const AckSample& ack, std::uint32_t acked_bytes) {
    const double window = static_cast<double>(window_) / mss_;
    const double acked = static_cast<double>(acked_bytes) / mss_;
    if (!cubic_.epoch) {
        cubic_.epoch = ack.now;
        cubic_.reno_window = window;
        cubic_.inflection = 0;
        if (cubic_.window_max > window) {
            cubic_.inflection = std::cbrt((cubic_.window_max - window) / kCubicScale);
        } else {
            cubic_.window_max = window;
        }
    }
    const double at = seconds(ack.now - *cubic_.epoch + ack.smoothed_rtt) - cubic_.inflection;
    const double curve = kCubicScale * at * at * at + cubic_.window_max;
    const double target = std::clamp(curve, window, 1.5 * window);
    const double slope = cubic_.reno_window < cubic_.window_prior ? kRenoFriendly : 1;
    cubic_.reno_window += slope * acked / window;

    double grown = (target - window) / window * acked;
    if (cubic_.reno_window > std::max(curve, window + grown)) grown = cubic_.reno_window - window;
    growth_left_ += std::min(grown, acked / 2) * mss_;
    const double whole = std::floor(growth_left_ / mss_);
    window_ += static_cast<std::uint32_t>(whole) * mss_;
    growth_left_ -= whole * mss_;
}

void WindowControl::shrink(std::uint32_t outstanding) {
    undo_ = {window_, threshold_, cubic_};
    // A window that is not used does not grow, so CUBIC may take it for what the path has borne
    // (RFC 9438, section 4.6).
    if (growth_ == Growth::cubic) outstanding = reducing_ ? std::max(window_, threshold_) : window_;
    const double window = static_cast<double>(outstanding) / mss_;
    double beta = 0.5;
    if (growth_ == Growth::cubic) {
        beta = kCubicBeta;
        // Less than last time: somebody else wants a share (fast convergence, section 4.7).
        const bool less = window < cubic_.window_max;
        cubic_.window_prior = window;
        cubic_.window_max = less ? window * (1 + kCubicBeta) / 2 : window;
        cubic_.epoch.reset();
    }
    const auto kept = static_cast<std::uint32_t>(outstanding * beta);
    threshold_ = std::max(kept, 2 * mss_);
    growth_left_ = 0;
}

void WindowControl::on_recovery_start(std::uint32_t outstanding, TimePoint) {
    if (!std::exchange(by_mark_, false)) shrink(outstanding);
    reducing_ = true;
    reduction_outstanding_ = std::max(outstanding, mss_);
    reduction_delivered_ = reduction_sent_ = 0;
}

// RFC 9937, section 6: sends in proportion to what arrives, until the flight is at the threshold.
void WindowControl::reduce(const AckSample& ack) {
    reduction_delivered_ += ack.delivered;
    std::uint32_t more = 0;
    const std::uint32_t unused =
        reduction_delivered_ - std::min(reduction_sent_, reduction_delivered_);
    if (ack.in_flight > threshold_) {
        const std::uint64_t share = std::uint64_t{reduction_delivered_} * threshold_;
        const auto due = static_cast<std::uint32_t>(
            (share + reduction_outstanding_ - 1) / reduction_outstanding_
        );
        more = due - std::min(reduction_sent_, due);
    } else {
        // Losses brought it below: one segment more than arrives, unless more is being lost. After
        // a mark nothing is to be repaired, and as much leaves as arrives.
        more = std::max(unused, ack.delivered);
        if (ack.acked > 0 && ack.lost == 0 && !by_mark_) more += mss_;
        more = std::min(more, threshold_ - ack.in_flight);
    }
    if (reduction_sent_ == 0) more = std::max(more, mss_);  // the retransmission itself
    window_ = ack.in_flight + more;
}

void WindowControl::on_recovery_end(bool after_timeout, TimePoint) {
    reducing_ = by_mark_ = false;
    if (after_timeout) return;  // slow start goes on to the threshold
    window_ = std::max(threshold_, mss_);
}

void WindowControl::on_timeout(const Timeout& timeout, TimePoint) {
    if (!timeout.again && !std::exchange(by_mark_, false)) shrink(timeout.outstanding);
    reducing_ = false;
    window_ = timeout.in_flight + mss_;
    start_.restart();
}

void WindowControl::on_spurious_loss() {
    reducing_ = by_mark_ = false;
    window_ = std::max(window_, undo_.window);
    threshold_ = std::max(threshold_, undo_.threshold);
    cubic_ = undo_.cubic;
}

void WindowControl::on_restart_after_idle(TimePoint) {
    // The path may have changed (RFC 5681, section 4.1). What it could carry once is remembered.
    if (threshold_ != kNoThreshold) threshold_ = std::max(threshold_, window_ / 4 * 3);
    window_ = std::min(window_, initial_window(mss_));
    cubic_.epoch.reset();
    start_.restart();
}

// The window comes down in step with what arrives, as in a recovery.
void WindowControl::on_congestion_mark(std::uint32_t in_flight, TimePoint) {
    shrink(in_flight);
    reducing_ = by_mark_ = true;
    reduction_outstanding_ = std::max(in_flight, mss_);
    reduction_delivered_ = reduction_sent_ = 0;
}

}  // namespace selvage::netstack
