// What a connection does with a segment: RFC 9293, section 3.10.7, in its order, with the checks of
// RFC 5961 against segments that were made up by somebody who cannot see the flow.
#include <algorithm>

#include "netstack/core/tcp_connection.h"

namespace selvage::netstack {

using namespace packet::tcp_flag;

namespace {
// Older than this, a remembered timestamp says nothing any more (RFC 7323, section 5.5).
constexpr Duration kTimestampLife = std::chrono::hours(24 * 24);
constexpr Duration kDelayedAck = 40ms;
// Enough to start the peer's fast retransmission, however many segments one train brought.
constexpr int kDuplicateAcksMax = 4;
}  // namespace

TcpConnection::Reply TcpConnection::on_segment(const TcpSegment& segment, TimePoint now) {
    if (state_ == TcpState::closed) return Reply::reset;
    if (state_ == TcpState::syn_sent) return on_segment_syn_sent(segment, now);

    TcpSegment s = segment;
    if (state_ == TcpState::syn_received && s.has(kSyn) && !s.has(kRst) && s.seq == irs_) {
        if (!s.has(kAck) || s.ack != nxt_) {
            // The caller has not seen our SYN-ACK. Repeating it costs no more than his SYN.
            syn_due_ = true;
            return Reply::none;
        }
        // Simultaneous open: his SYN-ACK is the ACK we wait for (RFC 9293, figure 8).
        s.flags = static_cast<std::uint8_t>(s.flags & ~kSyn);
        s.seq += 1;
    }
    if (!passes_timestamp_check(s, now) || !passes_window_check(s, now)) return Reply::none;
    if (s.has(kRst)) {
        on_reset(s, now);
        return Reply::none;
    }
    if (s.has(kSyn)) {
        challenge(now);  // RFC 5961, section 4
        return Reply::none;
    }
    if (!s.has(kAck)) return Reply::none;

    if (state_ == TcpState::syn_received) {
        if (!completes_handshake(s)) return Reply::reset;
        become_established(now);
        send_window_ = std::uint32_t{s.window} << send_scale_;
        send_window_largest_ = std::max(send_window_, send_window_largest_);
        window_seq_ = s.seq;
        window_ack_ = s.ack;
    }
    if (!process_ack(s, now)) return Reply::none;
    note_timestamp(s, now);
    take_mark(s);
    last_heard_ = now;
    keep_alive_unanswered_ = 0;
    if (state_ == TcpState::closed) return Reply::none;
    return process_payload(s, now);
}

TcpConnection::Reply TcpConnection::on_segment_syn_sent(const TcpSegment& s, TimePoint now) {
    const bool ack_ok = s.has(kAck) && s.ack == nxt_ && nxt_ != iss_;
    if (s.has(kAck) && !ack_ok) return s.has(kRst) ? Reply::none : Reply::reset;
    if (s.has(kRst)) {
        // A reset without our number in it could be from anybody.
        if (ack_ok) {
            ++shared_.counters.tcp_resets_in;
            finish(CloseReason::refused);
        }
        return Reply::none;
    }
    if (!s.has(kSyn)) return Reply::none;

    irs_ = s.seq;
    rcv_nxt_ = rcv_edge_ = irs_ + 1;
    take_syn_options(s);
    if (timestamps_on_) {
        timestamp_recent_ = s.options.timestamps->value;
        timestamp_recent_at_ = now;
    }
    send_window_ = send_window_largest_ = s.window;
    window_seq_ = s.seq;
    window_ack_ = s.ack;
    last_heard_ = now;
    if (!ack_ok) {
        // Both sides dial each other at once.
        state_ = TcpState::syn_received;
        syn_due_ = true;
        backoff_ = 0;
        send_timer_at_ = kNever;
        return Reply::none;
    }
    become_established(now);
    ack_now();
    TcpSegment rest = s;
    rest.flags = static_cast<std::uint8_t>(rest.flags & ~kSyn);
    rest.seq += 1;
    select_window();  // data in a SYN-ACK needs a window to fall into
    return process_payload(rest, now);
}

// RFC 7323, section 5: a segment from an earlier round of sequence numbers has an older timestamp.
bool TcpConnection::passes_timestamp_check(const TcpSegment& s, TimePoint now) {
    if (!timestamps_on_ || s.has(kRst)) return true;
    if (!s.options.timestamps) {
        ++shared_.counters.tcp_paws;
        return false;
    }
    const std::uint32_t value = s.options.timestamps->value;
    const bool older = static_cast<std::int32_t>(value - timestamp_recent_) < 0;
    if (older && now - timestamp_recent_at_ < kTimestampLife) {
        ++shared_.counters.tcp_paws;
        if (s.length() > 0 || challenges_.allow(now)) ack_now();
        return false;
    }
    return true;
}

// RFC 7323, section 4.3: only a segment that covers what we last acknowledged sets the echo, so
// that delayed ACKs echo the oldest. After the checks of window and acknowledgement, or somebody
// who guesses could set it and have what the peer sends dropped.
void TcpConnection::note_timestamp(const TcpSegment& s, TimePoint now) {
    if (!timestamps_on_ || !s.options.timestamps) return;
    if (!s.seq.at_or_before(last_ack_sent_)) return;
    timestamp_recent_ = s.options.timestamps->value;
    timestamp_recent_at_ = now;
}

bool TcpConnection::passes_window_check(const TcpSegment& s, TimePoint now) {
    const std::uint32_t length = s.length();
    if (length == 0) {
        // A peer that has filled the window says its next ACKs from the edge, so the edge is in.
        if (s.seq.at_or_after(rcv_nxt_) && s.seq.at_or_before(rcv_edge_)) return true;
    } else {
        if (s.seq.before(rcv_edge_) && s.end().after(rcv_nxt_)) return true;
        // Of a closed window: the acknowledgement counts, the payload does not.
        if (rcv_edge_ == rcv_nxt_ && s.seq == rcv_nxt_) return true;
    }
    ++shared_.counters.tcp_out_of_window;
    if (s.has(kRst)) return false;
    const auto bytes = static_cast<std::uint32_t>(s.payload.size());
    // Received before, and lately.
    if (bytes > 0 && s.seq.before(rcv_nxt_) && rcv_nxt_.since(s.seq) <= receive_limit_) {
        doubled_ = {s.seq, s.seq + bytes};
    }
    if (state_ == TcpState::time_wait && s.has(kFin)) life_at_ = now + shared_.options.time_wait;
    // Answering empty segments without a limit would let two confused ends answer each other for
    // ever (RFC 5961, section 7; keep-alive probes are such segments).
    if (length > 0 || challenges_.allow(now)) ack_now();
    return false;
}

void TcpConnection::on_reset(const TcpSegment& s, TimePoint now) {
    // Only a reset that hits the next byte exactly is believed (RFC 5961, section 3).
    if (s.seq != rcv_nxt_) return challenge(now);
    if (state_ == TcpState::time_wait) return;  // RFC 1337: would end the quiet time early
    ++shared_.counters.tcp_resets_in;
    const bool dialling = state_ == TcpState::syn_received && !passive_;
    finish(dialling ? CloseReason::refused : CloseReason::reset);
}

void TcpConnection::challenge(TimePoint now) {
    if (!challenges_.allow(now)) {
        ++shared_.counters.tcp_challenge_limited;
        return;
    }
    ++shared_.counters.tcp_challenge_acks;
    ack_now();
}

bool TcpConnection::completes_handshake(const TcpSegment& segment) const {
    return segment.ack == nxt_ && nxt_ != iss_;
}

bool TcpConnection::update_window(const TcpSegment& s) {
    const bool newer =
        window_seq_.before(s.seq) || (window_seq_ == s.seq && window_ack_.at_or_before(s.ack));
    if (!newer) return false;
    const std::uint32_t window = std::uint32_t{s.window} << send_scale_;
    const bool changed = window != send_window_;
    send_window_ = window;
    send_window_largest_ = std::max(send_window_largest_, window);
    window_seq_ = s.seq;
    window_ack_ = s.ack;
    if (changed && persisting()) {
        // Open again, or still too small: emit() decides.
        backoff_ = 0;
        send_timer_at_ = kNever;
    }
    return changed;
}

bool TcpConnection::process_ack(const TcpSegment& s, TimePoint now) {
    // Too new or far too old: nobody who sees the flow would send it (RFC 5961, section 5).
    if (s.ack.after(nxt_) || s.ack.before(una_ - send_window_largest_)) {
        challenge(now);
        return false;
    }
    const bool data_under_way = in_flight() > 0;
    const bool advanced = s.ack.after(una_);
    const bool window_changed = s.ack.at_or_after(una_) && update_window(s);
    if (send_window_ == 0) progress_at_ = now;  // alive, and has told us to wait
    // RFC 5681, section 2. A peer that agreed to SACK and then sends none is counted as well.
    const bool duplicate = !advanced && s.ack == una_ && data_under_way && s.length() == 0 &&
                           !window_changed && s.options.sack_count == 0;
    const std::uint32_t acked = advanced ? s.ack.since(una_) : 0;
    const bool fin_acked = advanced && fin_sent() && s.ack == nxt_;
    held_ = false;
    if (advanced) {
        una_ = s.ack;
        const std::uint32_t data = acked - (fin_acked ? 1 : 0);
        send_.drop_front(std::min<std::size_t>(data, send_.size()));
        progress_at_ = now;
        backoff_ = 0;
        if (const auto size = mss_search_.on_acked(una_, now)) set_mss(*size);
    }
    if (path_) {
        take_echoed_mark(s, now);
        const LossRecovery::Outcome outcome = recover(s, duplicate, now);
        if (advanced) take_rtt_sample(s, outcome, now);
        // What the peer holds selectively takes the probe's place (RFC 8985, section 7.2).
        const bool no_probe =
            send_timer_ == SendTimer::tail_probe && !path_->recovery.may_probe(sack_on_);
        if (advanced || outcome.started || outcome.undone || no_probe ||
            path_->recovery.reorder_deadline()) {
            arm_send_timer(now);
        }
    }
    if (writer_waits_ && send_.size() <= send_limit() / 2) {
        writer_waits_ = false;
        post(socket_event::kWritable);
    }
    if (fin_acked) on_fin_acked(now);
    return true;
}

// RFC 3168, section 6.1.3: a mark is echoed until the peer has reduced its window, and at once.
void TcpConnection::take_mark(const TcpSegment& s) {
    if (!ecn_on_) return;
    if (s.has(kCwr)) echo_mark_ = false;
    if (!s.marked || s.payload.empty()) return;
    ++shared_.counters.tcp_ecn_marked_in;
    echo_mark_ = true;
    ack_now();
}

// RFC 3168, section 6.1.2: as a loss, but nothing is to be sent again, and once a round trip.
void TcpConnection::take_echoed_mark(const TcpSegment& s, TimePoint now) {
    if (reduced_until_ && !reduced()) {
        reduced_until_.reset();
        if (!path_->recovery.recovering()) path_->congestion->on_recovery_end(false, now);
    }
    if (!ecn_on_ || !s.has(kEce) || reduced_until_ || path_->recovery.recovering()) return;
    if (in_flight() == 0 && !s.ack.after(path_->una)) return;
    ++shared_.counters.tcp_ecn_reductions;
    path_->congestion->on_congestion_mark(path_->recovery.in_flight(), now);
    reduced_until_ = nxt_;
    cwr_due_ = true;
}

// Tells loss recovery and congestion control what an ACK says, in that order.
LossRecovery::Outcome TcpConnection::recover(const TcpSegment& s, bool duplicate, TimePoint now) {
    LossRecovery& recovery = path_->recovery;
    CongestionControl& congestion = *path_->congestion;
    const auto phase_before = recovery.phase();
    const std::uint32_t acked = una_.since(path_->una);
    const std::uint32_t outstanding = nxt_.since(path_->una);
    path_->una = una_;
    AckSample sample{.now = now, .acked = acked, .in_flight_before = recovery.in_flight()};
    const auto outcome = recovery.on_ack(
        {.una = una_,
         .nxt = nxt_,
         .sack = std::span(s.options.sack).first(sack_on_ ? s.options.sack_count : 0),
         .advanced = acked > 0,
         .duplicate = duplicate,
         .sack_in_use = sack_on_,
         .segment_bytes = full_segment(),
         .smoothed_rtt = rtt_.smoothed(),
         .echoed_ms = echoed_ms(s, now),
         .now = now},
        congestion
    );
    if (outcome.undone) {
        ++shared_.counters.tcp_spurious_losses;
        congestion.on_spurious_loss();
    }
    if (outcome.ended) {
        congestion.on_recovery_end(phase_before == LossRecovery::Phase::after_timeout, now);
    }
    if (outcome.started || outcome.probe_repaired) {
        ++shared_.counters.tcp_fast_recoveries;
        cwr_due_ = ecn_on_;
        reduced_until_.reset();
        congestion.on_recovery_start(outstanding, now);
        if (!outcome.started) congestion.on_recovery_end(false, now);
        override_due_ = outcome.started;
    }
    sample.delivered = outcome.delivered;
    sample.lost = outcome.lost;
    sample.in_flight = recovery.in_flight();
    sample.delivered_total = recovery.delivered();
    sample.recovering = recovery.phase() == LossRecovery::Phase::fast;
    sample.reducing = reduced();
    sample.reordering = recovery.seen_reordering();
    sample.after_timeout = recovery.phase() == LossRecovery::Phase::after_timeout;
    sample.window_limited = path_->use.limited();
    sample.most_outstanding = path_->use.most_outstanding();
    sample.rtt = outcome.rtt;
    sample.smoothed_rtt = rtt_.smoothed();
    sample.rate = outcome.rate;
    const bool just_ended = outcome.ended && phase_before == LossRecovery::Phase::fast;
    if (outcome.news && !just_ended) congestion.on_ack(sample);
    return outcome;
}

std::optional<std::int64_t> TcpConnection::echoed_ms(const TcpSegment& s, TimePoint now) const {
    if (!timestamps_on_ || !s.options.timestamps || s.options.timestamps->echo == 0) return {};
    const auto age = static_cast<std::int32_t>(timestamp_now(now) - s.options.timestamps->echo);
    if (age < 0 || age > 120'000) return {};
    return std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() -
           age;
}

// Once a round trip, as the smoothing of RFC 6298 expects.
void TcpConnection::take_rtt_sample(
    const TcpSegment& s, const LossRecovery::Outcome& outcome, TimePoint now
) {
    if (s.ack.before(rtt_seq_)) return;
    if (outcome.rtt_oldest) {
        rtt_.add_sample(*outcome.rtt_oldest);
        rtt_seq_ = nxt_;
        return;
    }
    // All of it was sent again, and Karn's rule forbids to guess which copy was meant; the echoed
    // timestamp tells (RFC 7323, section 4.1).
    const auto echoed = echoed_ms(s, now);
    if (!echoed) return;
    const auto now_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
    rtt_.add_sample(std::chrono::milliseconds(now_ms - *echoed));
    rtt_seq_ = nxt_;
}

void TcpConnection::on_fin_acked(TimePoint now) {
    fin_acked_ = true;
    switch (state_) {
        case TcpState::fin_wait_1:
            state_ = TcpState::fin_wait_2;
            return;
        case TcpState::closing:
            return enter_time_wait(now);
        case TcpState::last_ack:
            return finish(CloseReason::finished);
        case TcpState::syn_sent:
        case TcpState::syn_received:
        case TcpState::established:
        case TcpState::fin_wait_2:
        case TcpState::close_wait:
        case TcpState::time_wait:
        case TcpState::closed:
            return;
    }
}

TcpConnection::Reply TcpConnection::process_payload(const TcpSegment& s, TimePoint now) {
    const bool more_to_come = state_ == TcpState::established || state_ == TcpState::fin_wait_1 ||
                              state_ == TcpState::fin_wait_2;
    if (!more_to_come) {
        // The peer repeats what we have: our ACK was lost.
        if (s.length() > 0) ack_now();
        return Reply::none;
    }
    SeqNum seq = s.seq;
    ByteView bytes = s.payload;
    bool fin = s.has(kFin);
    if (seq.before(rcv_nxt_)) {
        const std::size_t old = std::min<std::size_t>(rcv_nxt_.since(seq), bytes.size());
        if (old > 0) doubled_ = {seq, seq + static_cast<std::uint32_t>(old)};
        bytes = bytes.subspan(old);
        seq += static_cast<std::uint32_t>(old);
        // Received before: the peer has not seen our ACK.
        ack_now();
    }
    const std::uint32_t room = rcv_edge_.after(seq) ? rcv_edge_.since(seq) : 0;
    if (bytes.size() > room) {
        bytes = bytes.first(room);
        fin = false;
        ack_now();
    }
    if (fin_known_ && (seq + static_cast<std::uint32_t>(bytes.size())).after(fin_seq_)) {
        return Reply::none;  // data behind the end of the stream is nonsense
    }
    // Nobody reads any more, and all that we had to say has arrived: the peer should know.
    if (!bytes.empty() && released_ && send_.empty() && state_ != TcpState::established) {
        finish(CloseReason::aborted);
        return Reply::reset;
    }

    if (!bytes.empty() && !store(seq, bytes, now)) return Reply::none;
    if (fin && !fin_known_) {
        fin_known_ = true;
        fin_seq_ = seq + static_cast<std::uint32_t>(bytes.size());
        ack_now();
    }
    if (fin_known_ && fin_seq_ == rcv_nxt_) process_fin(now);
    return Reply::none;
}

bool TcpConnection::store(SeqNum seq, ByteView bytes, TimePoint now) {
    const auto count = static_cast<std::uint32_t>(bytes.size());
    if (seq != rcv_nxt_) return store_ahead(seq, bytes);
    if (released_) {
        rcv_nxt_ += count;
        rcv_edge_ = later(rcv_edge_, rcv_nxt_);
        ack_now();
        return true;
    }
    if (!receive_.write_at(receive_.size(), bytes)) {
        ++shared_.counters.tcp_no_memory;
        return false;
    }
    const bool gaps = !ahead_.empty();
    std::uint32_t grown = count;
    if (gaps) {
        rcv_nxt_ += count;
        const auto joined = ahead_.find(rcv_nxt_);
        if (joined) grown += joined->end.since(rcv_nxt_);
        rcv_nxt_ += grown - count;
        ahead_.trim_before(rcv_nxt_);
    } else {
        rcv_nxt_ += count;
    }
    receive_.extend(grown);
    on_in_order(grown, gaps, now);
    return true;
}

bool TcpConnection::store_ahead(SeqNum seq, ByteView bytes) {
    ++shared_.counters.tcp_out_of_order;
    // An ACK for each, at once: the peer counts them (RFC 5681, section 4.2).
    duplicate_acks_due_ = std::min(duplicate_acks_due_ + 1, kDuplicateAcksMax);
    if (released_) return false;
    const SeqRange range{seq, seq + static_cast<std::uint32_t>(bytes.size())};
    if (ahead_.covers(range)) {
        ahead_recent_ = seq;
        doubled_ = range;
        return true;
    }
    if (!receive_.write_at(receive_.size() + seq.since(rcv_nxt_), bytes)) {
        ++shared_.counters.tcp_no_memory;
        return false;
    }
    if (!ahead_.insert(range)) {
        ++shared_.counters.tcp_out_of_order_full;
        return false;
    }
    ahead_recent_ = seq;
    return true;
}

void TcpConnection::on_in_order(std::uint32_t count, bool filled_gap, TimePoint now) {
    post(socket_event::kReadable);
    grow_receive_buffer(now);
    ++unacked_segments_;
    if (quick_acks_ > 0) --quick_acks_;
    // At least every second segment; at once when a gap was filled or the connection is young.
    if (filled_gap || unacked_segments_ >= 2 || quick_acks_ > 0 || count > 2 * full_segment()) {
        ack_now();
    } else if (ack_at_ == kNever) {
        ack_at_ = now + kDelayedAck;
    }
}

// The window grows when the reader took more than half of it within a round trip: then it, and not
// the path or the reader, is what holds the peer back.
void TcpConnection::grow_receive_buffer(TimePoint now) {
    const Duration round = rtt_.has_sample() ? std::max<Duration>(rtt_.smoothed(), 1ms) : 100ms;
    if (now - growth_started_ < round) return;
    const std::uint64_t taken = read_total_ - growth_read_;
    const bool scarce = shared_.chunks.in_use() > shared_.chunks.limit() / 2;
    if (taken * 2 > receive_limit_ && !scarce) {
        const std::uint64_t wanted = std::max<std::uint64_t>(taken * 2, receive_limit_);
        receive_limit_ = static_cast<std::uint32_t>(
            std::min<std::uint64_t>(wanted * 2, shared_.options.receive_buffer_max)
        );
    }
    growth_started_ = now;
    growth_read_ = read_total_;
}

void TcpConnection::process_fin(TimePoint now) {
    rcv_nxt_ += 1;
    rcv_edge_ = later(rcv_edge_, rcv_nxt_);
    fin_received_ = true;
    ack_now();
    post(socket_event::kReadable);
    switch (state_) {
        case TcpState::established:
            state_ = TcpState::close_wait;
            return;
        case TcpState::fin_wait_1:
            state_ = TcpState::closing;
            return;
        case TcpState::fin_wait_2:
            return enter_time_wait(now);
        case TcpState::syn_sent:
        case TcpState::syn_received:
        case TcpState::close_wait:
        case TcpState::closing:
        case TcpState::last_ack:
        case TcpState::time_wait:
        case TcpState::closed:
            return;
    }
}

void TcpConnection::on_unreachable(CloseReason reason) {
    // An established flow is judged by its own timers: the message may be forged, and most causes
    // pass.
    if (state_ == TcpState::syn_sent) finish(reason);
}

}  // namespace selvage::netstack
