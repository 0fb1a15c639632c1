// The model: rounds, rates, bounds; then the states; then what follows for window and pace.
#include "netstack/core/bbr.h"

namespace selvage::netstack {

namespace {

constexpr double kStartupPacingGain = 2.77;
constexpr double kStartupWindowGain = 2.0;
constexpr double kDrainPacingGain = 0.5;
constexpr double kWindowGain = 2.0;
constexpr double kUpPacingGain = 1.25;
constexpr double kUpWindowGain = 2.25;
constexpr double kDownPacingGain = 0.9;
constexpr double kProbeRttWindowGain = 0.5;
constexpr double kPacingMargin = 0.99;
constexpr double kLossThreshold = 0.02;
constexpr std::uint32_t kLossesByChance = 2;
constexpr double kBeta = 0.7;
constexpr double kHeadroom = 0.15;
constexpr double kFullBandwidthGrowth = 1.25;
constexpr int kFullBandwidthRounds = 3;
constexpr int kFullLossEvents = 6;
constexpr int kAggregationRounds = 10;
constexpr int kProbeRoundsMax = 63;
constexpr Duration kRttMinWindow = 10s;
constexpr Duration kProbeRttInterval = 5s;
constexpr Duration kProbeRttTime = 200ms;
// Longer than a loop needs to come round, shorter than a router's queue is deep.
constexpr Duration kBurstTime = 1ms;
// Two loops in user space answer each other, each late by about this much under load. On a short
// path the window would otherwise run dry meanwhile.
constexpr Duration kLateness = 2ms;
constexpr std::uint32_t kBurstMax = 64 * 1024;

std::uint64_t bytes_in(std::uint64_t rate, Duration span) {
    return static_cast<std::uint64_t>(
        static_cast<double>(rate) * std::chrono::duration<double>(span).count()
    );
}

std::uint32_t clip(std::uint64_t value) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, CongestionControl::kWindowMax)
    );
}

std::uint32_t scaled(std::uint32_t value, double factor) {
    return clip(static_cast<std::uint64_t>(static_cast<double>(value) * factor));
}

}  // namespace

Bbr::Bbr(std::uint32_t mss, Duration smoothed_rtt, TimePoint now)
    : mss_(mss),
      window_(initial_window(mss)),
      rtt_min_at_(now),
      probe_rtt_min_at_(now),
      cycle_at_(now),
      // Connections need not probe at the same moment; what it is drawn from is of no importance.
      random_(static_cast<std::uint32_t>(now.time_since_epoch().count() / 1000) | 1) {
    const Duration rtt = smoothed_rtt > Duration::zero() ? smoothed_rtt : 1ms;
    const double per_second = 1 / std::chrono::duration<double>(rtt).count();
    pacing_rate_ = static_cast<std::uint64_t>(kStartupPacingGain * window_ * per_second);
}

double Bbr::pacing_gain() const {
    switch (state_) {
        case State::startup:
            return kStartupPacingGain;
        case State::drain:
            return kDrainPacingGain;
        case State::down:
            return kDownPacingGain;
        case State::up:
            return kUpPacingGain;
        case State::cruise:
        case State::refill:
        case State::probe_rtt:
            return 1.0;
    }
    return 1.0;
}

double Bbr::window_gain() const {
    switch (state_) {
        case State::startup:
        case State::drain:
            return kStartupWindowGain;
        case State::up:
            return kUpWindowGain;
        case State::probe_rtt:
            return kProbeRttWindowGain;
        case State::down:
        case State::cruise:
        case State::refill:
            return kWindowGain;
    }
    return kWindowGain;
}

std::uint32_t Bbr::burst() const {
    const auto wanted = clip(bytes_in(pacing_rate_, kBurstTime));
    return std::clamp(wanted, 2 * mss_, std::max(kBurstMax, 2 * mss_));
}

std::uint64_t Bbr::product(double gain) const {
    if (rtt_min_ == Duration::max()) return initial_window(mss_);
    return static_cast<std::uint64_t>(gain * static_cast<double>(bytes_in(bandwidth(), rtt_min_)));
}

std::uint32_t Bbr::inflight(double gain) const {
    // Room for what the sender and the receiver do in lumps.
    const std::uint64_t path = product(gain) + bytes_in(bandwidth(), kLateness);
    std::uint64_t bytes = std::max<std::uint64_t>(path, 3 * std::uint64_t{burst()});
    bytes = std::max<std::uint64_t>(bytes, window_floor());
    if (state_ == State::up) bytes += 2 * mss_;
    return clip(bytes);
}

