// NewReno (RFC 5681) and CUBIC (RFC 9438): a window that grows with what arrives and shrinks with
// what is lost. Both start with HyStart++ (RFC 9406) and shrink by proportional rate reduction
// (RFC 9937). They differ in how the window grows when the threshold is reached, and in what a loss
// leaves of it.
#pragma once

#include "netstack/core/congestion.h"

namespace selvage::netstack {

// RFC 9406: leaves slow start when round trips grow, before the queue overflows.
class HyStart {
public:
    // Bytes that the window may grow by for `acked` in slow start.
    std::uint32_t growth(std::uint32_t acked) const {
        return conservative_rounds_ > 0 ? acked / kConservativeDivisor : acked;
    }
    // True when slow start is over.
    bool on_ack(const AckSample& ack);
    void restart() { *this = {}; }

private:
    static constexpr Duration kRttThresholdMin = 4ms;
    static constexpr Duration kRttThresholdMax = 16ms;
    static constexpr int kRttDivisor = 8;
    static constexpr int kSamples = 8;
    static constexpr int kConservativeDivisor = 4;
    static constexpr int kConservativeRounds = 5;

    void start_round(const AckSample& ack);

    std::uint64_t round_end_ = 0;  // of delivered bytes
    int samples_ = 0;
    int conservative_rounds_ = 0;  // counted from one
    Duration round_rtt_ = Duration::max();
    Duration last_round_rtt_ = Duration::max();
    Duration baseline_rtt_ = Duration::max();
};

class WindowControl final : public CongestionControl {
public:
    enum class Growth : std::uint8_t { reno, cubic };

    // `smoothed_rtt` of the handshake, when the window is to be paced.
    WindowControl(Growth growth, std::uint32_t mss, bool paced = false, Duration smoothed_rtt = {});

    std::uint32_t window() const override { return window_; }
    std::uint32_t slow_start_threshold() const override { return threshold_; }
    std::uint64_t pacing_rate() const override;
    std::uint32_t burst() const override { return started_ ? 2 * mss_ : kWindowMax; }
    bool waits_between_bursts() const override { return true; }
    bool in_slow_start() const { return window_ < threshold_; }

    void on_ack(const AckSample& ack) override;
    void on_segment_lost(const SentSegment&, std::uint32_t) override {}
    void on_recovery_start(std::uint32_t outstanding, TimePoint now) override;
    void on_recovery_end(bool after_timeout, TimePoint now) override;
    void on_timeout(const Timeout& timeout, TimePoint now) override;
    void on_spurious_loss() override;
    void on_restart_after_idle(TimePoint now) override;
    void on_sent(std::uint32_t bytes) override { reduction_sent_ += bytes; }
    void set_segment_size(std::uint32_t mss) override { mss_ = mss; }
    void on_congestion_mark(std::uint32_t in_flight, TimePoint now) override;

private:
    // The curve of RFC 9438, in segments and seconds.
    struct Cubic {
        double window_max = 0;    // where the last loss was
        double inflection = 0;    // K: seconds until the curve is there again
        double reno_window = 0;   // what Reno would have by now
        double window_prior = 0;  // before the last loss
        std::optional<TimePoint> epoch;
    };
    void reduce(const AckSample& ack);
    void grow_reno(std::uint32_t acked);
    void grow_cubic(const AckSample& ack, std::uint32_t acked_bytes);
    void shrink(std::uint32_t outstanding);

    Growth growth_;
    bool paced_;
    bool started_ = false;  // something was acknowledged; the first window leaves at once
    Duration rtt_;
    std::uint32_t mss_;
    std::uint32_t window_;
    std::uint32_t threshold_ = kNoThreshold;
    double growth_left_ = 0;  // bytes that did not make a segment yet
    HyStart start_;
    Cubic cubic_;

    // Proportional rate reduction, during a recovery.
    std::uint32_t reduction_outstanding_ = 0;
    std::uint32_t reduction_delivered_ = 0;
    std::uint32_t reduction_sent_ = 0;
    bool reducing_ = false;
    bool by_mark_ = false;  // a loss in the same round trip does not count again

    struct Undo {
        std::uint32_t window = 0;
        std::uint32_t threshold = 0;
        Cubic cubic;
    } undo_;
};

}  // namespace selvage::netstack
