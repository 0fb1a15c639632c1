// One TCP connection (RFC 9293): its states, its buffers, its timers. Fed with segments, times and
// the user's calls; says what it wants to send when emit() is called.
//
//              connect()                           accept_syn()
//                 |                                     |
//             syn_sent ---SYN (simultaneous open)--> syn_received
//                 |                                     |
//                 +----SYN-ACK----> established <--ACK--+
//                                    |       |
//             shutdown_write()       |       |   FIN
//                     fin_wait_1 <---+       +---> close_wait
//                    /    |     \                      |  shutdown_write()
//           FIN of both   ACK    FIN                last_ack
//                  /      |       \                    |
//           time_wait  fin_wait_2  closing             |
//                 ^       | FIN      | ACK             | ACK
//                 +-------+----------+                 +--> closed
//
// Sending (one of: retransmission, tail loss probe, reordering, closed window), pacing, delayed
// ACK, keep-alive, life-time and forgetting the path are the deadlines; deadline() is the earliest.
// Files: tcp_connection.cc (life and user calls), tcp_connection_input.cc, tcp_connection_output.cc
// (segments out, timers), tcp_connection_path.cc (the size of segments).
#pragma once

#include <cstdint>

#include "netstack/core/byte_queue.h"
#include "netstack/core/ip_output.h"
#include "netstack/core/mss_search.h"
#include "netstack/core/range_set.h"
#include "netstack/core/rate_limit.h"
#include "netstack/core/rtt_estimator.h"
#include "netstack/core/send_path.h"
#include "netstack/core/stack_counters.h"
#include "netstack/core/stack_options.h"
#include "netstack/core/tcp_info.h"
#include "netstack/core/tcp_segment.h"

namespace selvage::netstack {

enum class TcpState : std::uint8_t {
    syn_sent,
    syn_received,
    established,
    fin_wait_1,
    fin_wait_2,
    close_wait,
    closing,
    last_ack,
    time_wait,
    closed,
};

// What all connections of a stack have in common.
struct TcpShared {
    const StackOptions& options;
    StackCounters& counters;
    ChunkPool& chunks;
};

class TcpConnection {
public:
    static constexpr TimePoint kNever = TimePoint::max();
    // Segments sent in one go before other connections have their turn.
    static constexpr int kEmitBudget = 64;
    static constexpr std::uint16_t kMssDefault = 536;  // RFC 9293, section 3.7.1

    // What timestamps count, before the offset of the flow.
    static std::uint32_t timestamp_clock(TimePoint now) {
        const auto ms =
            std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch());
        return static_cast<std::uint32_t>(ms.count());
    }

    // `timestamp_offset` is random per flow, so that timestamps do not tell our uptime.
    TcpConnection(
        const TcpShared& shared, const FlowKey& flow, const TcpSocketOptions& options, SeqNum iss,
        std::uint32_t timestamp_offset
    );

    void connect();
    void accept_syn(const TcpSegment& syn, TimePoint now);
    // The same for a SYN that was answered with this connection's number before anything was
    // remembered of it; the window in it is the one that the peer has now.
    void accept_answered_syn(const TcpSegment& syn, TimePoint now);

    // What the caller of on_segment() has to do.
    enum class Reply : std::uint8_t { none, reset };
    Reply on_segment(const TcpSegment& segment, TimePoint now);
    // Whether the segment, in syn_received, would complete the handshake.
    bool completes_handshake(const TcpSegment& segment) const;
    // Whether a segment of ours with this number may still be in the network.
    bool is_under_way(SeqNum sequence) const {
        return sequence.at_or_after(una_) && sequence.before(nxt_);
    }
    // An ICMP error about what is under way: refused or unreachable while we are dialling, nothing
    // in every other state (RFC 5927, section 5.2).
    void on_unreachable(CloseReason reason);
    // The path carries IP packets of at most this size; what is under way and larger is lost.
    void on_path_mtu(std::uint16_t mtu, TimePoint now);
    // The same, known before the connection began.
    void limit_mtu(std::uint16_t mtu) { path_mtu_ = mtu; }
    void on_timer(TimePoint now);

