// What a connection sends, and what its timers do.
#include <algorithm>

#include "netstack/core/tcp_connection.h"

namespace selvage::netstack {

using namespace packet::tcp_flag;

namespace {

// A loop under load is late by milliseconds; probing sooner would mostly send what is on its way.
constexpr Duration kTailProbeMin = 5ms;
// What a peer may wait before it acknowledges a single segment (RFC 8985, section 7.2).
constexpr Duration kDelayedAckMax = 200ms;
// What was learnt of a path this long ago says little, and its memory serves others better.
constexpr Duration kForgetPath = 10s;

// A tunnel's queue of half a megabyte drains by a fifth in this time at 1 Gb/s.
constexpr Duration kCongestedRetry = 1ms;

// What leaves in one go.
struct Train {
    std::uint32_t sent = 0;         // bytes
    std::uint32_t unpushed = 0;     // full segments since the last PSH
    std::optional<SeqNum> run_end;  // of what was sent again just now

    // Whether a segment that is sent again follows the one before.
    bool goes_on(const SentSegment& segment) {
        const bool follows = run_end == segment.begin;
        run_end = segment.end;
        return follows;
    }
    bool ends_run(std::uint32_t run) {
        if (run < 2 || ++unpushed < run) return false;
        unpushed = 0;
        return true;
    }
};

std::int64_t clock_ms(TimePoint now) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
}

}  // namespace

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
        if (ecn_on_) fields.flags |= kEce;
    } else if (shared_.options.ecn == EcnMode::request && syn_tries_ == 0) {
        // Somebody on the way may drop what asks for it: not again (RFC 3168, section 6.1.1.1).
        fields.flags |= kEce | kCwr;
    }
    fields.window = offer_first_window();

    push_tcp_header(packet, flow_, fields);
    out.send(std::move(packet), flow_.local, flow_.remote, packet::IpProtocol::tcp);
    ++shared_.counters.tcp_out;
    syn_due_ = false;
    nxt_ = iss_ + 1;
    if (syn_tries_++ == 0) {
        rtt_started_ = now;
    } else {
        ++shared_.counters.tcp_retransmits;
    }
    if (send_timer_at_ == kNever) {
        send_timer_ = SendTimer::retransmit;
        send_timer_at_ = now + rtt_.timeout(backoff_);
    }
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

SendPath& TcpConnection::path(TimePoint now) {
    if (!path_) {
        const auto algorithm = options_.congestion.value_or(shared_.options.congestion);
        path_ = std::make_unique<SendPath>(
            algorithm, full_segment(), rtt_.smoothed(), shared_.options.pace_windows, una_, now
        );
    }
    idle_at_ = kNever;
    return *path_;
}

// True when the next segment must wait for its time, after `sent` bytes of this train.
bool TcpConnection::paced_out(std::uint32_t sent, TimePoint now) {
    const CongestionControl& congestion = *path_->congestion;
    const Pacer& pacer = path_->pacer;
    const std::uint64_t rate = congestion.pacing_rate();
    const std::uint32_t burst = congestion.burst();
    paced_at_ = kNever;
    if (congestion.waits_between_bursts() ? pacer.ready_in_turn(now, rate, burst, sent)
                                          : pacer.ready(now, rate, burst)) {
        return false;
    }
    paced_at_ = path_->pacer.next_at();
    return true;
}

// Better late than sent and dropped by ourselves.
bool TcpConnection::held_back(const IpOutput& out, TimePoint now) {
    if (!out.congested(flow_.remote)) return false;
    ++shared_.counters.tcp_held_back;
    paced_at_ = now + kCongestedRetry;
    return true;
}

bool TcpConnection::send_lost(
    IpOutput& out, std::uint32_t number, bool run_goes_on, TimePoint now
) {
    LossRecovery& recovery = path_->recovery;
    const SentSegment& segment = recovery.log()[number];
    // The end of a train that goes again as one; a single segment needs nobody's hurry.
    push_due_ = segment.pushed && run_goes_on;
    if (!transmit(out, segment.begin, segment.size(), now)) return false;
    recovery.on_sent_lost(number, now, clock_ms(now));
    ++shared_.counters.tcp_retransmits;
    override_due_ = false;
    return true;
}

