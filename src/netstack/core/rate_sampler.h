// How fast the path delivers (draft-ietf-ccwg-bbr, section 4.1): with each segment goes what had
// been delivered when it was sent; when it arrives, the difference over the longer of the times
// that sending and acknowledging took is a sample.
#pragma once

#include <algorithm>
#include <cstdint>

#include "netstack/core/sent_log.h"

namespace selvage::netstack {

// Of the segment sent last among those that one ACK delivered.
struct RateSample {
    bool valid = false;        // `delivered` and `interval` can be used
    bool has_segment = false;  // the rest can
    bool app_limited = false;
    std::uint32_t delivered = 0;
    Duration interval{};
    std::uint64_t prior_delivered = 0;  // when it was sent
    std::uint32_t in_flight = 0;        // when it was sent, with it
    std::uint32_t lost = 0;             // since then

    // Bytes a second. Precondition: valid.
    std::uint64_t rate() const {
        return delivered * std::uint64_t{1'000'000'000} /
               static_cast<std::uint64_t>(interval.count());
    }
};

class RateSampler {
public:
    // `in_flight` without the segment.
    void on_sent(SentSegment& segment, std::uint32_t in_flight, TimePoint now) {
        if (in_flight == 0) first_sent_at_ = delivered_at_ = now;
        segment.sent_at = now;
        segment.first_sent_at = first_sent_at_;
        segment.delivered_at = delivered_at_;
        segment.delivered = delivered_;
        segment.app_limited = app_limited_until_ != 0;
        segment.in_flight = in_flight + segment.size();
        segment.lost = lost_;
    }
    void on_lost(std::uint32_t bytes) { lost_ += bytes; }

    void start_ack() { best_ = {}; }
    // For each segment that an ACK says has arrived.
    void on_delivered(const SentSegment& segment, TimePoint now) {
        delivered_ += segment.size();
        delivered_at_ = now;
        if (best_.has_segment &&
            (segment.delivered < best_.prior_delivered || segment.sent_at < best_sent_at_)) {
            return;
        }
        best_.has_segment = true;
        best_.prior_delivered = segment.delivered;
        best_.app_limited = segment.app_limited;
        best_.in_flight = segment.in_flight;
        best_.lost = segment.lost;
        best_sent_at_ = segment.sent_at;
        best_.interval =
            std::max(segment.sent_at - segment.first_sent_at, delivered_at_ - segment.delivered_at);
        first_sent_at_ = segment.sent_at;
    }
    RateSample finish_ack(Duration rtt_min) {
        if (app_limited_until_ != 0 && delivered_ > app_limited_until_) app_limited_until_ = 0;
        if (!best_.has_segment) return {};
        best_.delivered = static_cast<std::uint32_t>(delivered_ - best_.prior_delivered);
        best_.lost = lost_ - best_.lost;
        // Shorter than a round trip means that acknowledgements were bunched up.
        best_.valid = best_.interval > Duration::zero() && best_.interval >= rtt_min;
        return best_;
    }
    // There was nothing to send: what is delivered next says what we wanted, not what the path can.
    void on_app_limited(std::uint32_t in_flight) {
        app_limited_until_ = std::max<std::uint64_t>(delivered_ + in_flight, 1);
    }
    std::uint64_t delivered() const { return delivered_; }
    std::uint32_t lost() const { return lost_; }

private:
    std::uint64_t delivered_ = 0;
    TimePoint delivered_at_{};
    TimePoint first_sent_at_{};
    std::uint64_t app_limited_until_ = 0;  // 0: not limited
    std::uint32_t lost_ = 0;
    RateSample best_;
    TimePoint best_sent_at_{};
};

}  // namespace selvage::netstack
