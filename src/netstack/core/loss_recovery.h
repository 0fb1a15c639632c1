// Decides which sent data counts as lost and is to be sent again: RACK-TLP (RFC 8985) where the
// peer acknowledges selectively, three duplicate ACKs (RFC 6582) where it does not, and the time
// after a timeout. Takes a decision back when the peer turns out to have had everything (RFC 4015,
// 3708).
//
//   none --a segment sent later has arrived, or 3 duplicate ACKs--> fast
//   none, fast --retransmission timer--> after_timeout
//   fast, after_timeout --everything sent before it began is acknowledged--> none
//   fast, after_timeout --what was sent again proves to have been needless--> none
//
// RACK in a sentence: once a segment has arrived, those sent before it are lost when they are later
// than a round trip and a little (the reordering window), which is zero until reordering was seen.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "netstack/core/congestion.h"
#include "netstack/core/range_set.h"
#include "netstack/core/rate_sampler.h"
#include "netstack/core/sent_log.h"
#include "netstack/core/windowed_min.h"

namespace selvage::netstack {

class LossRecovery {
public:
    enum class Phase : std::uint8_t { none, fast, after_timeout };
    static constexpr std::uint32_t kDuplicateThreshold = 3;
    // Gaps remembered. More means that more than one packet in a few dozen of a full window is
    // lost; then what is not remembered is sent once too often.
    static constexpr std::size_t kRangesMax = 256;
    // The reordering timer of RFC 8985 is not worth setting for less.
    static constexpr Duration kReorderWaitMin = 1ms;

    // What an acceptable ACK says, after its check.
    struct Ack {
        SeqNum una;  // as it is now; on_ack() knows where it was
        SeqNum nxt;
        std::span<const SeqRange> sack;
        bool advanced = false;
        bool duplicate = false;  // in the sense of RFC 5681, section 2, without SACK
        bool sack_in_use = false;
        std::uint32_t segment_bytes = 536;
        Duration smoothed_rtt{};
        // When the segment that the ACK answers was sent, in the clock of the timestamps.
        std::optional<std::int64_t> echoed_ms;
        TimePoint now{};
    };
    struct Outcome {
        std::uint32_t delivered = 0;
        std::uint32_t lost = 0;
        bool news = false;     // delivered something, or a duplicate that counts
        bool started = false;  // fast recovery
        bool ended = false;
        bool undone = false;
        bool probe_repaired = false;  // a tail loss probe filled the only gap (RFC 8985, 7.4.2)
        std::optional<Duration> rtt;  // of the segment sent last, if never sent again
        std::optional<Duration> rtt_oldest;  // of the oldest such
        RateSample rate;
    };

    // A round trip that was measured otherwise, as in the handshake.
    void add_rtt(Duration rtt, TimePoint now) { rtt_min_.add(rtt, now); }

    Phase phase() const { return phase_; }
    bool recovering() const { return phase_ != Phase::none; }

    void on_sent_new(SeqNum begin, SeqNum end, bool pushed, TimePoint now);
    // Precondition: next_lost() gave it.
    void on_sent_lost(std::uint32_t number, TimePoint now, std::int64_t now_ms);
    // The first unacknowledged or the last segment, whatever is believed of it.
    void on_sent_again(std::uint32_t number, TimePoint now, std::int64_t now_ms);

    Outcome on_ack(const Ack& ack, CongestionControl& congestion);
    // Nothing new has come, and what was waited for is lost.
    Outcome on_reorder_timer(
        SeqNum una, SeqNum nxt, Duration smoothed_rtt, TimePoint now, CongestionControl& congestion
    );
    void on_timeout(SeqNum una, SeqNum nxt, TimePoint now, CongestionControl& congestion);

    // When to call on_reorder_timer(); empty when nothing waits for it.
    std::optional<TimePoint> reorder_deadline() const { return reorder_at_; }

    // Tail loss probes. May one be armed? (RFC 8985, section 7.2)
    bool may_probe(bool sack_in_use) const {
        return sack_in_use && phase_ == Phase::none && !probe_end_ && !log_.empty() &&
               log_.sacked_count() == 0;
    }
    void on_probe_sent(SeqNum nxt, bool is_retransmission) {
        probe_end_ = nxt;
        probe_is_retransmission_ = is_retransmission;
    }