// RFC 8985, section 7.3: something new if there is, else the last segment once more, so that the
// answer shows what is missing.
bool TcpConnection::emit_tail_probe(IpOutput& out, TimePoint now) {
    LossRecovery& recovery = path_->recovery;
    if (recovery.log().empty() || recovery.recovering()) return true;
    const SeqNum stream_end = data_end() + (fin_queued_ ? 1 : 0);
    const SeqNum edge = una_ + send_window_;
    const std::uint32_t unsent = stream_end.after(nxt_) ? stream_end.since(nxt_) : 0;
    const std::uint32_t usable = edge.after(nxt_) ? edge.since(nxt_) : 0;
    const std::uint32_t length = std::min({unsent, usable, full_segment()});
    if (length > 0 && !recovery.log().full()) {
        if (!transmit(out, nxt_, length, now)) return false;
        recovery.on_probe_sent(nxt_, false);
    } else {
        const std::uint32_t last = recovery.log().last();
        const SentSegment& segment = recovery.log()[last];
        if (!transmit(out, segment.begin, segment.size(), now)) return false;
        recovery.on_sent_again(last, now, clock_ms(now));
        recovery.on_probe_sent(nxt_, true);
        ++shared_.counters.tcp_retransmits;
    }
    ++shared_.counters.tcp_tail_probes;
    arm_send_timer(now);
    return true;
}

TcpConnection::Emit TcpConnection::emit_data(IpOutput& out, TimePoint now) {
    if ((send_.empty() && !fin_queued_) || fin_acked_) return Emit::done;
    LossRecovery& recovery = path(now).recovery;
    const CongestionControl& congestion = *path_->congestion;
    if (held_back(out, now)) return Emit::done;
    if (tail_probe_due_ && !emit_tail_probe(out, now)) return Emit::blocked;
    tail_probe_due_ = false;
    const std::uint32_t segment_bytes = full_segment();
    const SeqNum stream_end = data_end() + (fin_queued_ ? 1 : 0);
    const std::uint32_t push_every = shared_.options.push_every_segments;
    Train train;
    int budget = kEmitBudget;
    for (; budget > 0; --budget) {
        const std::uint32_t window = congestion.window();
        const std::uint32_t flight = recovery.in_flight();
        const std::uint32_t room = window - std::min(window, flight);
        if (const auto lost = recovery.next_lost(segment_bytes)) {
            const std::uint32_t size = recovery.log()[*lost].size();
            // The path has become narrower since. A FIN takes no room.
            if (size > segment_bytes + 1) {
                mss_search_.on_lost(recovery.log()[*lost].end, mss_, now);
                recovery.resegment(segment_bytes);
                continue;
            }
            path_->use.note(true, in_flight(), una_, nxt_);
            if (room < size && !(recovery.recovering() && override_due_)) return Emit::done;
            if (paced_out(train.sent, now)) return Emit::done;
            const bool goes_on = train.goes_on(recovery.log()[*lost]);
            if (!send_lost(out, *lost, goes_on, now)) return Emit::blocked;
            train.sent += size;
            continue;
        }
        const std::uint32_t unsent = stream_end.after(nxt_) ? stream_end.since(nxt_) : 0;
        if (unsent == 0 || recovery.log().full()) break;
        const std::uint32_t usable = send_window_ - std::min(send_window_, in_flight());
        const std::uint32_t most = new_segment_most(std::min(unsent, usable), room, now);
        std::uint32_t length = std::min({unsent, usable, most});
        // The FIN takes no room from the payload.
        if (fin_queued_ && unsent == segment_bytes + 1 && usable >= unsent) length = unsent;
        if (length == 0 || !may_send_new(length, usable, length == unsent)) break;
        // The path may have changed. Not before the peer has room: probes say nothing of the path.
        if (in_flight() == 0 && now - last_sent_ > rtt_.timeout(0)) {
            path_->congestion->on_restart_after_idle(now);
            last_sent_ = now;
            continue;
        }
        // The end of the stream needs no room in the path.
        if (room < length && flight > 0 && nxt_ != data_end()) {
            path_->use.note(true, in_flight(), una_, nxt_);
            return Emit::done;
        }
        if (paced_out(train.sent, now)) return Emit::done;
        push_due_ |= train.ends_run(std::min(push_every, window / segment_bytes / 2));
        if (!transmit(out, nxt_, length, now)) return Emit::blocked;
        if (most > segment_bytes) mss_search_.on_sent(most + option_bytes(), nxt_);
        train.sent += length;
        override_due_ = false;
        path_->use.note(recovery.in_flight() >= window, in_flight(), una_, nxt_);
    }
    if (budget == 0) return Emit::again;
    override_due_ = false;
    const bool waiting = stream_end.after(nxt_);
    if (!waiting && recovery.in_flight() < congestion.window()) recovery.on_app_limited();
    // Data is waiting, nothing is under way, and the window is why: ask for it from time to time.
    if (in_flight() == 0 && waiting && send_timer_at_ == kNever) arm_persist_timer(now);
    return Emit::done;
}

