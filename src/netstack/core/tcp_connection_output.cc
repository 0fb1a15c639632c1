// What a connection sends, and what its timers do.
#include <algorithm>

#include "netstack/core/tcp_connection.h"

namespace selvage::netstack {

using namespace packet::tcp_flag;

TcpConnection::Emit TcpConnection::emit(IpOutput& out, TimePoint now) {
    switch (state_) {
        case TcpState::closed:
            return Emit::done;
        case TcpState::syn_sent:
        case TcpState::syn_received:
            return emit_syn(out, now);
        case TcpState::established:
        case TcpState::fin_wait_1:
        case TcpState::fin_wait_2:
        case TcpState::close_wait:
        case TcpState::closing:
        case TcpState::last_ack:
        case TcpState::time_wait:
            break;
    }
    if (released_ && life_at_ == kNever) life_at_ = now + shared_.options.linger;
    const Emit probes = emit_probes(out, now);
    if (probes != Emit::done) return probes;
    const Emit data = emit_data(out, now);
    if (data != Emit::done) return data;
    if (ack_due_ && !transmit(out, nxt_, 0, now)) return Emit::blocked;
    return Emit::done;
}

TcpConnection::Emit TcpConnection::emit_syn(IpOutput& out, TimePoint now) {
    if (!syn_due_) return Emit::done;
    if (out.full()) return Emit::blocked;
    packet::PacketBuf packet = out.take();
    if (!packet) return Emit::blocked;

    TcpFields fields{.seq = iss_, .flags = kSyn};
    fields.options.mss = static_cast<std::uint16_t>(own_mss());
    const bool answer = state_ == TcpState::syn_received;
    // An answer repeats only what was offered (RFC 7323, section 2.2; RFC 2018, section 2).
    if (receive_scale_ > 0) fields.options.window_scale = receive_scale_;
    fields.options.sack_permitted = sack_on_;
    if (timestamps_on_) {
        fields.options.timestamps = TcpTimestamps{timestamp_now(now), timestamp_recent_};
    }
    if (answer) {
        fields.flags = kSyn | kAck;
        fields.ack = rcv_nxt_;
        last_ack_sent_ = rcv_nxt_;
    }
    const std::uint32_t window = std::min(receive_limit_, std::uint32_t{0xffff});
    fields.window = static_cast<std::uint16_t>(window);
    if (answer) rcv_edge_ = later(rcv_edge_, rcv_nxt_ + window);

    push_tcp_header(packet, flow_, fields);
    out.send(std::move(packet), flow_.local, flow_.remote, packet::IpProtocol::tcp);
    ++shared_.counters.tcp_out;
    syn_due_ = false;
    nxt_ = iss_ + 1;
    if (syn_tries_++ == 0) {
        rtt_timing_ = true;
        rtt_started_ = now;
    } else {
        ++shared_.counters.tcp_retransmits;
    }
    if (retransmit_at_ == kNever) retransmit_at_ = now + rtt_.timeout(backoff_);
    return Emit::done;
}

// What must be said apart from data: duplicate ACKs, so that the peer can count them, and probes.
TcpConnection::Emit TcpConnection::emit_probes(IpOutput& out, TimePoint now) {
    while (duplicate_acks_due_ > 0) {
        if (!transmit(out, nxt_, 0, now)) return Emit::blocked;
        --duplicate_acks_due_;
    }
    if (probe_due_) {
        // A byte that the peer has acknowledged: it answers with its window, whatever that is
        // (RFC 9293, sections 3.8.4 and 3.8.6.1).
        if (!transmit(out, una_ - 1, 0, now)) return Emit::blocked;
        probe_due_ = false;
    }
    return Emit::done;
}

TcpConnection::Emit TcpConnection::emit_data(IpOutput& out, TimePoint now) {
    if (send_.empty() && !fin_queued_) return Emit::done;
    if (fin_acked_) return Emit::done;
    if (in_flight() == 0 && now - last_sent_ > rtt_.timeout(0)) congestion_.on_idle();

    const std::uint32_t segment_bytes = full_segment();
    const SeqNum stream_end = data_end() + (fin_queued_ ? 1 : 0);
    std::uint32_t pipe = recovery_.pipe(una_, nxt_);
    const bool recovering = recovery_.phase() != LossRecovery::Phase::none;
    for (int budget = kEmitBudget; budget > 0; --budget) {
        const std::uint32_t window = congestion_.window();
        const std::uint32_t room = window > pipe ? window - pipe : 0;
        const bool first_of_recovery = recovering && override_due_;
        if (const auto lost = recovery_.next_lost(una_, segment_bytes)) {
            congestion_limited_ = true;
            if (room < lost->size() && !first_of_recovery) return Emit::done;
            if (!transmit(out, lost->begin, lost->size(), now)) return Emit::blocked;
            recovery_.on_retransmitted(lost->end);
            ++shared_.counters.tcp_retransmits;
            override_due_ = false;
            pipe += lost->size();
            continue;
        }
        const std::uint32_t unsent = stream_end.after(nxt_) ? stream_end.since(nxt_) : 0;
        if (unsent == 0) break;
        const SeqNum edge = una_ + send_window_;
        const std::uint32_t usable = edge.after(nxt_) ? edge.since(nxt_) : 0;
        std::uint32_t length = std::min({unsent, usable, segment_bytes});
        // The FIN takes no room from the payload.
        if (fin_queued_ && unsent == segment_bytes + 1 && usable >= unsent) length = unsent;
        if (length == 0 || !may_send_new(length, usable, length == unsent)) break;
        if (room < length && pipe > 0) {
            congestion_limited_ = true;
            return Emit::done;
        }
        if (!transmit(out, nxt_, length, now)) return Emit::blocked;
        override_due_ = false;
        pipe += length;
        congestion_limited_ = pipe + segment_bytes > window;
        if (budget == 1) return Emit::again;
    }
    override_due_ = false;
    // Data is waiting, nothing is under way, and the window is why: ask for it from time to time.
    if (in_flight() == 0 && stream_end.after(nxt_) && retransmit_at_ == kNever) {
        persisting_ = true;
        retransmit_at_ = now + rtt_.timeout(backoff_);
    }
    return Emit::done;
}

// Silly window avoidance and Nagle (RFC 9293, sections 3.8.6.2.1 and 3.7.4).
bool TcpConnection::may_send_new(std::uint32_t length, std::uint32_t usable, bool is_last) const {
    if (override_due_ || length >= full_segment()) return true;
    const bool nothing_waits = options_.no_delay || in_flight() == 0;
    if (is_last && length <= usable && (nothing_waits || fin_queued_)) return true;
    return nothing_waits && length >= send_window_largest_ / 2;
}

TcpOptions TcpConnection::options_for_segment(TimePoint now) const {
    TcpOptions options;
    if (timestamps_on_) {
        options.timestamps = TcpTimestamps{timestamp_now(now), timestamp_recent_};
    }
    if (!sack_on_ || ahead_.empty()) return options;
    // The range that grew last goes first, then those below it, where the latest news mostly are
    // (RFC 2018, section 4).
    const auto ranges = ahead_.ranges();
    std::size_t start = 0;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        if (ranges[i].begin.at_or_before(ahead_recent_)) start = i;
    }
    const std::size_t most = TcpOptions::kSackBlocksMax - (timestamps_on_ ? 1 : 0);
    const std::size_t count = std::min(ranges.size(), most);
    for (std::size_t i = 0; i < count; ++i) {
        options.sack[options.sack_count++] = ranges[(start + ranges.size() - i) % ranges.size()];
    }
    return options;
}

