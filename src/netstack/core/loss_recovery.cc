// RACK, the phases of recovery, and taking them back.
#include "netstack/core/loss_recovery.h"

#include <algorithm>
#include <array>

namespace selvage::netstack {

namespace {

constexpr std::uint8_t kReorderMultipleMax = 64;
constexpr std::uint8_t kReorderPersist = 16;  // recoveries without a needless retransmission
constexpr std::size_t kBlocksMax = 4;         // an ACK has no room for more

std::int64_t to_ms(TimePoint at) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
}

// RFC 8985, section 6.2, step 2: of segments sent at the same time the higher one is the later.
bool sent_after(TimePoint at, SeqNum end, TimePoint other_at, SeqNum other_end) {
    return at > other_at || (at == other_at && end.after(other_end));
}

}  // namespace

void LossRecovery::on_sent_new(SeqNum begin, SeqNum end, bool pushed, TimePoint now) {
    SentSegment segment;
    segment.begin = begin;
    segment.end = end;
    segment.pushed = pushed;
    sampler_.on_sent(segment, log_.in_flight_bytes(), now);
    if (log_.empty() && !rack_valid_) highest_delivered_ = begin;
    log_.push(segment);
}

void LossRecovery::note_retransmission(SentSegment& segment, std::int64_t now_ms) {
    segment.retransmitted = true;
    ++repeats_;
    if (!first_repeat_ms_) first_repeat_ms_ = now_ms;
}

void LossRecovery::on_sent_lost(std::uint32_t number, TimePoint now, std::int64_t now_ms) {
    SentSegment& segment = log_[number];
    sampler_.on_sent(segment, log_.in_flight_bytes(), now);
    log_.put_in_flight(number);
    note_retransmission(segment, now_ms);
}

void LossRecovery::on_sent_again(std::uint32_t number, TimePoint now, std::int64_t now_ms) {
    SentSegment& segment = log_[number];
    const std::uint32_t others = log_.in_flight_bytes();
    sampler_.on_sent(segment, others - std::min(others, segment.size()), now);
    log_.put_in_flight(number);
    note_retransmission(segment, now_ms);
}

LossRecovery::Outcome LossRecovery::on_ack(const Ack& ack, CongestionControl& congestion) {
    Outcome out;
    sampler_.start_ack();
    const bool duplicate_reported = take_duplicate_report(ack);
    repeated_needlessly_ = false;
    overtaken_.reset();
    highest_before_ = highest_delivered_;
    if (ack.advanced) take_cumulative(ack, out);
    take_sack(ack, out);
    note_reordering();
    out.news = out.delivered > 0;
    if (ack.duplicate && out.delivered == 0) count_duplicate(ack, out);
    if (probe_end_) check_probe(ack, duplicate_reported, out);
    if (spurious(duplicate_reported)) undo(out);
    if (ack.advanced) after_advance(ack, out, congestion);
    detect_losses(ack, out, congestion);
    out.rate = sampler_.finish_ack(rtt_min());
    return out;
}

void LossRecovery::on_delivered(const SentSegment& segment, const Ack& ack, Outcome& out) {
    out.delivered += segment.size();
    sampler_.on_delivered(segment, ack.now);
    const Duration rtt = std::max<Duration>(ack.now - segment.sent_at, 1us);
    if (!segment.retransmitted) {
        rtt_min_.add(rtt, ack.now);
        out.rtt = out.rtt ? std::min(*out.rtt, rtt) : rtt;
        out.rtt_oldest = out.rtt_oldest ? std::max(*out.rtt_oldest, rtt) : rtt;
    } else if (rtt < rtt_min() || (ack.echoed_ms && *ack.echoed_ms < to_ms(segment.sent_at))) {
        return;  // the answer is to an earlier copy (RFC 8985, section 6.2, step 2)
    }
    // Of the one that was delivered last, not of the one that was sent last.
    rack_rtt_ = rtt;
    if (!rack_valid_ || sent_after(segment.sent_at, segment.end, rack_sent_at_, rack_end_)) {
        rack_valid_ = true;
        rack_sent_at_ = segment.sent_at;
        rack_end_ = segment.end;
    }
    if (segment.end.after(highest_delivered_)) {
        highest_delivered_ = segment.end;
    } else if (segment.end.before(highest_delivered_) && !segment.retransmitted) {
        if (!overtaken_ || segment.begin.before(*overtaken_)) overtaken_ = segment.begin;
    }
}

