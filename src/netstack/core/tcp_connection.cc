// A connection's life and its user's calls.
#include "netstack/core/tcp_connection.h"

#include <algorithm>

namespace selvage::netstack {

namespace {

// Gaps in received data that are remembered; beyond it what arrives is dropped and comes again.
constexpr std::size_t kAheadRangesMax = 128;
constexpr std::uint8_t kWindowScaleMax = 14;

std::uint8_t scale_for(std::uint32_t buffer) {
    std::uint8_t scale = 0;
    while (scale < kWindowScaleMax && (std::uint64_t{0xffff} << scale) < buffer)
        ++scale;
    return scale;
}

}  // namespace

TcpConnection::TcpConnection(
    const TcpShared& shared, const FlowKey& flow, const TcpSocketOptions& options, SeqNum iss,
    std::uint32_t timestamp_offset
)
    : shared_(shared),
      flow_(flow),
      options_(options),
      iss_(iss),
      una_(iss),
      nxt_(iss),
      send_(shared.chunks),
      receive_limit_(shared.options.receive_buffer_first),
      receive_(shared.chunks),
      ahead_(kAheadRangesMax),
      timestamp_offset_(timestamp_offset) {}

void TcpConnection::connect() {
    state_ = TcpState::syn_sent;
    receive_scale_ = scale_for(shared_.options.receive_buffer_max);
    sack_on_ = true;  // offered; kept if the peer agrees
    timestamps_on_ = shared_.options.timestamps;
    syn_due_ = true;
}

void TcpConnection::agree_on_ecn(const TcpSegment& syn) {
    const bool answer = syn.has(packet::tcp_flag::kAck);
    switch (shared_.options.ecn) {
        case EcnMode::off:
            ecn_on_ = false;
            return;
        case EcnMode::accept:
            ecn_on_ = !answer && syn.asks_for_ecn();
            return;
        case EcnMode::request:
            ecn_on_ = answer ? syn.agrees_to_ecn() : syn.asks_for_ecn();
            return;
    }
}

void TcpConnection::take_syn_options(const TcpSegment& syn) {
    const TcpOptions& options = syn.options;
    agree_on_ecn(syn);
    const std::uint32_t peer_mss = options.mss.value_or(kMssDefault);
    mss_ = std::clamp(peer_mss, kMssMin, std::min(own_mss(), path_mss()));
    sack_on_ = options.sack_permitted;
    timestamps_on_ = shared_.options.timestamps && options.timestamps.has_value();
    if (options.window_scale) {
        send_scale_ = std::min(*options.window_scale, kWindowScaleMax);
        receive_scale_ = scale_for(shared_.options.receive_buffer_max);
    } else {
        send_scale_ = receive_scale_ = 0;
    }
}

void TcpConnection::accept_syn(const TcpSegment& syn, TimePoint now) {
    state_ = TcpState::syn_received;
    passive_ = true;
    irs_ = syn.seq;
    rcv_nxt_ = rcv_edge_ = irs_ + 1;
    take_syn_options(syn);
    if (timestamps_on_) {
        timestamp_recent_ = syn.options.timestamps->value;
        timestamp_recent_at_ = now;
    }
    // The window of a SYN is never scaled (RFC 7323, section 2.2).
    send_window_ = send_window_largest_ = syn.window;
    window_seq_ = syn.seq;
    last_heard_ = now;
    syn_due_ = true;
}

void TcpConnection::accept_answered_syn(const TcpSegment& syn, TimePoint now) {
    accept_syn(syn, now);
    syn_due_ = false;
    nxt_ = iss_ + 1;
    last_ack_sent_ = rcv_nxt_;
    offer_first_window();
    syn_tries_ = 2;  // when it was sent is not known, so it measures no round trip
    send_timer_at_ = now + rtt_.timeout(0);
}

// The window of a SYN is never scaled (RFC 7323, section 2.2).
std::uint16_t TcpConnection::offer_first_window() {
    const std::uint32_t window = std::min(receive_limit_, std::uint32_t{0xffff});
    if (state_ == TcpState::syn_received) rcv_edge_ = later(rcv_edge_, rcv_nxt_ + window);
    return static_cast<std::uint16_t>(window);
}

void TcpConnection::become_established(TimePoint now) {
    state_ = TcpState::established;
    una_ = iss_ + 1;
    syn_due_ = false;
    send_timer_at_ = kNever;
    if (syn_tries_ == 1) rtt_.add_sample(now - rtt_started_);  // Karn: not of a repeated SYN
    rtt_seq_ = una_ + 1;
    backoff_ = 0;
    progress_at_ = last_heard_ = growth_started_ = now;
    if (options_.keep_alive.enabled) keep_alive_at_ = now + options_.keep_alive.idle;
    post(passive_ ? SocketEvents{} : socket_event::kConnected);
    if (writer_waits_) {
        writer_waits_ = false;
        post(socket_event::kWritable);
    }
    // shutdown_write() before the handshake was over.
    if (fin_queued_) state_ = TcpState::fin_wait_1;
}

void TcpConnection::enter_time_wait(TimePoint now) {
    state_ = TcpState::time_wait;
    reason_ = CloseReason::finished;  // whatever ends the quiet time
    send_.clear();
    path_.reset();
    send_timer_at_ = paced_at_ = idle_at_ = keep_alive_at_ = kNever;
    life_at_ = now + shared_.options.time_wait;
    post(socket_event::kReadable);
}

void TcpConnection::finish(CloseReason reason) {
    if (state_ == TcpState::closed) return;
    if (reason_ == CloseReason::none) reason_ = reason;
    state_ = TcpState::closed;
    send_.clear();
    path_.reset();
    send_timer_at_ = paced_at_ = idle_at_ = ack_at_ = keep_alive_at_ = life_at_ = kNever;
    syn_due_ = ack_due_ = probe_due_ = override_due_ = tail_probe_due_ = false;
    duplicate_acks_due_ = 0;
    // What arrived in order may still be read after a timeout or a reset; what is behind a gap
    // never will be.
    ahead_.clear();
    if (receive_.empty() || released_) receive_.clear();
    post(socket_event::kClosed | socket_event::kReadable | socket_event::kWritable);
}

std::size_t TcpConnection::read(MutableByteView out) {
    const std::size_t count = receive_.read(out);
    read_total_ += count;
    if (count > 0 && window_update_due()) ack_now();
    return count;
}

bool TcpConnection::read_finished() const {
    if (!receive_.empty()) return false;
    return fin_received_ || state_ == TcpState::closed;
}

std::uint32_t TcpConnection::congestion_window() const {
    return path_ ? path_->congestion->window() : CongestionControl::initial_window(full_segment());
}

std::uint32_t TcpConnection::send_limit() const {
    // Twice the congestion window keeps the path full while the writer's loop comes round.
    const std::uint32_t wanted =
        std::max(shared_.options.send_buffer_first, congestion_window() * 2);
    // When half of the stack's memory is in use nobody grows any more: the rest is for the others.
    const bool scarce = shared_.chunks.in_use() > shared_.chunks.limit() / 2;
    return std::min(
        wanted, scarce ? shared_.options.send_buffer_first : shared_.options.send_buffer_max
    );
}

std::size_t TcpConnection::writable_bytes() const {
    if (write_finished()) return 0;
    const std::size_t limit = send_limit();
    return limit > send_.size() ? limit - send_.size() : 0;
}

std::size_t TcpConnection::write(ByteView bytes, bool more) {
    if (write_finished()) return 0;
    more_ = held_ = more;
    const std::size_t room = std::min(bytes.size(), writable_bytes());
    const std::size_t count = send_.append(bytes.first(room));
    if (count < bytes.size()) writer_waits_ = true;
    starved_ = count < room;
    return count;
}

void TcpConnection::shutdown_write() {
    if (fin_queued_) return;
    switch (state_) {
        case TcpState::syn_sent:
        case TcpState::syn_received:
            break;  // become_established() goes on
        case TcpState::established:
            state_ = TcpState::fin_wait_1;
            break;
        case TcpState::close_wait:
            state_ = TcpState::last_ack;
            break;
        case TcpState::fin_wait_1:
        case TcpState::fin_wait_2:
        case TcpState::closing:
        case TcpState::last_ack:
        case TcpState::time_wait:
        case TcpState::closed:
            return;
    }
    fin_queued_ = true;
}

void TcpConnection::abort(IpOutput& out, TimePoint now, CloseReason reason) {
    switch (state_) {
        case TcpState::syn_received:
        case TcpState::established:
        case TcpState::fin_wait_1:
        case TcpState::fin_wait_2:
        case TcpState::close_wait:
        case TcpState::closing:
        case TcpState::last_ack: {
            packet::PacketBuf packet = out.take();
            if (packet) {
                TcpFields fields{.seq = nxt_, .ack = rcv_nxt_};
                fields.flags = packet::tcp_flag::kRst | packet::tcp_flag::kAck;
                if (timestamps_on_) {  // RFC 7323, section 3.2
                    fields.options.timestamps =
                        TcpTimestamps{timestamp_now(now), timestamp_recent_};
                }
                push_tcp_header(packet, flow_, fields);
                out.send(std::move(packet), flow_.local, flow_.remote, packet::IpProtocol::tcp);
                ++shared_.counters.tcp_resets_out;
            }
            break;
        }
        case TcpState::syn_sent:
        case TcpState::time_wait:
        case TcpState::closed:
            break;
    }
    finish(reason);
}

bool TcpConnection::close_resets() const {
    if (write_finished()) return false;
    return !synchronized() || !receive_.empty() || !ahead_.empty();
}

void TcpConnection::release() {
    released_ = true;
    // Nobody will read it. What still arrives is thrown away while our own data is under way, so
    // that a last message reaches a peer that had more to say; see process_payload().
    if (!receive_.empty()) {
        receive_.clear();
        ahead_.clear();
        ack_now();
    }
}

bool TcpConnection::may_be_reused_by(const TcpSegment& syn) const {
    if (state_ != TcpState::time_wait) return false;
    if (timestamps_on_ && syn.options.timestamps) {
        const std::uint32_t value = syn.options.timestamps->value;
        if (static_cast<std::int32_t>(value - timestamp_recent_) > 0) return true;
    }
    return syn.seq.after(rcv_nxt_);
}

TcpInfo TcpConnection::info() const {
    TcpInfo info{
        .mss = full_segment(),
        .advertised_mss = own_mss(),
        .congestion_window = congestion_window(),
        .slow_start_threshold = CongestionControl::kNoThreshold,
        .in_flight = in_flight(),
        .backoff = backoff_,
        .smoothed_rtt = rtt_.smoothed(),
    };
    if (!path_) return info;
    const LossRecovery& recovery = path_->recovery;
    info.slow_start_threshold = path_->congestion->slow_start_threshold();
    info.sacked = recovery.log().sacked_bytes();
    info.lost = recovery.log().lost_bytes() + recovery.log().repeated_bytes();
    info.retransmitted = recovery.log().repeated_bytes();
    info.reordering = std::max(info.reordering, recovery.reordering_bytes() / full_segment());
    info.min_rtt = recovery.rtt_min();
    info.reorderings_seen = recovery.reorderings_seen();
    switch (recovery.phase()) {
        case LossRecovery::Phase::none:
            info.phase = info.sacked > 0 ? TcpPhase::disorder : TcpPhase::open;
            if (reduced()) info.phase = TcpPhase::reduced;
            break;
        case LossRecovery::Phase::fast:
            info.phase = TcpPhase::recovery;
            break;
        case LossRecovery::Phase::after_timeout:
            info.phase = TcpPhase::loss;
            break;
    }
    return info;
}

TimePoint TcpConnection::deadline() const {
    return std::min({send_timer_at_, paced_at_, ack_at_, keep_alive_at_, life_at_, idle_at_});
}

}  // namespace selvage::netstack
