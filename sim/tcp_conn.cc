// The simulated TCP connection.
#include "sim/tcp_conn.h"

#include <algorithm>

namespace selvage::sim {
namespace {

constexpr Duration kRepeatMin = std::chrono::milliseconds(200);
constexpr Duration kRepeatMax = std::chrono::seconds(60);
constexpr Duration kRepeatFirst = std::chrono::seconds(1);
// How long a finished connection answers repeats of the other side.
constexpr Duration kLinger = std::chrono::seconds(10);
constexpr unsigned kPassedByLimit = 3;

}  // namespace

void TcpConn::begin_connect() {
    send_control(FrameKind::syn);
    arm_timer();
}

void TcpConn::begin_accept() {
    accepting_ = true;
    send_control(FrameKind::syn_ack);
    arm_timer();
}

void TcpConn::vanish() {
    port_ = nullptr;
    fail(Errc::closed);
}

void TcpConn::abort(Errc reason) {
    if (failure_) return;
    send_control(FrameKind::reset);
    fail(reason);
}

void TcpConn::fail(Errc reason) {
    if (failure_) return;
    failure_ = reason;
    timer_.cancel();
    changed_.notify();
    if (TcpPort* port = std::exchange(port_, nullptr)) port->on_gone(*this);
}

std::size_t TcpConn::piece_bytes() const {
    const std::size_t headers = local_.address.is_v4() ? 40 : 60;
    return std::max<std::size_t>(port_->mtu_towards(remote_.address), headers + 64) - headers;
}

std::uint64_t TcpConn::receive_window() const {
    return readable_.size() >= kBufferBytes ? 0 : kBufferBytes - readable_.size();
}

// --- sending ---

std::size_t TcpConn::write(ByteView bytes) {
    const std::size_t count = std::min(bytes.size(), writable());
    outgoing_.insert(
        outgoing_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count)
    );
    pump();
    return count;
}

void TcpConn::finish_writing() {
    if (fin_wanted_) return;
    fin_wanted_ = true;
    pump();
}

void TcpConn::release() {
    released_ = true;
    if (failure_) return;
    if (!open_) {
        abort(Errc::closed);
        return;
    }
    // As a kernel: closing with unread bytes tells the other side that they were lost.
    if (!readable_.empty()) {
        abort(Errc::reset);
        return;
    }
    finish_writing();
    check_finished();
}

void TcpConn::pump() {
    if (!open_ || failure_ || !port_) return;
    const std::uint64_t end = acknowledged_ + outgoing_.size();
    const auto limit =
        std::min<std::uint64_t>(peer_window_, static_cast<std::uint64_t>(congestion_window_));
    const std::size_t piece = piece_bytes();
    while (next_ < end && flying_bytes() < limit) {
        const std::uint64_t room = limit - flying_bytes();
        const std::size_t bytes =
            std::min({piece, static_cast<std::size_t>(end - next_), static_cast<std::size_t>(room)}
            );
        Flying& flying = flying_[next_];
        flying.bytes = bytes;
        const std::uint64_t at = next_;
        next_ += bytes;
        send_piece(at, flying);
    }
    if (fin_wanted_ && !fin_sent_ && next_ == end) {
        fin_sent_ = true;
        Flying& flying = flying_[next_];
        flying.fin = true;
        send_piece(next_++, flying);
    }
    if (!timer_.pending()) arm_timer();
}

void TcpConn::send_piece(std::uint64_t position, Flying& piece) {
    piece.sent = loop_.now();
    piece.passed_by = 0;
    Frame frame{.kind = FrameKind::segment, .from = local_, .to = remote_};
    const auto begin = outgoing_.begin() + static_cast<std::ptrdiff_t>(position - acknowledged_);
    if (piece.bytes > 0) {
        frame.payload.assign(begin, begin + static_cast<std::ptrdiff_t>(piece.bytes));
    }
    frame.fin = piece.fin;
    frame.position = position;
    frame.acknowledged = expected_;
    frame.window = receive_window();
    frame.order = ++order_;
    port_->transmit(std::move(frame));
}