    // Bytes believed to be in the network.
    std::uint32_t in_flight() const {
        const std::uint32_t bytes = log_.in_flight_bytes();
        return bytes - std::min(bytes, left_network_);
    }
    // The number of the next segment to send again, of at most `most` bytes if it is made of
    // several.
    std::optional<std::uint32_t> next_lost(std::uint32_t most) {
        while (log_.first_lost() == log_.first() && log_.merge_first(most)) {
        }
        const std::uint32_t number = log_.first_lost();
        if (number == SentLog::kNone) return std::nullopt;
        return number;
    }
    const SentLog& log() const { return log_; }
    void resegment(std::uint32_t most) { log_.resegment(most); }
    void on_app_limited() { sampler_.on_app_limited(in_flight()); }
    // Zero before the first sample.
    Duration rtt_min() const { return rtt_min_.value_or(Duration::zero()); }
    std::uint64_t delivered() const { return sampler_.delivered(); }
    bool seen_reordering() const { return reorderings_seen_ > 0; }
    // How often an acknowledgement showed it, and how far something was overtaken at most.
    std::uint32_t reorderings_seen() const { return reorderings_seen_; }
    std::uint32_t reordering_bytes() const { return reordering_bytes_; }

private:
    void take_cumulative(const Ack& ack, Outcome& out);
    void take_sack(const Ack& ack, Outcome& out);
    bool take_duplicate_report(const Ack& ack);  // DSACK (RFC 2883)
    void take_block(const Ack& ack, SeqRange block, Outcome& out);
    void on_delivered(const SentSegment& segment, const Ack& ack, Outcome& out);
    void note_reordering();
    void count_duplicate(const Ack& ack, Outcome& out);
    void detect_losses(const Ack& ack, Outcome& out, CongestionControl& congestion);
    Duration reorder_window(Duration smoothed_rtt) const;
    void mark_late(Duration window, TimePoint now, Outcome& out, CongestionControl& congestion);
    void mark_lost(std::uint32_t number, Outcome& out, CongestionControl& congestion);
    void mark_first_lost(Outcome& out, CongestionControl& congestion);
    void start_fast(SeqNum una, SeqNum nxt, Outcome& out);
    void after_advance(const Ack& ack, Outcome& out, CongestionControl& congestion);
    bool spurious(bool duplicate_reported) const;
    void undo(Outcome& out);
    void finish();
    void check_probe(const Ack& ack, bool duplicate_reported, Outcome& out);
    void note_retransmission(SentSegment& segment, std::int64_t now_ms);

    SentLog log_;
    RangeSet sacked_{kRangesMax};
    RateSampler sampler_;
    WindowedMin rtt_min_{std::chrono::minutes(5)};

    Phase phase_ = Phase::none;
    bool had_recovery_ = false;
    SeqNum recovery_point_;  // nxt when the recovery began
    std::uint32_t duplicates_ = 0;
    bool sack_seen_ = false;
    std::uint32_t left_network_ = 0;  // without SACK: bytes that duplicate ACKs say have arrived

    // RACK: the segment sent last of those that have arrived.
    bool rack_valid_ = false;
    TimePoint rack_sent_at_{};
    SeqNum rack_end_;
    Duration rack_rtt_{};
    SeqNum highest_delivered_;
    std::uint32_t reorderings_seen_ = 0;
    std::uint32_t reordering_bytes_ = 0;
    SeqNum highest_before_;            // highest_delivered_ before this acknowledgement
    std::optional<SeqNum> overtaken_;  // the lowest that this one shows to have been
    std::uint8_t reorder_multiple_ = 1;
    std::uint8_t reorder_persist_ = 0;
    std::optional<SeqNum> reorder_round_;
    std::optional<TimePoint> reorder_at_;

    std::optional<SeqNum> probe_end_;
    bool probe_is_retransmission_ = false;

    // To take a decision back: when it sent something again first, and how many of those segments
    // the peer has not yet reported as needless.
    SeqNum undo_from_;
    std::optional<std::int64_t> first_repeat_ms_;
    std::uint32_t repeats_ = 0;
    bool repeated_needlessly_ = false;  // as this ACK says
    bool undo_possible_ = false;        // stays so after the end, for a late report
};

}  // namespace selvage::netstack
