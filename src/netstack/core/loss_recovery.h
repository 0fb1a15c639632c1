// Decides which sent data counts as lost and is to be sent again: RFC 6675 where the peer
// acknowledges selectively, RFC 6582 where it does not, and the time after a timeout.
//
//   none --3 duplicate ACKs, or enough data acknowledged above a gap--> fast
//   none, fast --retransmission timer--> after_timeout
//   fast, after_timeout --everything sent before it began is acknowledged--> none
//
// Sequence space between una and nxt, as seen from here:
//
//   una        high_retransmitted      lost_until                nxt
//    | sent again |  lost, to be sent     |   under way or sacked  |
//
// pipe() estimates what is still in the network; the congestion window limits that, not the
// distance from una to nxt.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "netstack/core/range_set.h"
#include "netstack/core/seq_num.h"

namespace selvage::netstack {

class LossRecovery {
public:
    enum class Phase : std::uint8_t { none, fast, after_timeout };
    static constexpr int kDuplicateThreshold = 3;
    // Gaps remembered. More means that more than one packet in a few dozen of a full window is
    // lost; then what is not remembered is sent once too often.
    static constexpr std::size_t kRangesMax = 256;

    Phase phase() const { return phase_; }

    // Takes SACK blocks in; true when they say something new. Blocks outside [una, nxt] are a lie
    // or late, and are ignored.
    bool on_sack(std::span<const SeqRange> blocks, SeqNum una, SeqNum nxt);
    // An ACK that repeats `una` while data is under way, or brings news by SACK.
    void on_duplicate_ack(bool says_what_it_has, std::uint32_t mss, std::uint32_t in_flight);
    // Whether a loss has shown that no recovery is dealing with yet.
    bool sees_loss(SeqNum una, std::uint32_t mss) const;
    void start_fast(SeqNum una, SeqNum nxt, std::uint32_t mss);
    void start_after_timeout(SeqNum una, SeqNum nxt);
    // `una` has moved up by `acked`.
    void on_advance(SeqNum una, std::uint32_t acked, std::uint32_t mss, bool sack_in_use);
    // More of the gaps has become old enough to count as lost.
    void update_lost(SeqNum una, std::uint32_t mss);

    std::uint32_t pipe(SeqNum una, SeqNum nxt) const;
    // The next piece to send again, at most `limit` long.
    std::optional<SeqRange> next_lost(SeqNum una, std::uint32_t limit) const;
    void on_retransmitted(SeqNum end) { high_retransmitted_ = later(high_retransmitted_, end); }

private:
    SeqNum gap_limit(SeqNum una, std::uint32_t mss) const;
    void finish(SeqNum una);

    Phase phase_ = Phase::none;
    int duplicates_ = 0;
    bool had_recovery_ = false;
    std::uint32_t left_network_ = 0;  // without SACK: bytes that duplicate ACKs say have arrived
    SeqNum recovery_point_;           // nxt when the recovery began
    SeqNum high_retransmitted_;       // valid in a recovery
    SeqNum lost_until_;               // valid in a recovery
    RangeSet sacked_{kRangesMax};
};

}  // namespace selvage::netstack