std::uint32_t Bbr::inflight_with_headroom() const {
    if (inflight_long_ == kNoBound) return kNoBound;
    const std::uint32_t headroom = std::max(mss_, scaled(inflight_long_, kHeadroom));
    return std::max(inflight_long_ - std::min(headroom, inflight_long_), window_floor());
}

// --- the model ---

void Bbr::update_round(const AckSample& ack) {
    round_start_ = ack.rate.has_segment && ack.rate.prior_delivered >= round_end_;
    if (!round_start_) return;
    round_end_ = ack.delivered_total;
    if (rounds_since_probe_ < 255) ++rounds_since_probe_;
    if (aggregation_age_ < 255) ++aggregation_age_;
}

void Bbr::update_latest(const AckSample& ack) {
    if (ack.rate.valid) bandwidth_latest_ = std::max(bandwidth_latest_, ack.rate.rate());
    inflight_latest_ = std::max(inflight_latest_, ack.rate.delivered);
}

void Bbr::update_max_bandwidth(const AckSample& ack) {
    if (!ack.rate.valid) return;
    const std::uint64_t rate = ack.rate.rate();
    if (!ack.rate.app_limited || rate >= max_bandwidth()) {
        bandwidth_[0] = std::max(bandwidth_[0], rate);
    }
}

// Once a round with losses: the bounds follow what was delivered in it.
void Bbr::adapt_short_bounds(const AckSample& ack) {
    if (!ack.rate.has_segment || ack.rate.prior_delivered < loss_round_end_) return;
    // The draft lets every round with a loss count. On a path that loses one packet in a hundred by
    // itself that wears the rate down between two probes, so here it takes more than the share.
    const bool too_much = loss_too_high(lost_in_round_, inflight_latest_);
    if (loss_in_round_ && too_much && state_ != State::refill && state_ != State::up &&
        state_ != State::startup) {
        if (bandwidth_short_ == kNoRate) bandwidth_short_ = max_bandwidth();
        if (inflight_short_ == kNoBound) inflight_short_ = window_;
        const double kept = static_cast<double>(bandwidth_short_) * kBeta;
        bandwidth_short_ = std::max(bandwidth_latest_, static_cast<std::uint64_t>(kept));
        inflight_short_ = std::max(inflight_latest_, scaled(inflight_short_, kBeta));
    }
    loss_in_round_ = false;
    lost_in_round_ = 0;
}

void Bbr::reset_short_bounds() {
    bandwidth_short_ = kNoRate;
    inflight_short_ = kNoBound;
}

// More than the estimated rate arrived: acknowledgements come in lumps, and as much more must be
// under way for the path to be full between them.
void Bbr::update_aggregation(const AckSample& ack) {
    if (aggregation_age_ >= kAggregationRounds / 2) {
        aggregation_age_ = 0;
        extra_acked_[1] = extra_acked_[0];
        extra_acked_[0] = 0;
    }
    const std::uint64_t expected = bytes_in(bandwidth(), ack.now - aggregation_at_);
    if (aggregation_delivered_ <= expected || bandwidth() == 0) {
        aggregation_delivered_ = 0;
        aggregation_at_ = ack.now;
        aggregation_delivered_ += ack.delivered;
        return;
    }
    aggregation_delivered_ = clip(std::uint64_t{aggregation_delivered_} + ack.delivered);
    const std::uint64_t extra =
        aggregation_delivered_ - std::min<std::uint64_t>(expected, aggregation_delivered_);
    const auto bounded = static_cast<std::uint32_t>(std::min<std::uint64_t>(extra, window_));
    extra_acked_[0] = std::max(extra_acked_[0], bounded);
}

// On a short path a single packet is more than the share, and says nothing.
bool Bbr::loss_too_high(std::uint32_t lost, std::uint32_t in_flight) const {
    const double share = static_cast<double>(in_flight) * kLossThreshold;
    return static_cast<double>(lost) > share && lost > kLossesByChance * mss_;
}

void Bbr::on_segment_lost(const SentSegment& segment, std::uint32_t lost_total) {
    if (!loss_in_round_) {
        loss_in_round_ = true;
        loss_round_end_ = delivered_;
    }
    lost_in_round_ = clip(std::uint64_t{lost_in_round_} + segment.size());
    if (!probe_samples_) return;
    const std::uint32_t lost = lost_total - segment.lost;
    if (!loss_too_high(lost, segment.in_flight)) return;
    // Where in this segment the share was crossed.
    const double before = static_cast<double>(segment.in_flight - segment.size());
    const double lost_before = static_cast<double>(lost - std::min(lost, segment.size()));
    const double prefix =
        std::max(0.0, (kLossThreshold * before - lost_before) / (1.0 - kLossThreshold));
    on_inflight_too_high(
        clip(static_cast<std::uint64_t>(before + prefix)), segment.app_limited, segment.sent_at
    );
}