void TcpConn::send_control(FrameKind kind) {
    if (!port_) return;
    Frame frame{.kind = kind, .from = local_, .to = remote_};
    frame.position = next_;
    frame.acknowledged = expected_;
    frame.window = receive_window();
    frame.order = ++order_;
    std::uint64_t run_end = 0;
    for (const auto& [at, bytes] : beyond_) {
        auto& blocks = frame.received_beyond;
        if (blocks.empty() || at != run_end) {
            if (blocks.size() == 4) break;
            blocks.emplace_back(at, at);
        }
        run_end = at + bytes.size();
        blocks.back().second = run_end;
    }
    port_->transmit(std::move(frame));
}

// --- what the other side has ---

void TcpConn::measure(const Flying& piece) {
    if (piece.repeated) return;  // it is not known which of the copies was answered
    const Duration sample = loop_.now() - piece.sent;
    round_trip_ = round_trip_ ? (*round_trip_ * 7 + sample) / 8 : sample;
}

void TcpConn::on_acknowledgement(const Frame& frame) {
    if (frame.order > peer_order_) {
        peer_order_ = frame.order;
        peer_window_ = frame.window;
    }
    repeats_ = 0;
    if (frame.acknowledged > acknowledged_ && frame.acknowledged <= next_) {
        const double piece = static_cast<double>(piece_bytes());
        std::uint64_t bytes = frame.acknowledged - acknowledged_;
        while (!flying_.empty()) {
            const auto first = flying_.begin();
            const std::uint64_t end =
                first->first + first->second.bytes + (first->second.fin ? 1 : 0);
            if (end > frame.acknowledged) break;
            measure(first->second);
            if (first->second.fin) fin_acknowledged_ = true;
            flying_.erase(first);
        }
        acknowledged_ = frame.acknowledged;
        if (fin_acknowledged_) --bytes;  // the FIN is not in outgoing_
        outgoing_.erase(outgoing_.begin(), outgoing_.begin() + static_cast<std::ptrdiff_t>(bytes));
        congestion_window_ += congestion_window_ < slow_start_until_
                                  ? std::min(static_cast<double>(bytes), 2 * piece)
                                  : piece * piece / congestion_window_;
        congestion_window_ = std::min(congestion_window_, static_cast<double>(kBufferBytes));
        timer_.cancel();
    }
    for (const auto& [from, to] : frame.received_beyond) {
        for (auto it = flying_.lower_bound(from); it != flying_.end(); ++it) {
            if (it->first + it->second.bytes > to || it->second.fin) break;
            it->second.arrived = true;
        }
    }
    repeat_lost();
    changed_.notify();
}

// A piece is lost when later ones, sent after it, have arrived.
void TcpConn::repeat_lost() {
    if (!port_) return;
    unsigned arrived_after = 0;
    TimePoint last_arrived_sent{};
    for (auto it = flying_.rbegin(); it != flying_.rend(); ++it) {
        if (it->second.arrived) {
            ++arrived_after;
            last_arrived_sent = std::max(last_arrived_sent, it->second.sent);
        } else if (arrived_after >= kPassedByLimit && it->second.sent < last_arrived_sent) {
            it->second.passed_by = arrived_after;
        }
    }
    for (auto& [at, piece] : flying_) {
        if (piece.arrived || piece.passed_by < kPassedByLimit) continue;
        if (at >= recovery_until_) on_loss();
        piece.repeated = true;
        send_piece(at, piece);
    }
}

// Halves once per round trip, not once per lost piece.
void TcpConn::on_loss() {
    recovery_until_ = next_;
    congestion_window_ = std::max(congestion_window_ / 2, 2.0 * static_cast<double>(piece_bytes()));
    slow_start_until_ = congestion_window_;
}

Duration TcpConn::repeat_after() const {
    Duration base = open_ && round_trip_ ? *round_trip_ * 2 : kRepeatFirst;
    base = std::max(base, kRepeatMin);
    for (unsigned i = 0; i < repeats_ && base < kRepeatMax; ++i)
        base *= 2;
    return std::min(base, open_ ? kRepeatMax : Duration(std::chrono::seconds(64)));
}

void TcpConn::arm_timer() {
    const bool waits_for_window = flying_.empty() && next_ < acknowledged_ + outgoing_.size();
    if (failure_ || lingering_ || (open_ && flying_.empty() && !waits_for_window)) return;
    timer_.set(loop_.now() + repeat_after(), [self = weak_from_this()] {
        if (const auto conn = self.lock()) conn->on_timer();
    });
}