void LossRecovery::note_reordering() {
    if (!overtaken_ || !overtaken_->before(highest_before_)) return;
    ++reorderings_seen_;
    reordering_bytes_ = std::max(reordering_bytes_, highest_before_.since(*overtaken_));
}

void LossRecovery::take_cumulative(const Ack& ack, Outcome& out) {
    while (!log_.empty()) {
        SentSegment& first = log_[log_.first()];
        if (first.begin.at_or_after(ack.una)) break;
        const bool known = first.state == SentSegment::State::sacked;
        if (first.end.after(ack.una)) {
            if (!known) out.delivered += ack.una.since(first.begin);
            log_.trim_first(ack.una);
            break;
        }
        // RFC 3522: what we have sent again is acknowledged by a segment from before that.
        if (first.retransmitted && first_repeat_ms_ && ack.echoed_ms &&
            to_ms(first.sent_at) >= *first_repeat_ms_ && *ack.echoed_ms < *first_repeat_ms_) {
            repeated_needlessly_ = true;
        }
        if (!known) on_delivered(first, ack, out);
        log_.pop_first();
    }
    sacked_.trim_before(ack.una);
    // Duplicate ACKs have announced all of it but the segment that filled the gap.
    const std::uint32_t announced =
        out.delivered > ack.segment_bytes ? out.delivered - ack.segment_bytes : 0;
    const std::uint32_t counted = std::min(left_network_, announced);
    left_network_ -= counted;
    out.delivered -= counted;
}

// The first block lies below the acknowledgement or inside the second: something arrived twice.
bool LossRecovery::take_duplicate_report(const Ack& ack) {
    if (ack.sack.empty()) return false;
    const SeqRange& first = ack.sack[0];
    if (!first.begin.before(first.end)) return false;
    const bool below = first.end.at_or_before(ack.una);
    const bool inside = ack.sack.size() > 1 && first.begin.at_or_after(ack.sack[1].begin) &&
                        first.end.at_or_before(ack.sack[1].end);
    if (!below && !inside) return false;
    // An old block says nothing of what we have sent again lately.
    if (undo_possible_ && first.begin.at_or_after(undo_from_) && repeats_ > 0) --repeats_;
    // RFC 8985, section 6.2, step 4: the reordering window was too small. Once a round.
    if (!reorder_round_ || ack.una.at_or_after(*reorder_round_)) {
        reorder_round_ = ack.nxt;
        if (reorder_multiple_ < kReorderMultipleMax) ++reorder_multiple_;
    }
    reorder_persist_ = kReorderPersist;
    return true;
}

void LossRecovery::take_sack(const Ack& ack, Outcome& out) {
    if (!ack.sack_in_use || ack.sack.empty()) return;
    sack_seen_ = true;
    std::array<SeqRange, kBlocksMax> blocks;
    std::size_t count = 0;
    for (const SeqRange& block : ack.sack.first(std::min(ack.sack.size(), kBlocksMax))) {
        // Blocks outside what is under way are a lie or late.
        if (!block.begin.before(block.end)) continue;
        if (block.begin.before(ack.una) || block.end.after(ack.nxt)) continue;
        blocks[count++] = block;
    }
    // From below, or the news of one ACK would look like reordering.
    const auto by_begin = [](const SeqRange& a, const SeqRange& b) {
        return a.begin.before(b.begin);
    };
    std::sort(blocks.begin(), blocks.begin() + static_cast<std::ptrdiff_t>(count), by_begin);
    for (std::size_t i = 0; i < count; ++i)
        take_block(ack, blocks[i], out);
}