void Bbr::on_inflight_too_high(std::uint32_t in_flight, bool app_limited, TimePoint now) {
    probe_samples_ = false;
    if (!app_limited) {
        const std::uint32_t target = clip(std::min<std::uint64_t>(product(1.0), window_));
        inflight_long_ = std::max(in_flight, scaled(target, kBeta));
    }
    if (state_ == State::up) start_down(std::max(now, cycle_at_));
}

void Bbr::update_rtt_min(const AckSample& ack) {
    const bool probe_expired = ack.now - probe_rtt_min_at_ > kProbeRttInterval;
    if (ack.rtt && (*ack.rtt < probe_rtt_min_ || probe_expired)) {
        probe_rtt_min_ = *ack.rtt;
        probe_rtt_min_at_ = ack.now;
    }
    const bool expired = ack.now - rtt_min_at_ > kRttMinWindow;
    if (probe_rtt_min_ < rtt_min_ || expired) {
        rtt_min_ = probe_rtt_min_;
        rtt_min_at_ = probe_rtt_min_at_;
    }
    if (probe_expired && !idle_restart_ && state_ != State::probe_rtt) {
        state_ = State::probe_rtt;
        saved_window_ = std::max(saved_window_, window_);
        probe_rtt_done_at_.reset();
        probe_ = Probe::stopping;
        round_end_ = ack.delivered_total;
    }
}

// --- the states ---

void Bbr::check_startup(const AckSample& ack) {
    if (full_bandwidth_now_ || !round_start_) return;
    if (!ack.rate.app_limited) {
        if (static_cast<double>(max_bandwidth()) >=
            static_cast<double>(full_bandwidth_) * kFullBandwidthGrowth) {
            full_bandwidth_ = max_bandwidth();
            full_bandwidth_rounds_ = 0;
        } else if (++full_bandwidth_rounds_ >= kFullBandwidthRounds) {
            full_bandwidth_now_ = full_bandwidth_reached_ = true;
        }
    }
    if (state_ != State::startup) return;
    // Too much lost for a whole round.
    if (recovering_ && loss_events_ >= kFullLossEvents &&
        loss_too_high(ack.rate.lost, ack.rate.in_flight)) {
        full_bandwidth_now_ = full_bandwidth_reached_ = true;
        inflight_long_ = std::max(clip(product(1.0)), inflight_latest_);
    }
}

void Bbr::check_drain(const AckSample& ack) {
    if (state_ == State::startup && full_bandwidth_reached_) state_ = State::drain;
    if (state_ == State::drain && ack.in_flight <= inflight(1.0)) start_down(ack.now);
}

void Bbr::pick_probe_wait() {
    random_ = random_ * 1664525 + 1013904223;
    rounds_since_probe_ = static_cast<std::uint8_t>(random_ >> 31);
    probe_wait_ = 2s + std::chrono::milliseconds((random_ >> 8) % 1000);
}

void Bbr::start_down(TimePoint now) {
    // A probe has ended: what it found counts in the next two cycles.
    pick_probe_wait();
    cycle_at_ = now;
    probe_ = Probe::stopping;
    upward_step_ = kNoBound;
    round_end_ = delivered_;
    state_ = State::down;
}

void Bbr::start_cruise() {
    state_ = State::cruise;
}

void Bbr::start_refill() {
    reset_short_bounds();
    upward_rounds_ = 0;
    upward_acked_ = 0;
    probe_ = Probe::none;
    round_end_ = delivered_;
    state_ = State::refill;
}

void Bbr::start_up(const AckSample& ack) {
    probe_ = Probe::starting;
    round_end_ = delivered_;
    full_bandwidth_now_ = false;
    full_bandwidth_rounds_ = 0;
    full_bandwidth_ = ack.rate.valid ? ack.rate.rate() : max_bandwidth();
    cycle_at_ = ack.now;
    state_ = State::up;
    raise_slope();
}

void Bbr::raise_slope() {
    const std::uint32_t growth = mss_ << std::min<int>(upward_rounds_, 16);
    if (upward_rounds_ < 30) ++upward_rounds_;
    // Bytes to be acknowledged for one segment more.
    const double per_segment = static_cast<double>(window_) / growth * mss_;
    upward_step_ = std::max<std::uint32_t>(scaled(1, per_segment), mss_);
}