    // done: nothing more to say for now. again: more to send after others. blocked: no packet was
    // to be had.
    enum class Emit : std::uint8_t { done, again, blocked };
    Emit emit(IpOutput& out, TimePoint now);
    TimePoint deadline() const;

    // The user's side.
    std::size_t read(MutableByteView out);
    std::size_t write(ByteView bytes, bool more = false);
    void shutdown_write();
    // Resets the connection; nothing is sent where the peer has none.
    void abort(IpOutput& out, TimePoint now, CloseReason reason = CloseReason::aborted);
    // Our address is gone; nothing can be said about it any more.
    void lose_address() { finish(CloseReason::unreachable); }
    // Whether giving it up now means a reset: while it is being opened, and when received data was
    // not read and our side had not been finished before (RFC 2525, section 2.17).
    bool close_resets() const;
    // Nobody reads or writes any more. Precondition: shutdown_write() was called or it is closed.
    void release();
    void set_no_delay(bool on) {
        options_.no_delay = on;
        if (on) send_waiting_piece();
    }
    void set_cork(bool on) {
        corked_ = on;
        if (!on) send_waiting_piece();
    }
    void set_user_timeout(Duration timeout) { options_.user_timeout = timeout; }
    // A write was cut short although the send buffer has room: no memory. retry_write() says that
    // there is some again.
    bool starved() const { return starved_ && state_ != TcpState::closed; }
    void retry_write() {
        starved_ = false;
        writer_waits_ = false;
        post(socket_event::kWritable);
    }

    TcpState state() const { return state_; }
    CloseReason close_reason() const { return reason_; }
    const FlowKey& flow() const { return flow_; }
    std::size_t readable_bytes() const { return receive_.size(); }
    std::size_t writable_bytes() const;
    bool read_finished() const;  // everything was read, and no more will come
    bool peer_finished() const { return fin_received_; }
    bool write_finished() const { return fin_queued_ || state_ == TcpState::closed; }
    bool released() const { return released_; }
    bool ack_due() const { return ack_due_; }
    // Whether a new SYN may replace this connection in TIME-WAIT (RFC 9293, 3.10.7.4; RFC 6191).
    bool may_be_reused_by(const TcpSegment& syn) const;
    SocketEvents take_events() { return std::exchange(events_, SocketEvents{}); }
    bool has_events() const { return events_ != 0; }
    // For measurements and tests.
    std::uint32_t congestion_window() const;
    const SendPath* send_path() const { return path_.get(); }
    Duration smoothed_rtt() const { return rtt_.smoothed(); }
    TcpInfo info() const;

private:
    // tcp_connection.cc
    void take_syn_options(const TcpSegment& syn);
    void agree_on_ecn(const TcpSegment& syn);
    void become_established(TimePoint now);
    void enter_time_wait(TimePoint now);
    void finish(CloseReason reason);
    std::uint32_t in_flight() const { return nxt_.since(una_); }
    // Where the byte at the front of send_ lies in sequence space.
    SeqNum send_begin() const { return synchronized() ? una_ : iss_ + 1; }
    bool synchronized() const {
        return state_ != TcpState::syn_sent && state_ != TcpState::syn_received;
    }
    SeqNum data_end() const { return send_begin() + static_cast<std::uint32_t>(send_.size()); }
    bool persisting() const {
        return send_timer_ == SendTimer::persist && send_timer_at_ != kNever;
    }
    bool fin_sent() const { return fin_queued_ && !fin_acked_ && nxt_.after(data_end()); }
    // Of each segment, without SACK blocks.
    std::uint32_t option_bytes() const { return timestamps_on_ ? 12U : 0U; }
    // Payload bytes of a full segment without SACK blocks.
    std::uint32_t full_segment() const { return mss_ - option_bytes(); }
    std::uint32_t timestamp_now(TimePoint now) const {
        return timestamp_clock(now) + timestamp_offset_;
    }
    std::uint16_t offer_first_window();
    std::uint32_t send_limit() const;
    void post(SocketEvents events) { events_ = static_cast<SocketEvents>(events_ | events); }