void LossRecovery::take_block(const Ack& ack, SeqRange block, Outcome& out) {
    const auto known = sacked_.find(block.begin);
    if (known && known->end.at_or_after(block.end)) return;
    // What the block adds begins behind what is known of it.
    const SeqNum from = known ? known->end : block.begin;
    if (!sacked_.insert(block)) return;
    const SeqRange whole = *sacked_.find(block.begin);
    std::uint32_t number = log_.find(from);
    // A segment of which the first part was known before becomes whole now.
    for (; number != log_.end(); number = SentLog::after(number)) {
        const SentSegment& segment = log_[number];
        if (segment.end.after(whole.end)) break;
        if (segment.state == SentSegment::State::sacked || segment.begin.before(whole.begin)) {
            continue;
        }
        on_delivered(segment, ack, out);
        log_.mark_sacked(number);
    }
}

void LossRecovery::count_duplicate(const Ack& ack, Outcome& out) {
    // After a timeout they answer what we sent needlessly, and say nothing new.
    if (phase_ == Phase::after_timeout) return;
    ++duplicates_;
    out.news = true;
    // A peer that invents duplicate ACKs must not make us believe that more has left the network
    // than was sent (RFC 5681, section 3.2, on ACK division and spoofed duplicates).
    const std::uint32_t flight = log_.in_flight_bytes() + log_.lost_bytes();
    const std::uint32_t most = flight > ack.segment_bytes ? flight - ack.segment_bytes : 0;
    const std::uint32_t before = left_network_;
    left_network_ = std::min(left_network_ + ack.segment_bytes, most);
    out.delivered = left_network_ > before ? left_network_ - before : 0;
}

// RFC 8985, section 7.4.2. An ACK that ends where the probe did answers the original or the probe;
// were both received, another one follows.
void LossRecovery::check_probe(const Ack& ack, bool duplicate_reported, Outcome& out) {
    if (ack.una.before(*probe_end_)) return;
    const bool beyond = ack.una.after(*probe_end_);
    if (probe_is_retransmission_ && !duplicate_reported && ack.advanced) {
        if (!beyond) return;
        out.probe_repaired = true;
    }
    probe_end_.reset();
}

bool LossRecovery::spurious(bool duplicate_reported) const {
    if (!undo_possible_ || !first_repeat_ms_) return false;
    // RFC 3708: the peer has reported each repetition as needless.
    if (duplicate_reported && repeats_ == 0) return true;
    return recovering() && repeated_needlessly_;
}

void LossRecovery::undo(Outcome& out) {
    log_.restore_lost();
    out.undone = true;
    undo_possible_ = false;
    finish();
}

void LossRecovery::finish() {
    phase_ = Phase::none;
    left_network_ = 0;
    if (reorder_persist_ > 0 && --reorder_persist_ == 0) reorder_multiple_ = 1;
}

void LossRecovery::after_advance(const Ack& ack, Outcome& out, CongestionControl& congestion) {
    duplicates_ = 0;
    if (phase_ == Phase::none) {
        left_network_ = 0;
        // Kept close, so that wrap-around never makes an old point look new.
        if (had_recovery_ && ack.una.after(recovery_point_)) had_recovery_ = false;
        return;
    }
    if (ack.una.at_or_after(recovery_point_)) {
        finish();
        out.ended = true;
        return;
    }
    // A partial acknowledgement, and nothing is known of what lies behind it: the next segment is
    // lost as well (RFC 6582, section 3.2, step 3). A peer may agree to SACK and never send any.
    if (phase_ == Phase::fast && !sack_seen_) mark_first_lost(out, congestion);
}

// RFC 8985, section 6.2, step 4.
Duration LossRecovery::reorder_window(Duration smoothed_rtt) const {
    if (reorderings_seen_ == 0 &&
        (phase_ != Phase::none || log_.sacked_count() >= kDuplicateThreshold)) {
        return Duration::zero();
    }
    return std::min(rtt_min() / 4 * reorder_multiple_, smoothed_rtt);
}

void LossRecovery::mark_lost(std::uint32_t number, Outcome& out, CongestionControl& congestion) {
    const SentSegment& segment = log_[number];
    out.lost += segment.size();
    sampler_.on_lost(segment.size());
    congestion.on_segment_lost(segment, sampler_.lost());
    log_.mark_lost(number);
}

void LossRecovery::mark_first_lost(Outcome& out, CongestionControl& congestion) {
    if (log_.empty()) return;
    if (log_[log_.first()].state == SentSegment::State::in_flight) {
        mark_lost(log_.first(), out, congestion);
    }
}