// Sends `length` of sequence space from `seq`, a FIN included; 0 is a pure ACK.
bool TcpConnection::transmit(IpOutput& out, SeqNum seq, std::uint32_t length, TimePoint now) {
    if (out.full()) return false;
    TcpFields fields{.seq = seq, .ack = rcv_nxt_, .flags = kAck};
    fields.options = options_for_segment(now);
    std::uint32_t bytes = length;
    const SeqNum end = data_end();
    if (length > 0 && (seq + length).after(end)) {
        fields.flags |= kFin;
        bytes = length - 1;
    }
    // SACK blocks take room from the payload. What does not fit goes with the next segment.
    const auto blocks = static_cast<std::uint32_t>(fields.options.sack_count);
    if (bytes + (timestamps_on_ ? 12 : 0) + 4 + 8 * blocks > mss_) fields.options.sack_count = 0;

    packet::PacketBuf packet = out.take();
    if (!packet) return false;
    if (length > 0) {
        if (bytes > 0) {
            send_.copy_out(seq.since(send_begin()), {packet.push_back(bytes), bytes});
            if (seq + bytes == end) fields.flags |= kPsh;
        }
    }
    fields.window = select_window();
    push_tcp_header(packet, flow_, fields);
    out.send(std::move(packet), flow_.local, flow_.remote, packet::IpProtocol::tcp);
    ++shared_.counters.tcp_out;

    last_ack_sent_ = rcv_nxt_;
    ack_due_ = false;
    unacked_segments_ = 0;
    ack_at_ = kNever;
    if (length == 0) return true;

    last_sent_ = now;
    const bool is_new = seq == nxt_;
    if (is_new) {
        if (in_flight() == 0) progress_at_ = now;
        nxt_ += length;
        if (!rtt_timing_) {
            rtt_timing_ = true;
            rtt_seq_ = nxt_;
            rtt_started_ = now;
        }
    } else if (rtt_timing_ && seq.before(rtt_seq_)) {
        rtt_timing_ = false;  // Karn: the ACK could be for either copy
    }
    if (retransmit_at_ == kNever || persisting_) arm_retransmit(now);
    return true;
}

