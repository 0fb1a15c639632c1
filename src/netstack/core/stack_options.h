// Options of a stack and of its sockets, each limit with its consequence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/siphash.h"
#include "base/time.h"
#include "netstack/core/congestion.h"
#include "packet/packet_buf.h"

namespace selvage::netstack {

// Finds out whether a silent peer is still there. The reference's keep-alive is the tunnel's, not
// TCP's: a caller that vanishes behind a relay is noticed only by this.
struct KeepAlive {
    bool enabled = false;
    Duration idle = 30s;
    Duration interval = 10s;
    int probes = 4;  // unanswered; then the connection ends with `timed_out`
};

struct TcpSocketOptions {
    // Sends small pieces at once instead of waiting for the acknowledgement of the last (Nagle).
    bool no_delay = false;
    KeepAlive keep_alive{};
    // Neither sends nor accepts larger segments; 0: what the overlay's packets hold.
    std::uint16_t mss_max = 0;
    // Data or a probe unacknowledged for this long ends the connection with `timed_out`.
    Duration user_timeout = 120s;
    // Empty: the stack's.
    std::optional<CongestionAlgorithm> congestion;
};

struct TcpListenOptions {
    TcpSocketOptions socket{.keep_alive = {.enabled = true}};
    // Full: further SYNs are answered with a cookie and forgotten, so that a caller gets through a
    // flood; without cookies they are not answered, and a caller repeats his after a second.
    std::size_t half_open_limit = 128;
    bool syn_cookies = true;
    // Full: the last ACK of the handshake is ignored, and the caller repeats it with its data.
    std::size_t accept_queue_limit = 64;
};

struct TcpConnectOptions {
    TcpSocketOptions socket{};
    std::uint16_t local_port = 0;  // 0: one from the ephemeral range
};

struct UdpOptions {
    // Full: the newest datagram is dropped, as kernels do.
    std::size_t queue_datagrams = 256;
    std::size_t queue_bytes = 256 * 1024;
};

// Explicit congestion notification (RFC 3168): routers mark packets instead of dropping them.
enum class EcnMode : std::uint8_t {
    off,
    accept,   // used when the peer asks for it, as kernels do by default
    request,  // asked for as well
};

struct StackOptions {
    // Of the overlay, for packets that we send; 576 to 1900. What arrives may be as large as a
    // block.
    std::uint16_t mtu = 1360;

    // Connections of every state, TIME-WAIT included. Full: the oldest in TIME-WAIT gives way;
    // is there none, SYNs are not answered and dialling fails with `limit`.
    std::size_t connections_max = 16384;
    // With one remote address, so that one peer cannot use up the table.
    std::size_t connections_per_remote_max = 4096;
    std::size_t time_wait_max = 4096;  // full: the oldest is forgotten early
    std::size_t listeners_max = 1024;
    std::size_t udp_sockets_max = 1024;

    // Buffer memory of all connections together. Full: received data is dropped unacknowledged,
    // and writers wait.
    std::size_t buffer_bytes_max = 256 * 1024 * 1024;
    // Stock EasyTier callers send 128 KiB back to back and recover badly from a loss, so the first
    // window is twice that. It grows with the reader's pace up to the maximum, which fills 1 Gb/s
    // over 100 ms (12.5 MB) with a little to spare.
    std::uint32_t receive_buffer_first = 256 * 1024;
    std::uint32_t receive_buffer_max = 15 * 1024 * 1024;
    // Grows with the congestion window, which is twice the path's content with BBR. A writer waits
    // beyond it.
    std::uint32_t send_buffer_first = 128 * 1024;
    std::uint32_t send_buffer_max = 32 * 1024 * 1024;

    // Of dialled and accepted connections that do not say otherwise; docs/decisions/ has why.
    CongestionAlgorithm congestion = CongestionAlgorithm::bbr;

    // NewReno and CUBIC spread a window over a round trip instead of sending it as acknowledgements
    // come: twice its rate in slow start, 1.2 times later. BBR is paced in any case.
    bool pace_windows = false;

    Duration time_wait = 60s;
    // How long a connection that nobody holds any more may be without progress before it is
    // forgotten.
    Duration linger = 60s;
    int syn_retries = 6;      // gives up after 123 s with `timed_out`
    int syn_ack_retries = 5;  // gives up after 63 s, silently

    // The range that dialled connections and unbound UDP sockets take local ports from (RFC 6335),
    // and a question to the data path: a port that the kernel side uses on the shared address must
    // not be used here. Empty: every port of the range may be used.
    std::uint16_t ephemeral_first = 49152;
    std::uint16_t ephemeral_last = 65535;
    std::function<bool(packet::IpProtocol, std::uint16_t)> may_use_port;

    // Of segments sent in one go, each so-manieth says PSH, but not more often than twice in a
    // congestion window: a receiver that joins segments hands on what it has.
    std::uint32_t push_every_segments = 2;
    // Timestamps on segments (RFC 7323), offered and accepted. Without them old duplicates are not
    // recognised after a wrap of the sequence numbers, and round trips are measured less often.
    bool timestamps = true;
    EcnMode ecn = EcnMode::accept;

    // Answers to strangers, per second; beyond it they are dropped and counted.
    std::uint32_t echo_replies_per_second = 2000;
    std::uint32_t resets_per_second = 1000;
    std::uint32_t unreachables_per_second = 100;
};

// Random values, drawn by the owner of the stack.
struct StackSeeds {
    SipKey sequence_key;  // initial sequence numbers (RFC 6528), timestamp offsets, local ports
    SipKey table_key;     // hash tables
};

}  // namespace selvage::netstack