void LossRecovery::mark_late(
    Duration window, TimePoint now, Outcome& out, CongestionControl& congestion
) {
    reorder_at_.reset();
    if (!rack_valid_) return;
    for (;;) {
        const std::uint32_t number = log_.oldest_in_flight();
        if (number == SentLog::kNone) return;
        const SentSegment& segment = log_[number];
        if (!sent_after(rack_sent_at_, rack_end_, segment.sent_at, segment.end)) return;
        const TimePoint due = segment.sent_at + rack_rtt_ + window;
        if (due > now) {
            reorder_at_ = std::max(due, now + kReorderWaitMin);
            return;
        }
        mark_lost(number, out, congestion);
    }
}

void LossRecovery::detect_losses(const Ack& ack, Outcome& out, CongestionControl& congestion) {
    if (sack_seen_ && out.delivered > 0) {
        mark_late(reorder_window(ack.smoothed_rtt), ack.now, out, congestion);
    }
    if (phase_ != Phase::none) return;
    if (log_.lost_bytes() > 0) return start_fast(ack.una, ack.nxt, out);
    if (duplicates_ < kDuplicateThreshold) return;
    // Duplicates that our own retransmissions caused must not start another recovery (RFC 6582,
    // section 3.2, step 2).
    if (had_recovery_ && !ack.una.after(recovery_point_)) return;
    mark_first_lost(out, congestion);
    start_fast(ack.una, ack.nxt, out);
}

void LossRecovery::start_fast(SeqNum una, SeqNum nxt, Outcome& out) {
    phase_ = Phase::fast;
    had_recovery_ = true;
    recovery_point_ = nxt;
    out.started = true;
    undo_from_ = una;
    undo_possible_ = true;
    first_repeat_ms_.reset();
    repeats_ = 0;
    probe_end_.reset();
}

LossRecovery::Outcome LossRecovery::on_reorder_timer(
    SeqNum una, SeqNum nxt, Duration smoothed_rtt, TimePoint now, CongestionControl& congestion
) {
    Outcome out;
    mark_late(reorder_window(smoothed_rtt), now, out, congestion);
    if (phase_ == Phase::none && log_.lost_bytes() > 0) start_fast(una, nxt, out);
    return out;
}

void LossRecovery::on_timeout(
    SeqNum una, SeqNum nxt, TimePoint now, CongestionControl& congestion
) {
    // The peer has thrown away what it had acknowledged selectively (RFC 2018, section 8): nothing
    // of the scoreboard can be trusted.
    const bool reneged = !log_.empty() && log_[log_.first()].state == SentSegment::State::sacked;
    if (reneged || (!sacked_.empty() && sacked_.ranges().front().begin.at_or_before(una))) {
        sacked_.clear();
        for (std::uint32_t n = log_.first(); n != log_.end(); n = SentLog::after(n)) {
            if (log_[n].state == SentSegment::State::sacked) log_.put_in_flight(n);
        }
    }
    Outcome out;
    const bool sack_helps = rack_valid_ && !sacked_.empty();
    const Duration window = reorder_window(rack_rtt_);
    for (std::uint32_t n = log_.first(); n != log_.end(); n = SentLog::after(n)) {
        const SentSegment& segment = log_[n];
        if (segment.state == SentSegment::State::sacked) continue;
        // What was sent a moment ago may still arrive (RFC 8985, section 6.3).
        const bool young =
            sack_helps && n != log_.first() && segment.sent_at + rack_rtt_ + window > now;
        if (young && segment.state == SentSegment::State::in_flight) continue;
        if (segment.state == SentSegment::State::in_flight) {
            mark_lost(n, out, congestion);
        } else {
            log_.mark_lost(n);  // again, so that they are in order
        }
    }
    reorder_at_.reset();
    if (phase_ != Phase::after_timeout) {
        undo_from_ = una;
        undo_possible_ = true;
        first_repeat_ms_.reset();
        repeats_ = 0;
    }
    phase_ = Phase::after_timeout;
    had_recovery_ = true;
    recovery_point_ = nxt;
    duplicates_ = 0;
    left_network_ = 0;
    probe_end_.reset();
}

}  // namespace selvage::netstack
