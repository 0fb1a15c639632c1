// One end of a simulated TCP connection, as a kernel keeps it: reliable, in order, with flow and
// congestion control, over frames that may be lost, late, doubled or out of order.
//
//   connecting --SYN-ACK--> open --all said, FIN seen--> lingering --10 s--> gone
//   accepting  --ACK------>  |
//                            +--reset, host lost, 15 unanswered repeats--> failed
//
// Not our own netstack on purpose: what carries the underlay in tests of the stack must not be the
// stack. It models what production code can observe of a kernel (back-pressure, resets, silence,
// repeats that take ever longer), not the headers. Repeats: after 3 later pieces have arrived, or
// when the timer fires (200 ms to 60 s, doubling). The window of congestion begins with 10 pieces,
// doubles per round trip, halves on loss.
//
// Limits: 256 KiB in the send buffer (a writer waits), 256 KiB in the receive buffer (the sender
// waits).
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "base/error.h"
#include "rt/event.h"
#include "rt/virtual_runtime.h"
#include "sim/frame.h"

namespace selvage::sim {

class TcpConn;

// The host's side of a connection.
class TcpPort {
public:
    virtual ~TcpPort() = default;
    virtual void transmit(Frame&& frame) = 0;
    virtual std::size_t mtu_towards(const IpAddress& remote) = 0;
    virtual void on_accepted(TcpConn& conn) = 0;  // an accepting connection is open now
    virtual void on_gone(TcpConn& conn) = 0;      // forget it; last call
};

class TcpConn : public std::enable_shared_from_this<TcpConn> {
public:
    static constexpr std::size_t kBufferBytes = 256 * 1024;
    static constexpr unsigned kConnectRepeats = 6;  // as Linux: gives up after 127 s
    static constexpr unsigned kDataRepeats = 15;

    TcpConn(rt::VirtualRuntime& loop, TcpPort& port, Endpoint local, Endpoint remote)
        : loop_(loop),
          port_(&port),
          local_(local),
          remote_(remote),
          changed_(loop),
          timer_(loop.timers()) {}

    const Endpoint& local() const { return local_; }
    const Endpoint& remote() const { return remote_; }
    bool open() const { return open_ && !failure_; }
    const std::optional<Errc>& failure() const { return failure_; }

    // From the host.
    void begin_connect();
    void begin_accept();
    void on_frame(Frame&& frame);
    void vanish();            // the host lost power: no frame leaves, the owner sees Errc::closed
    void abort(Errc reason);  // sends a reset

    // From the owner. Events: look again after changed().
    rt::Event& changed() { return changed_; }
    std::size_t readable() const { return readable_.size(); }
    bool read_finished() const { return finished_; }
    std::size_t read(MutableByteView buffer);
    std::size_t writable() const { return kBufferBytes - unsent_and_flying(); }
    std::size_t write(ByteView bytes);
    void finish_writing();
    bool writing_finished() const { return fin_wanted_; }
    void release();  // the owner's close(): what was written is still delivered, then a FIN

private:
    struct Flying {
        std::size_t bytes = 0;  // of payload
        bool fin = false;
        TimePoint sent{};
        bool repeated = false;
        bool arrived = false;  // as the other side says, beyond its acknowledgement
        unsigned passed_by = 0;
    };

    std::size_t unsent_and_flying() const { return outgoing_.size(); }
    std::size_t piece_bytes() const;
    std::uint64_t flying_bytes() const { return next_ - acknowledged_; }
    std::uint64_t receive_window() const;
    void pump();
    void send_piece(std::uint64_t position, Flying& piece);
    void send_control(FrameKind kind);
    void on_acknowledgement(const Frame& frame);
    void measure(const Flying& piece);
    void on_loss();
    void repeat_lost();
    void on_payload(Frame& frame);
    void arm_timer();
    void on_timer();
    void fail(Errc reason);
    void check_finished();
    Duration repeat_after() const;

    rt::VirtualRuntime& loop_;
    TcpPort* port_;  // null once the host has forgotten us
    Endpoint local_;
    Endpoint remote_;
    rt::Event changed_;
    rt::Timer timer_;

    bool open_ = false;
    bool accepting_ = false;
    bool released_ = false;
    bool lingering_ = false;
    std::optional<Errc> failure_;
    unsigned repeats_ = 0;
    std::uint64_t order_ = 0;

    // Sending: outgoing_ begins at acknowledged_; [acknowledged_, next_) flies.
    std::deque<std::uint8_t> outgoing_;
    std::uint64_t acknowledged_ = 0;
    std::uint64_t next_ = 0;
    std::map<std::uint64_t, Flying> flying_;
    bool fin_wanted_ = false;
    bool fin_sent_ = false;
    bool fin_acknowledged_ = false;
    std::uint64_t peer_window_ = kBufferBytes;
    std::uint64_t peer_order_ = 0;
    double congestion_window_ = 10.0 * 1460;
    double slow_start_until_ = 1e18;
    std::uint64_t recovery_until_ = 0;
    std::optional<Duration> round_trip_;

    // Receiving.
    std::deque<std::uint8_t> readable_;
    std::uint64_t expected_ = 0;
    std::map<std::uint64_t, Bytes> beyond_;  // within the window
    std::optional<std::uint64_t> fin_at_;
    bool finished_ = false;
};

}  // namespace selvage::sim