// The window that we offer. The edge never moves back, and moves on in steps worth a segment
// (RFC 9293, section 3.8.6.2.2).
std::uint16_t TcpConnection::select_window() {
    const std::uint32_t largest = std::uint32_t{0xffff} << receive_scale_;
    const auto used = static_cast<std::uint32_t>(receive_.size());
    const std::uint32_t free = receive_limit_ > used ? receive_limit_ - used : 0;
    const SeqNum edge = rcv_nxt_ + std::min(free, largest);
    const std::uint32_t step = std::min(receive_limit_ / 2, own_mss());
    if (edge.after(rcv_edge_) && edge.since(rcv_edge_) >= step) rcv_edge_ = edge;
    const std::uint32_t window = rcv_edge_.since(rcv_nxt_);
    // Rounded up to what the scale can express: rounding down would take back what was offered.
    const std::uint32_t unit = (1U << receive_scale_) - 1;
    const std::uint32_t field = std::min((window + unit) >> receive_scale_, std::uint32_t{0xffff});
    rcv_edge_ = later(rcv_edge_, rcv_nxt_ + (field << receive_scale_));
    return static_cast<std::uint16_t>(field);
}

bool TcpConnection::window_update_due() const {
    if (fin_received_ || !synchronized() || state_ == TcpState::closed) return false;
    const auto used = static_cast<std::uint32_t>(receive_.size());
    const std::uint32_t free = receive_limit_ > used ? receive_limit_ - used : 0;
    const std::uint32_t offered = rcv_edge_.since(rcv_nxt_);
    const std::uint32_t reachable = std::min(free, std::uint32_t{0xffff} << receive_scale_);
    if (reachable <= offered) return false;
    const std::uint32_t gain = reachable - offered;
    // Worth a segment of its own when the peer has little left, or much to win.
    return gain >= receive_limit_ / 4 || (offered < 2 * own_mss() && gain >= own_mss());
}

void TcpConnection::arm_retransmit(TimePoint now) {
    persisting_ = false;
    const TimePoint give_up = progress_at_ + options_.user_timeout;
    retransmit_at_ = std::max(std::min(now + rtt_.timeout(backoff_), give_up), now + 1ms);
}

void TcpConnection::on_timer(TimePoint now) {
    if (ack_at_ <= now) {
        ack_at_ = kNever;
        ack_now();
    }
    if (life_at_ <= now) on_life_timer(now);
    if (state_ == TcpState::closed) return;
    if (retransmit_at_ <= now) on_retransmit_timer(now);
    if (state_ == TcpState::closed) return;
    if (keep_alive_at_ <= now) on_keep_alive_timer(now);
}

void TcpConnection::on_life_timer(TimePoint now) {
    life_at_ = kNever;
    if (state_ == TcpState::time_wait) return finish(CloseReason::finished);
    // Left alone by its user. It may go on while the peer still takes what we have to send, and
    // not merely promises to.
    const Duration linger = shared_.options.linger;
    if (in_flight() > 0 && send_window_ > 0 && now - progress_at_ < linger) {
        life_at_ = progress_at_ + linger;
        return;
    }
    ++shared_.counters.tcp_timed_out;
    finish(CloseReason::timed_out);
}

void TcpConnection::on_retransmit_timer(TimePoint now) {
    retransmit_at_ = kNever;
    const auto give_up = [this] {
        ++shared_.counters.tcp_timed_out;
        finish(CloseReason::timed_out);
    };
    if (!synchronized()) {
        const bool dialling = !passive_;
        const int limit = dialling ? shared_.options.syn_retries : shared_.options.syn_ack_retries;
        if (syn_tries_ > limit) return give_up();
        ++backoff_;
        syn_due_ = true;
        return;
    }
    if (persisting_) {
        if (now - last_heard_ >= options_.user_timeout) return give_up();
        persisting_ = false;
        ++backoff_;
        if (send_window_ > in_flight()) {
            override_due_ = true;  // a small window is better used than waited for
        } else {
            probe_due_ = true;
            ++shared_.counters.tcp_zero_window_probes;
        }
        return;
    }
    if (in_flight() == 0) return;
    if (now - progress_at_ >= options_.user_timeout) return give_up();
    ++shared_.counters.tcp_timeouts;
    congestion_.on_timeout(in_flight(), backoff_ > 0);
    recovery_.start_after_timeout(una_, nxt_);
    ++backoff_;
    rtt_timing_ = false;
    override_due_ = true;
}

void TcpConnection::on_keep_alive_timer(TimePoint now) {
    const KeepAlive& keep = options_.keep_alive;
    // Data under way is probe enough, and its own timer gives up.
    if (in_flight() > 0 || persisting_) last_heard_ = std::max(last_heard_, now - keep.idle / 2);
    if (keep_alive_unanswered_ == 0 && now < last_heard_ + keep.idle) {
        keep_alive_at_ = last_heard_ + keep.idle;
        return;
    }
    if (keep_alive_unanswered_ >= keep.probes) {
        ++shared_.counters.tcp_timed_out;
        return finish(CloseReason::timed_out);
    }
    ++keep_alive_unanswered_;
    ++shared_.counters.tcp_keep_alive_probes;
    probe_due_ = true;
    keep_alive_at_ = now + keep.interval;
}

}  // namespace selvage::netstack