bool Bbr::should_probe(const AckSample& ack) {
    const std::uint64_t bound = std::min<std::uint64_t>(product(1.0), window_) / mss_;
    // As often as Reno would have come back to where it was, so that it gets its share.
    const bool reno_round = rounds_since_probe_ >= std::min<std::uint64_t>(bound, kProbeRoundsMax);
    if (ack.now - cycle_at_ <= probe_wait_ && !reno_round) return false;
    start_refill();
    return true;
}

void Bbr::probe_upwards(const AckSample& ack) {
    if (!ack.window_limited || window_ < inflight_long_) return;
    upward_acked_ += ack.delivered;
    if (upward_acked_ >= upward_step_) {
        const std::uint32_t steps = upward_acked_ / upward_step_;
        upward_acked_ -= steps * upward_step_;
        inflight_long_ = clip(std::uint64_t{inflight_long_} + std::uint64_t{steps} * mss_);
    }
    if (round_start_) raise_slope();
}

void Bbr::adapt_long_bounds(const AckSample& ack) {
    if (probe_ == Probe::starting && round_start_) probe_ = Probe::feedback;
    if (probe_ == Probe::stopping && round_start_) {
        probe_ = Probe::none;
        probe_samples_ = false;
        if (probing_bandwidth() && !ack.rate.app_limited) {
            bandwidth_[1] = bandwidth_[0];
            bandwidth_[0] = 0;
        }
    }
    if (ack.rate.has_segment && loss_too_high(ack.rate.lost, ack.rate.in_flight)) {
        if (probe_samples_) {
            on_inflight_too_high(ack.rate.in_flight, ack.rate.app_limited, ack.now);
        }
        return;
    }
    if (inflight_long_ == kNoBound) return;
    if (ack.rate.in_flight > inflight_long_) inflight_long_ = ack.rate.in_flight;
    if (state_ == State::up) probe_upwards(ack);
}

void Bbr::update_probe_cycle(const AckSample& ack) {
    if (!full_bandwidth_reached_) return;
    adapt_long_bounds(ack);
    switch (state_) {
        case State::down:
            if (should_probe(ack)) return;
            if (ack.in_flight <= inflight_with_headroom() && ack.in_flight <= inflight(1.0)) {
                start_cruise();
            }
            return;
        case State::cruise:
            should_probe(ack);
            return;
        case State::refill:
            if (!round_start_) return;
            probe_samples_ = true;
            start_up(ack);
            return;
        case State::up:
            if (ack.window_limited && window_ >= inflight_long_) {
                // The bound and not the path is what holds it.
                full_bandwidth_now_ = false;
                full_bandwidth_rounds_ = 0;
                full_bandwidth_ = ack.rate.valid ? ack.rate.rate() : full_bandwidth_;
            } else if (full_bandwidth_now_) {
                start_down(ack.now);
            }
            return;
        case State::startup:
        case State::drain:
        case State::probe_rtt:
            return;
    }
}

void Bbr::check_probe_rtt(const AckSample& ack) {
    if (state_ == State::probe_rtt) {
        const std::uint32_t low = std::max(clip(product(kProbeRttWindowGain)), window_floor());
        if (!probe_rtt_done_at_ && ack.in_flight <= low) {
            probe_rtt_done_at_ = ack.now + kProbeRttTime;
            probe_rtt_round_done_ = false;
            round_end_ = delivered_;
        } else if (probe_rtt_done_at_) {
            if (round_start_) probe_rtt_round_done_ = true;
            if (probe_rtt_round_done_ && ack.now > *probe_rtt_done_at_) leave_probe_rtt(ack.now);
        }
    }
    if (ack.delivered > 0) idle_restart_ = false;
}

void Bbr::leave_probe_rtt(TimePoint now) {
    probe_rtt_min_at_ = now;
    window_ = std::max(window_, saved_window_);
    saved_window_ = 0;
    reset_short_bounds();
    if (full_bandwidth_reached_) {
        start_down(now);
        start_cruise();
    } else {
        state_ = State::startup;
    }
}

// --- what follows ---

void Bbr::on_ack(const AckSample& ack) {
    delivered_ = ack.delivered_total;
    recovering_ = ack.recovering;
    app_limited_ = ack.rate.app_limited;
    if (ack.lost > 0 && loss_events_ < 255) ++loss_events_;

    update_round(ack);
    if (round_start_) conserving_ = conserving_ && delivered_ < recovery_round_end_;
    update_latest(ack);
    update_max_bandwidth(ack);
    adapt_short_bounds(ack);
    update_aggregation(ack);
    check_startup(ack);
    check_drain(ack);
    update_probe_cycle(ack);
    update_rtt_min(ack);
    check_probe_rtt(ack);
    if (ack.rate.has_segment && ack.rate.prior_delivered >= loss_round_end_) {
        bandwidth_latest_ = ack.rate.valid ? ack.rate.rate() : 0;
        inflight_latest_ = ack.rate.delivered;
        loss_round_end_ = delivered_;
    }
    if (round_start_) loss_events_ = 0;

    set_pacing_rate(bandwidth(), pacing_gain());
    set_window(ack);
}

