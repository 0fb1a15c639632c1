// The scoreboard and the phases of loss recovery.
#include "netstack/core/loss_recovery.h"

#include <algorithm>

namespace selvage::netstack {

bool LossRecovery::on_sack(std::span<const SeqRange> blocks, SeqNum una, SeqNum nxt) {
    bool news = false;
    for (const SeqRange& block : blocks) {
        if (!block.begin.before(block.end)) continue;
        if (block.begin.before(una) || block.end.after(nxt)) continue;
        if (sacked_.covers(block)) continue;
        news |= sacked_.insert(block);
    }
    return news;
}

void LossRecovery::on_duplicate_ack(
    bool says_what_it_has, std::uint32_t mss, std::uint32_t in_flight
) {
    // After a timeout they answer what we sent needlessly, and say nothing new.
    if (phase_ == Phase::after_timeout) return;
    ++duplicates_;
    if (says_what_it_has) return;
    // A peer that invents duplicate ACKs must not make us believe that more has left the network
    // than was sent (RFC 5681, section 3.2, on ACK division and spoofed duplicates).
    const std::uint32_t most = in_flight > mss ? in_flight - mss : 0;
    left_network_ = std::min(left_network_ + mss, most);
}

SeqNum LossRecovery::gap_limit(SeqNum una, std::uint32_t mss) const {
    // A gap is lost when three separate ranges, or more than two segments, arrived above it.
    int count = 0;
    std::uint32_t bytes = 0;
    const auto ranges = sacked_.ranges();
    for (auto at = ranges.rbegin(); at != ranges.rend(); ++at) {
        ++count;
        bytes += at->size();
        if (count >= kDuplicateThreshold || bytes > (kDuplicateThreshold - 1) * mss) {
            return later(at->begin, una);
        }
    }
    return una;
}

bool LossRecovery::sees_loss(SeqNum una, std::uint32_t mss) const {
    if (phase_ != Phase::none) return false;
    if (gap_limit(una, mss).after(una)) return true;
    if (duplicates_ < kDuplicateThreshold) return false;
    // Duplicates that our own retransmissions caused must not start another recovery (RFC 6582,
    // section 3.2, step 2).
    return !had_recovery_ || una.after(recovery_point_);
}

void LossRecovery::start_fast(SeqNum una, SeqNum nxt, std::uint32_t mss) {
    phase_ = Phase::fast;
    had_recovery_ = true;
    recovery_point_ = nxt;
    high_retransmitted_ = una;
    lost_until_ = earlier(una + mss, nxt);
    update_lost(una, mss);
}

void LossRecovery::start_after_timeout(SeqNum una, SeqNum nxt) {
    // A range at una means that the peer has thrown away what it had acknowledged selectively
    // (RFC 2018, section 8): nothing of the scoreboard can be trusted.
    if (!sacked_.empty() && sacked_.ranges().front().begin.at_or_before(una)) sacked_.clear();
    phase_ = Phase::after_timeout;
    had_recovery_ = true;
    recovery_point_ = nxt;
    high_retransmitted_ = una;
    lost_until_ = nxt;
    duplicates_ = 0;
    left_network_ = 0;
}

void LossRecovery::update_lost(SeqNum una, std::uint32_t mss) {
    if (phase_ == Phase::fast) lost_until_ = later(lost_until_, gap_limit(una, mss));
}

void LossRecovery::finish(SeqNum una) {
    phase_ = Phase::none;
    high_retransmitted_ = lost_until_ = una;
    left_network_ = 0;
}

void LossRecovery::on_advance(
    SeqNum una, std::uint32_t acked, std::uint32_t mss, bool sack_in_use
) {
    sacked_.trim_before(una);
    duplicates_ = 0;
    if (phase_ == Phase::none) {
        left_network_ = 0;
        // Kept close, so that wrap-around never makes an old point look new.
        if (had_recovery_ && una.after(recovery_point_)) had_recovery_ = false;
        return;
    }
    if (una.at_or_after(recovery_point_)) return finish(una);
    high_retransmitted_ = later(high_retransmitted_, una);
    if (phase_ == Phase::after_timeout || (sack_in_use && !sacked_.empty())) return;
    // A partial acknowledgement, and nothing is known of what lies behind it: the next segment is
    // lost as well (RFC 6582, section 3.2, step 3).
    const std::uint32_t deflate = acked > mss ? acked - mss : 0;
    left_network_ -= std::min(left_network_, deflate);
    high_retransmitted_ = una;
    lost_until_ = earlier(una + mss, recovery_point_);
}

std::uint32_t LossRecovery::pipe(SeqNum una, SeqNum nxt) const {
    std::uint32_t out = nxt.since(una) - sacked_.total();
    if (phase_ != Phase::none) {
        const SeqNum from = later(high_retransmitted_, una);
        if (lost_until_.after(from)) {
            const SeqRange lost{from, lost_until_};
            out -= lost.size() - sacked_.count_within(lost);
        }
    }
    return out - std::min(out, left_network_);
}

std::optional<SeqRange> LossRecovery::next_lost(SeqNum una, std::uint32_t limit) const {
    if (phase_ == Phase::none) return std::nullopt;
    SeqNum begin = later(high_retransmitted_, una);
    SeqNum end = lost_until_;
    for (const SeqRange& held : sacked_.ranges()) {
        if (held.end.at_or_before(begin)) continue;
        if (held.begin.at_or_before(begin)) {
            begin = held.end;
            continue;
        }
        end = earlier(end, held.begin);
        break;
    }
    if (!begin.before(end)) return std::nullopt;
    return SeqRange{begin, earlier(end, begin + limit)};
}

}  // namespace selvage::netstack