void TcpConn::on_timer() {
    if (repeats_ >= (open_ ? kDataRepeats : kConnectRepeats)) {
        fail(Errc::timed_out);
        return;
    }
    ++repeats_;
    if (!open_) {
        send_control(accepting_ ? FrameKind::syn_ack : FrameKind::syn);
    } else if (flying_.empty()) {
        // The window is closed: one byte asks whether it still is.
        Flying& probe = flying_[next_];
        probe.bytes = 1;
        send_piece(next_++, probe);
    } else {
        if (peer_window_ > 0) on_loss();
        auto& [at, first] = *flying_.begin();
        const std::size_t limit = piece_bytes();
        if (first.bytes > limit) {  // the path became narrower
            Flying rest = first;
            rest.bytes = first.bytes - limit;
            rest.repeated = true;
            rest.sent = TimePoint{};
            first.bytes = limit;
            flying_.emplace(at + limit, rest);
        }
        first.repeated = true;
        send_piece(at, first);
    }
    arm_timer();
}

// --- receiving ---

std::size_t TcpConn::read(MutableByteView buffer) {
    const std::size_t count = std::min(buffer.size(), readable_.size());
    const auto last = readable_.begin() + static_cast<std::ptrdiff_t>(count);
    const std::uint64_t before = receive_window();
    std::copy(readable_.begin(), last, buffer.begin());
    readable_.erase(readable_.begin(), last);
    // A sender that was stopped must hear that it may go on.
    constexpr std::uint64_t kReopen = kBufferBytes / 4;
    if (before < kReopen && receive_window() >= kReopen && !failure_) {
        send_control(FrameKind::segment);
    }
    return count;
}

void TcpConn::on_payload(Frame& frame) {
    const std::uint64_t end = frame.position + frame.payload.size();
    if (frame.fin && end <= expected_ + kBufferBytes) fin_at_ = end;
    if (!frame.payload.empty() && end > expected_ && end <= expected_ + receive_window()) {
        if (released_) {  // nobody will read it
            abort(Errc::reset);
            return;
        }
        Bytes& place = beyond_[frame.position];
        if (place.size() < frame.payload.size()) place = std::move(frame.payload);
    }
    while (!beyond_.empty() && beyond_.begin()->first <= expected_) {
        const auto first = beyond_.begin();
        const auto skip = static_cast<std::size_t>(expected_ - first->first);
        if (skip < first->second.size()) {
            readable_.insert(
                readable_.end(), first->second.begin() + static_cast<std::ptrdiff_t>(skip),
                first->second.end()
            );
            expected_ += first->second.size() - skip;
        }
        beyond_.erase(first);
    }
    if (fin_at_ && *fin_at_ == expected_ && !finished_) {
        finished_ = true;
        ++expected_;
    }
    send_control(FrameKind::segment);
    changed_.notify();
}

void TcpConn::on_frame(Frame&& frame) {
    const auto self = shared_from_this();  // fail() makes the host forget us
    if (failure_) return;
    switch (frame.kind) {
        case FrameKind::datagram:
            return;
        case FrameKind::reset:
            fail(open_ || accepting_ ? Errc::reset : Errc::refused);
            return;
        case FrameKind::syn:
            if (accepting_) send_control(FrameKind::syn_ack);
            return;
        case FrameKind::syn_ack:
            if (accepting_) return;
            if (!std::exchange(open_, true)) {
                repeats_ = 0;
                timer_.cancel();
                changed_.notify();
            }
            send_control(FrameKind::segment);
            pump();
            return;
        case FrameKind::segment:
            break;
    }
    if (accepting_ && !open_) {
        open_ = true;
        repeats_ = 0;
        timer_.cancel();
        changed_.notify();
        port_->on_accepted(*this);
        if (failure_) return;
    }
    if (!open_) return;
    on_acknowledgement(frame);
    if (!frame.payload.empty() || frame.fin) on_payload(frame);
    if (failure_) return;
    pump();
    check_finished();
}

void TcpConn::check_finished() {
    if (lingering_ || !fin_acknowledged_ || !(finished_ || released_)) return;
    lingering_ = true;
    timer_.set(loop_.now() + kLinger, [self = weak_from_this()] {
        const auto conn = self.lock();
        if (!conn) return;
        if (TcpPort* port = std::exchange(conn->port_, nullptr)) port->on_gone(*conn);
    });
}

}  // namespace selvage::sim
