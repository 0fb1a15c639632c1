// BBR version 3 (draft-ietf-ccwg-bbr): keeps a model of the path, how fast it delivers and how long
// it takes when empty, and sends at that pace. A loss by itself says nothing; a share of more than
// two percent says that the model asks too much.
//
//   startup --rate grows no more, or too much is lost--> drain --queue empty--> probe_bw
//   probe_bw: down -> cruise -> refill -> up -> down ...
//   any --the shortest round trip is 5 s old--> probe_rtt --200 ms with little in flight--> back
//
// Where the draft leaves a choice or a constant, the constant stands below with its name there.
#pragma once

#include <array>

#include "netstack/core/congestion.h"

namespace selvage::netstack {

class Bbr final : public CongestionControl {
public:
    enum class State : std::uint8_t { startup, drain, down, cruise, refill, up, probe_rtt };

    Bbr(std::uint32_t mss, Duration smoothed_rtt, TimePoint now);

    std::uint32_t window() const override { return window_; }
    std::uint64_t pacing_rate() const override { return pacing_rate_; }
    std::uint32_t burst() const override;
    State state() const { return state_; }
    std::uint64_t bandwidth() const { return std::min(max_bandwidth(), bandwidth_short_); }

    void on_ack(const AckSample& ack) override;
    void on_segment_lost(const SentSegment& segment, std::uint32_t lost_total) override;
    void on_recovery_start(std::uint32_t outstanding, TimePoint now) override;
    void on_recovery_end(bool after_timeout, TimePoint now) override;
    void on_timeout(const Timeout& timeout, TimePoint now) override;
    void on_spurious_loss() override;
    void on_restart_after_idle(TimePoint now) override;
    void on_sent(std::uint32_t) override {}
    void set_segment_size(std::uint32_t mss) override { mss_ = mss; }
    void on_congestion_mark(std::uint32_t outstanding, TimePoint now) override;

private:
    static constexpr std::uint32_t kNoBound = 0xffffffff;
    static constexpr std::uint64_t kNoRate = ~std::uint64_t{0};
    // What the newest samples of the bandwidth probe mean.
    enum class Probe : std::uint8_t { starting, stopping, feedback, none };

    bool probing_bandwidth() const { return state_ >= State::down && state_ <= State::up; }
    std::uint64_t max_bandwidth() const { return std::max(bandwidth_[0], bandwidth_[1]); }
    std::uint64_t product(double gain) const;  // of bandwidth and shortest round trip, in bytes
    std::uint32_t inflight(double gain) const;
    std::uint32_t inflight_with_headroom() const;
    std::uint32_t window_floor() const { return 4 * mss_; }

    void update_round(const AckSample& ack);
    void update_latest(const AckSample& ack);
    void update_max_bandwidth(const AckSample& ack);
    void adapt_short_bounds(const AckSample& ack);
    void update_aggregation(const AckSample& ack);
    void check_startup(const AckSample& ack);
    void check_drain(const AckSample& ack);
    void update_probe_cycle(const AckSample& ack);
    void adapt_long_bounds(const AckSample& ack);
    void probe_upwards(const AckSample& ack);
    bool should_probe(const AckSample& ack);
    bool loss_too_high(std::uint32_t lost, std::uint32_t in_flight) const;
    void on_inflight_too_high(std::uint32_t in_flight, bool app_limited, TimePoint now);
    void start_down(TimePoint now);
    void start_cruise();
    void start_refill();
    void start_up(const AckSample& ack);
    void raise_slope();
    void pick_probe_wait();
    void update_rtt_min(const AckSample& ack);
    void check_probe_rtt(const AckSample& ack);
    void leave_probe_rtt(TimePoint now);
    void reset_short_bounds();
    void set_pacing_rate(std::uint64_t rate, double gain);
    void set_window(const AckSample& ack);
    double pacing_gain() const;
    double window_gain() const;

    std::uint32_t mss_;
    std::uint32_t window_;
    std::uint64_t pacing_rate_ = 0;
    State state_ = State::startup;
    Probe probe_ = Probe::none;
    bool full_bandwidth_reached_ = false;
    bool full_bandwidth_now_ = false;
    bool round_start_ = false;
    bool loss_in_round_ = false;
    bool probe_samples_ = false;  // losses are answers to a probe
    bool idle_restart_ = false;
    bool conserving_ = false;  // the first round of a recovery
    bool recovering_ = false;
    bool app_limited_ = false;
    std::uint8_t full_bandwidth_rounds_ = 0;
    std::uint8_t loss_events_ = 0;  // in this round
    std::uint8_t upward_rounds_ = 0;
    std::uint8_t rounds_since_probe_ = 0;
    std::uint8_t aggregation_age_ = 0;  // rounds

    // Rounds and rates.
    std::uint64_t delivered_ = 0;
    std::uint64_t round_end_ = 0;  // of delivered bytes
    std::uint64_t recovery_round_end_ = 0;
    std::uint64_t loss_round_end_ = 0;
    std::uint64_t full_bandwidth_ = 0;
    std::array<std::uint64_t, 2> bandwidth_{};  // largest of this probe cycle and the last
    std::uint64_t bandwidth_short_ = kNoRate;   // bound after recent losses
    std::uint64_t bandwidth_latest_ = 0;
    std::uint32_t inflight_latest_ = 0;
    std::uint32_t lost_in_round_ = 0;
    std::uint32_t inflight_short_ = kNoBound;
    std::uint32_t inflight_long_ = kNoBound;  // what the path has shown to bear
    std::uint32_t upward_acked_ = 0;
    std::uint32_t upward_step_ = kNoBound;
    std::uint32_t saved_window_ = 0;

    // For taking a loss back.
    std::uint64_t undo_bandwidth_short_ = 0;
    std::uint32_t undo_inflight_short_ = 0;
    std::uint32_t undo_inflight_long_ = 0;

    // Round trips.
    Duration rtt_min_ = Duration::max();
    Duration probe_rtt_min_ = Duration::max();
    TimePoint rtt_min_at_;
    TimePoint probe_rtt_min_at_;
    std::optional<TimePoint> probe_rtt_done_at_;
    bool probe_rtt_round_done_ = false;

    // The probe cycle.
    TimePoint cycle_at_{};
    Duration probe_wait_{};
    std::uint32_t random_;

    // Acknowledgements that come in lumps.
    TimePoint aggregation_at_{};
    std::uint32_t aggregation_delivered_ = 0;
    std::array<std::uint32_t, 2> extra_acked_{};
};

}  // namespace selvage::netstack