// Silly window avoidance and Nagle (RFC 9293, sections 3.8.6.2.1 and 3.7.4).
bool TcpConnection::may_send_new(std::uint32_t length, std::uint32_t usable, bool is_last) const {
    if (override_due_ || length >= full_segment()) return true;
    if ((corked_ || held_) && !fin_queued_) return false;
    const bool nothing_waits = options_.no_delay || in_flight() == 0;
    if (is_last && length <= usable && (nothing_waits || fin_queued_)) return true;
    return nothing_waits && length >= send_window_largest_ / 2;
}

TcpOptions TcpConnection::options_for_segment(TimePoint now) const {
    TcpOptions options;
    if (timestamps_on_) {
        options.timestamps = TcpTimestamps{timestamp_now(now), timestamp_recent_};
    }
    if (!sack_on_) return options;
    const std::size_t most = TcpOptions::kSackBlocksMax - (timestamps_on_ ? 1 : 0);
    // What arrived twice goes in front (RFC 2883): the peer learns that it sent it needlessly.
    if (doubled_.begin != doubled_.end) options.sack[options.sack_count++] = doubled_;
    if (ahead_.empty()) return options;
    // The range that grew last goes first, then those below it, where the latest news mostly are
    // (RFC 2018, section 4).
    const auto ranges = ahead_.ranges();
    std::size_t start = 0;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        if (ranges[i].begin.at_or_before(ahead_recent_)) start = i;
    }
    const std::size_t count = std::min(ranges.size(), most - options.sack_count);
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
            if ((seq + bytes == end && !more_) || push_due_) fields.flags |= kPsh;
            push_due_ = false;
        }
    }
    fields.window = select_window();
    const bool is_new = length > 0 && seq == nxt_;
    const bool capable = ecn_on_ && is_new && bytes > 0;
    if (ecn_on_) add_ecn_flags(fields, capable);
    push_tcp_header(packet, flow_, fields);
    out.send(
        std::move(packet), flow_.local, flow_.remote, packet::IpProtocol::tcp,
        capable ? packet::ecn::kCapable : packet::ecn::kNotCapable
    );
    ++shared_.counters.tcp_out;

    last_ack_sent_ = rcv_nxt_;
    doubled_ = {};
    ack_due_ = false;
    unacked_segments_ = 0;
    ack_at_ = kNever;
    if (length == 0) return true;

    SendPath& sending = path(now);
    const bool idle = sending.recovery.log().empty();
    sending.pacer.on_sent(length, sending.congestion->pacing_rate(), idle, now);
    sending.congestion->on_sent(length);
    last_sent_ = now;
    if (is_new) {
        if (in_flight() == 0) progress_at_ = now;
        const bool pushed = (fields.flags & kPsh) != 0;
        sending.recovery.on_sent_new(seq, seq + length, pushed, now);
        nxt_ += length;
    }
    const bool probing = is_new && send_timer_ == SendTimer::tail_probe;
    if (send_timer_at_ == kNever || persisting() || probing) arm_send_timer(now);
    return true;
}

