// What decides how much may be under way and how fast it leaves. One object for each connection
// that sends; the algorithms are in window_control.h (NewReno, CUBIC) and bbr.h.
//
// Loss recovery decides what to send again and tells this one of losses; neither knows the other's
// rules.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>

#include "netstack/core/rate_sampler.h"

namespace selvage::netstack {

enum class CongestionAlgorithm : std::uint8_t { new_reno, cubic, bbr };

// What one acknowledgement brought.
struct AckSample {
    TimePoint now{};
    std::uint32_t delivered = 0;         // bytes, cumulatively or selectively
    std::uint32_t acked = 0;             // bytes, cumulatively
    std::uint32_t lost = 0;              // bytes that it showed to be lost
    std::uint32_t in_flight_before = 0;  // before this one
    std::uint32_t in_flight = 0;
    std::uint64_t delivered_total = 0;
    bool recovering = false;             // in fast recovery, after this one
    bool reducing = false;               // the round trip after a mark
    bool reordering = false;             // the path is known to reorder
    bool after_timeout = false;          // still repairing what a timeout has shown
    bool window_limited = false;         // the window was what held us back
    std::uint32_t most_outstanding = 0;  // in the last round
    std::optional<Duration> rtt;
    Duration smoothed_rtt{};
    RateSample rate;
};

class CongestionControl {
public:
    // Against overflow, and more than any buffer can fill.
    static constexpr std::uint32_t kWindowMax = 64 * 1024 * 1024;

    static constexpr std::uint32_t kNoThreshold = 0x7fffffff;

    virtual ~CongestionControl() = default;

    // Bytes that may be in flight.
    virtual std::uint32_t window() const = 0;
    // Where slow start ends; kNoThreshold before a loss and for those that know no such thing.
    virtual std::uint32_t slow_start_threshold() const { return kNoThreshold; }
    // Bytes a second; 0 is as fast as the window allows.
    virtual std::uint64_t pacing_rate() const { return 0; }
    // Bytes that may leave at once when it is paced.
    virtual std::uint32_t burst() const { return kWindowMax; }
    // Whether a burst, once it has left, is waited for before the next; else they may overlap.
    virtual bool waits_between_bursts() const { return false; }

    virtual void on_ack(const AckSample& ack) = 0;
    // `segment` was lost; `lost_total` is all that ever was, with it.
    virtual void on_segment_lost(const SentSegment& segment, std::uint32_t lost_total) = 0;
    // A loss was noticed by acknowledgements; `outstanding` is everything between the first byte
    // that is not acknowledged and the last that was sent.
    virtual void on_recovery_start(std::uint32_t outstanding, TimePoint now) = 0;
    virtual void on_recovery_end(bool after_timeout, TimePoint now) = 0;
    // `in_flight` is what may still arrive; `again` for the same data (RFC 5681, section 3.1).
    struct Timeout {
        std::uint32_t outstanding = 0;
        std::uint32_t in_flight = 0;
        bool again = false;
    };
    virtual void on_timeout(const Timeout& timeout, TimePoint now) = 0;
    // The last loss was none (RFC 4015).
    virtual void on_spurious_loss() = 0;
    // Something is sent although nothing was for longer than a timeout.
    virtual void on_restart_after_idle(TimePoint now) = 0;
    virtual void on_sent(std::uint32_t bytes) = 0;
    virtual void set_segment_size(std::uint32_t mss) = 0;
    // A router has said that its queue is long (RFC 3168); once a round trip at most.
    // Acknowledgements say `reducing` until on_recovery_end().
    virtual void on_congestion_mark(std::uint32_t in_flight, TimePoint now) = 0;

    // RFC 6928.
    static std::uint32_t initial_window(std::uint32_t mss) {
        return std::min(10 * mss, std::max(2 * mss, std::uint32_t{14600}));
    }
};

// `smoothed_rtt` of the handshake; zero if it is not known.
std::unique_ptr<CongestionControl> make_congestion_control(
    CongestionAlgorithm algorithm, std::uint32_t mss, Duration smoothed_rtt, bool pace_windows,
    TimePoint now
);

}  // namespace selvage::netstack