void Bbr::set_pacing_rate(std::uint64_t rate, double gain) {
    if (rate == 0) return;
    const auto wanted =
        static_cast<std::uint64_t>(static_cast<double>(rate) * gain * kPacingMargin);
    // Until the path is known, slow samples must not slow it down.
    if (full_bandwidth_reached_ || wanted > pacing_rate_) pacing_rate_ = wanted;
}

void Bbr::set_window(const AckSample& ack) {
    const std::uint32_t extra = std::max(extra_acked_[0], extra_acked_[1]);
    const std::uint32_t most =
        clip(std::uint64_t{inflight(window_gain())} + (full_bandwidth_reached_ ? extra : 0));
    // What was just lost was not under way any more (packet conservation).
    if (ack.lost > 0 && ack.recovering) {
        window_ = std::max(window_ - std::min(ack.lost, window_), mss_);
    }
    if (conserving_) {
        window_ = std::max(window_, ack.in_flight + ack.delivered);
    } else if (full_bandwidth_reached_) {
        window_ = std::min(clip(std::uint64_t{window_} + ack.delivered), most);
    } else if (window_ < most || ack.delivered_total < 2 * initial_window(mss_)) {
        window_ = clip(std::uint64_t{window_} + ack.delivered);
    }
    window_ = std::max(window_, window_floor());

    std::uint32_t bound = kNoBound;
    if (state_ == State::probe_rtt) {
        bound = std::max(clip(product(kProbeRttWindowGain)), window_floor());
        bound = std::min(bound, inflight_with_headroom());
    } else if (state_ == State::cruise) {
        bound = inflight_with_headroom();
    } else if (probing_bandwidth()) {
        bound = inflight_long_;
    }
    bound = std::max(std::min(bound, inflight_short_), window_floor());
    window_ = std::min(window_, bound);
}

void Bbr::on_recovery_start(std::uint32_t, TimePoint) {
    undo_bandwidth_short_ = bandwidth_short_;
    undo_inflight_short_ = inflight_short_;
    undo_inflight_long_ = inflight_long_;
    if (!recovering_ && state_ != State::probe_rtt) saved_window_ = window_;
    recovering_ = true;
    conserving_ = true;
    recovery_round_end_ = delivered_ + 1;
}

void Bbr::on_recovery_end(bool, TimePoint) {
    recovering_ = conserving_ = false;
    if (state_ == State::probe_rtt) return;
    window_ = std::max(window_, saved_window_);
    saved_window_ = 0;
}

void Bbr::on_timeout(const Timeout& timeout, TimePoint) {
    undo_bandwidth_short_ = bandwidth_short_;
    undo_inflight_short_ = inflight_short_;
    undo_inflight_long_ = inflight_long_;
    saved_window_ = std::max(saved_window_, window_);
    window_ = timeout.in_flight + mss_;
    conserving_ = false;
    recovering_ = true;
}

void Bbr::on_spurious_loss() {
    loss_in_round_ = false;
    bandwidth_short_ = std::max(bandwidth_short_, undo_bandwidth_short_);
    inflight_short_ = std::max(inflight_short_, undo_inflight_short_);
    inflight_long_ = std::max(inflight_long_, undo_inflight_long_);
    conserving_ = recovering_ = false;
    if (state_ == State::probe_rtt) return;
    window_ = std::max(window_, saved_window_);
    saved_window_ = 0;
}

void Bbr::on_restart_after_idle(TimePoint now) {
    idle_restart_ = true;
    aggregation_at_ = now;
    aggregation_delivered_ = 0;
    if (probing_bandwidth()) {
        set_pacing_rate(bandwidth(), 1.0);
    } else if (state_ == State::probe_rtt && probe_rtt_done_at_ && now > *probe_rtt_done_at_) {
        leave_probe_rtt(now);
    }
}

// A mark counts as a round with losses.
void Bbr::on_congestion_mark(std::uint32_t, TimePoint) {
    lost_in_round_ = kWindowMax;
    if (!loss_in_round_) {
        loss_in_round_ = true;
        loss_round_end_ = delivered_;
    }
}

}  // namespace selvage::netstack