// RFC 3168, sections 6.1.2 to 6.1.5: only new data may be marked, and only there we say that our
// window is smaller now; a mark that we have seen is echoed with everything.
void TcpConnection::add_ecn_flags(TcpFields& fields, bool new_data) {
    if (echo_mark_) fields.flags |= kEce;
    if (new_data && std::exchange(cwr_due_, false)) fields.flags |= kCwr;
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

// One timer for what is under way, and the reason that is due first.
void TcpConnection::arm_send_timer(TimePoint now) {
    send_timer_ = SendTimer::retransmit;
    send_timer_at_ = kNever;
    if (in_flight() == 0) {
        if (send_.empty()) idle_at_ = now + kForgetPath;
        return;
    }
    const LossRecovery& recovery = path_->recovery;
    Duration wait = rtt_.timeout(backoff_);
    if (recovery.may_probe(sack_on_) && rtt_.has_sample()) {
        // A single segment is acknowledged late (RFC 8985, section 7.2).
        Duration probe = std::max(rtt_.smoothed() * 2, kTailProbeMin);
        if (recovery.log().count() == 1) probe += kDelayedAckMax;
        send_timer_ = SendTimer::tail_probe;
        wait = std::min(wait, probe);
    }
    const TimePoint give_up = progress_at_ + options_.user_timeout;
    send_timer_at_ = std::max(std::min(now + wait, give_up), now + 1ms);
    if (const auto reorder = recovery.reorder_deadline(); reorder && *reorder < send_timer_at_) {
        send_timer_ = SendTimer::reorder;
        send_timer_at_ = *reorder;
    }
}

void TcpConnection::arm_persist_timer(TimePoint now) {
    send_timer_ = SendTimer::persist;
    send_timer_at_ = now + rtt_.timeout(backoff_);
}

void TcpConnection::on_timer(TimePoint now) {
    if (ack_at_ <= now) {
        ack_at_ = kNever;
        ack_now();
    }
    if (life_at_ <= now) on_life_timer(now);
    if (state_ == TcpState::closed) return;
    if (send_timer_at_ <= now) on_send_timer(now);
    if (state_ == TcpState::closed) return;
    if (paced_at_ <= now) paced_at_ = kNever;
    if (idle_at_ <= now) on_idle_timer(now);
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

void TcpConnection::on_idle_timer(TimePoint now) {
    idle_at_ = kNever;
    if (in_flight() > 0 || !send_.empty() || !path_) return;
    // Something may have been said since without the timer noticing.
    if (now - last_sent_ < kForgetPath) {
        idle_at_ = last_sent_ + kForgetPath;
        return;
    }
    path_.reset();
}

void TcpConnection::on_send_timer(TimePoint now) {
    send_timer_at_ = kNever;
    if (!synchronized()) {
        const int limit = passive_ ? shared_.options.syn_ack_retries : shared_.options.syn_retries;
        if (syn_tries_ > limit) {
            ++shared_.counters.tcp_timed_out;
            return finish(CloseReason::timed_out);
        }
        ++backoff_;
        syn_due_ = true;
        return;
    }
    switch (send_timer_) {
        case SendTimer::persist:
            return on_persist_timer(now);
        case SendTimer::retransmit:
            return on_retransmit_timer(now);
        case SendTimer::tail_probe:
            tail_probe_due_ = true;
            return;
        case SendTimer::reorder:
            return on_reorder_timer(now);
    }
}

void TcpConnection::on_persist_timer(TimePoint now) {
    if (now - last_heard_ >= options_.user_timeout) {
        ++shared_.counters.tcp_timed_out;
        return finish(CloseReason::timed_out);
    }
    send_timer_ = SendTimer::retransmit;
    ++backoff_;
    if (send_window_ > in_flight()) {
        override_due_ = true;  // a small window is better used than waited for
        push_due_ = true;
    } else {
        probe_due_ = true;
        ++shared_.counters.tcp_zero_window_probes;
    }
}

void TcpConnection::on_reorder_timer(TimePoint now) {
    if (!path_) return;
    const auto outcome =
        path_->recovery.on_reorder_timer(una_, nxt_, rtt_.smoothed(), now, *path_->congestion);
    if (outcome.started) {
        ++shared_.counters.tcp_fast_recoveries;
        cwr_due_ = ecn_on_;
        reduced_until_.reset();
        path_->congestion->on_recovery_start(in_flight(), now);
        // Nothing has arrived that would let more leave than the first of what is lost.
        AckSample nothing{.now = now, .recovering = true};
        nothing.in_flight_before = nothing.in_flight = path_->recovery.in_flight();
        nothing.delivered_total = path_->recovery.delivered();
        nothing.smoothed_rtt = rtt_.smoothed();
        path_->congestion->on_ack(nothing);
        override_due_ = true;
    }
    arm_send_timer(now);
}

void TcpConnection::on_retransmit_timer(TimePoint now) {
    if (in_flight() == 0) return;
    if (now - progress_at_ >= options_.user_timeout) {
        ++shared_.counters.tcp_timed_out;
        return finish(CloseReason::timed_out);
    }
    ++shared_.counters.tcp_timeouts;
    cwr_due_ = ecn_on_;
    reduced_until_.reset();
    SendPath& sending = path(now);
    if (backoff_ > 0) suspect_size();
    sending.recovery.on_timeout(una_, nxt_, now, *sending.congestion);
    sending.congestion->on_timeout(
        {.outstanding = in_flight(),
         .in_flight = sending.recovery.in_flight(),
         .again = backoff_ > 0},
        now
    );
    set_mss(mss_);  // it may be smaller now
    ++backoff_;
    override_due_ = true;
}

void TcpConnection::on_keep_alive_timer(TimePoint now) {
    const KeepAlive& keep = options_.keep_alive;
    // Data under way is probe enough, and its own timer gives up.
    if (in_flight() > 0 || persisting()) last_heard_ = std::max(last_heard_, now - keep.idle / 2);
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