    // tcp_connection_input.cc
    Reply on_segment_syn_sent(const TcpSegment& s, TimePoint now);
    bool passes_timestamp_check(const TcpSegment& s, TimePoint now);
    void note_timestamp(const TcpSegment& s, TimePoint now);
    bool passes_window_check(const TcpSegment& s, TimePoint now);
    void on_reset(const TcpSegment& s, TimePoint now);
    void challenge(TimePoint now);
    bool process_ack(const TcpSegment& s, TimePoint now);
    bool update_window(const TcpSegment& s);
    void take_rtt_sample(const TcpSegment& s, const LossRecovery::Outcome& outcome, TimePoint now);
    LossRecovery::Outcome recover(const TcpSegment& s, bool duplicate, TimePoint now);
    std::optional<std::int64_t> echoed_ms(const TcpSegment& s, TimePoint now) const;
    void on_fin_acked(TimePoint now);
    Reply process_payload(const TcpSegment& s, TimePoint now);
    void take_mark(const TcpSegment& s);
    void take_echoed_mark(const TcpSegment& s, TimePoint now);
    void send_waiting_piece() {
        if (synchronized() && data_end().after(nxt_)) override_due_ = true;
    }
    bool reduced() const { return reduced_until_ && una_.at_or_before(*reduced_until_); }
    bool store(SeqNum seq, ByteView bytes, TimePoint now);
    bool store_ahead(SeqNum seq, ByteView bytes);
    void on_in_order(std::uint32_t count, bool filled_gap, TimePoint now);
    void grow_receive_buffer(TimePoint now);
    void process_fin(TimePoint now);
    void ack_now() { ack_due_ = true; }

    // tcp_connection_path.cc
    // A peer that asks for less would make us send mostly headers.
    static constexpr std::uint32_t kMssMin = 64;
    std::uint32_t own_mss() const;   // what we take
    std::uint32_t path_mss() const;  // what the path to the peer carries
    void set_mss(std::uint32_t mss);
    void suspect_size();
    std::uint32_t new_segment_most(std::uint32_t ready, std::uint32_t room, TimePoint now) const;

    // tcp_connection_output.cc
    Emit emit_syn(IpOutput& out, TimePoint now);
    Emit emit_probes(IpOutput& out, TimePoint now);
    Emit emit_data(IpOutput& out, TimePoint now);
    bool emit_tail_probe(IpOutput& out, TimePoint now);
    bool send_lost(IpOutput& out, std::uint32_t number, bool run_goes_on, TimePoint now);
    SendPath& path(TimePoint now);
    bool paced_out(std::uint32_t sent, TimePoint now);
    bool held_back(const IpOutput& out, TimePoint now);
    bool may_send_new(std::uint32_t length, std::uint32_t usable, bool is_last) const;
    bool transmit(IpOutput& out, SeqNum seq, std::uint32_t length, TimePoint now);
    void add_ecn_flags(TcpFields& fields, bool new_data);
    TcpOptions options_for_segment(TimePoint now) const;
    std::uint16_t select_window();
    bool window_update_due() const;
    void arm_send_timer(TimePoint now);
    void arm_persist_timer(TimePoint now);
    void on_send_timer(TimePoint now);
    void on_persist_timer(TimePoint now);
    void on_retransmit_timer(TimePoint now);
    void on_reorder_timer(TimePoint now);
    void on_idle_timer(TimePoint now);
    void on_keep_alive_timer(TimePoint now);
    void on_life_timer(TimePoint now);

    const TcpShared& shared_;
    FlowKey flow_;
    TcpSocketOptions options_;
    TcpState state_ = TcpState::closed;
    CloseReason reason_ = CloseReason::none;
    SocketEvents events_ = 0;
    bool passive_ = false;
    bool released_ = false;

    // Sending.
    SeqNum iss_, una_, nxt_;
    std::uint32_t send_window_ = 0;  // scaled, from una_
    std::uint32_t send_window_largest_ = 0;
    SeqNum window_seq_, window_ack_;  // of the segment that set the window: WL1, WL2
    std::uint32_t mss_ = 536;         // what the peer takes, options included (RFC 6691)
    std::uint16_t path_mtu_ = 0xffff;
    MssSearch mss_search_;
    ByteQueue send_;
    bool fin_queued_ = false;
    bool fin_acked_ = false;
    bool writer_waits_ = false;
    bool starved_ = false;
    bool syn_due_ = false;
    bool probe_due_ = false;     // of a closed window, or keep-alive
    bool push_due_ = false;      // on the next segment
    bool override_due_ = false;  // send a small piece although waiting would be better
    bool more_ = false;          // the writer has promised more
    bool held_ = false;          // because of that, until the next acknowledgement
    bool corked_ = false;
    bool tail_probe_due_ = false;
    std::unique_ptr<SendPath> path_;  // while there is something to know
    RttEstimator rtt_;
    int backoff_ = 0;
    SeqNum rtt_seq_;           // a round trip is measured when it is acknowledged
    TimePoint rtt_started_{};  // of the handshake
    TimePoint last_sent_{};

    // Receiving.
    SeqNum irs_, rcv_nxt_, rcv_edge_;
    std::uint32_t receive_limit_;
    ByteQueue receive_;
    RangeSet ahead_;       // received beyond a gap, in receive_ behind its end
    SeqNum ahead_recent_;  // in the range that the last such segment belongs to
    bool fin_known_ = false;
    bool fin_received_ = false;  // and everything before it
    SeqNum fin_seq_;
    bool ack_due_ = false;
    int duplicate_acks_due_ = 0;
    int unacked_segments_ = 0;
    int quick_acks_ = 16;  // at the start the peer's window grows with each ACK
    RateLimit challenges_{2, 10};
    TimePoint growth_started_{};
    std::uint64_t read_total_ = 0;
    std::uint64_t growth_read_ = 0;

    // Options in use.
    bool sack_on_ = false;
    bool timestamps_on_ = false;
    std::uint8_t send_scale_ = 0;
    std::uint8_t receive_scale_ = 0;
    std::uint32_t timestamp_offset_;
    std::uint32_t timestamp_recent_ = 0;
    bool ecn_on_ = false;
    bool echo_mark_ = false;               // until the peer says that it has reduced its window
    bool cwr_due_ = false;                 // we have reduced ours: say so with the next new data
    std::optional<SeqNum> reduced_until_;  // for a mark, once a round trip
    SeqRange doubled_;                     // arrived again, to be reported; empty when begin == end
    TimePoint timestamp_recent_at_{};
    SeqNum last_ack_sent_;

    // Deadlines.
    enum class SendTimer : std::uint8_t { retransmit, tail_probe, reorder, persist };
    SendTimer send_timer_ = SendTimer::retransmit;
    TimePoint send_timer_at_ = kNever;
    TimePoint paced_at_ = kNever;  // the next segment may leave then
    TimePoint idle_at_ = kNever;   // the path is forgotten then
    TimePoint ack_at_ = kNever;
    TimePoint keep_alive_at_ = kNever;
    TimePoint life_at_ = kNever;  // TIME-WAIT, or nobody holds it any more
    int keep_alive_unanswered_ = 0;
    int syn_tries_ = 0;
    TimePoint last_heard_{};
    TimePoint progress_at_{};  // data acknowledged, or the first of a flight sent
};

}  // namespace selvage::netstack
