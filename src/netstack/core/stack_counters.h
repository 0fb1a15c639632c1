// What a stack counts. Plain integers, named and described in one table, so that reports and
// documentation come from here. Every limit and every kind of refused packet has its line.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace selvage::netstack {

// X(name, what it counts)
#define SELVAGE_STACK_COUNTERS(X)                                                         \
    X(packets_in, "IP packets given to the stack")                                        \
    X(packets_out, "IP packets sent by the stack")                                        \
    X(bad_ip, "dropped: not IP, truncated, or a wrong header checksum")                   \
    X(bad_source, "dropped: from a broadcast, multicast, unspecified or our own address") \
    X(not_for_us, "dropped: to an address that is not ours")                              \
    X(fragments_in, "fragments of IP packets")                                            \
    X(fragments_bad, "dropped: malformed fragments, or of a packet given up before")      \
    X(fragments_overlap, "packets given up: their fragments overlapped")                  \
    X(reassembled, "IP packets put together from fragments")                              \
    X(reassembly_evicted, "incomplete packets given up: the limits of reassembly")        \
    X(reassembly_timed_out, "incomplete packets given up after their time")               \
    X(unknown_protocol, "dropped: neither ICMP nor TCP nor UDP")                          \
    X(icmp_bad, "dropped: malformed ICMP")                                                \
    X(icmp_echo_replies, "answered echo requests")                                        \
    X(icmp_rate_limited, "unanswered: echo requests and closed ports beyond the rate")    \
    X(icmp_ignored, "ICMP messages of a kind that we do not use")                         \
    X(icmp_errors_in, "ICMP errors that quote a live flow")                               \
    X(icmp_too_big_in, "reports of a narrower path that quote a live flow")               \
    X(icmp_errors_out, "sent: port, protocol or time of reassembly")                      \
    X(icmp_errors_invalid, "ICMP errors that quote nothing that we have under way")       \
    X(no_buffer, "not sent for now: the packet pool was empty")                           \
    X(output_full, "not sent: the queue of outgoing packets was full")                    \
    X(udp_in, "datagrams delivered to a socket's queue")                                  \
    X(udp_out, "datagrams sent")                                                          \
    X(udp_bad, "dropped: malformed UDP or a wrong checksum")                              \
    X(udp_queue_full, "dropped: the socket's queue was full")                             \
    X(udp_too_large, "not sent: datagrams larger than the path's packets")                \
    X(udp_closed_port, "datagrams to a port without a socket")                            \
    X(tcp_in, "TCP segments taken in")                                                    \
    X(tcp_out, "TCP segments sent")                                                       \
    X(tcp_bad, "dropped: malformed TCP or a wrong checksum")                              \
    X(tcp_no_connection, "segments that belong to no connection")                         \
    X(tcp_resets_out, "resets sent")                                                      \
    X(tcp_reset_rate_limited, "resets not sent: beyond the rate")                         \
    X(tcp_resets_in, "connections ended by a reset from the peer")                        \
    X(tcp_accepted, "connections that a listener has accepted")                           \
    X(tcp_connected, "connections that we have opened")                                   \
    X(tcp_timed_out, "connections given up")                                              \
    X(tcp_half_open_full, "SYNs not remembered: the listener's half-open limit")          \
    X(tcp_cookies_out, "SYNs answered with a cookie")                                     \
    X(tcp_cookies_accepted, "connections made from a cookie that came back")              \
    X(tcp_accept_queue_full, "handshakes held: the listener's accept queue was full")     \
    X(tcp_table_full, "SYNs and dials refused: the limit of connections")                 \
    X(tcp_per_remote_full, "SYNs and dials refused: the limit of one remote address")     \
    X(tcp_time_wait_evicted, "connections that left TIME-WAIT early: its limit")          \
    X(tcp_time_wait_reused, "connections in TIME-WAIT replaced by a new SYN")             \
    X(tcp_retransmits, "segments sent again")                                             \
    X(tcp_fast_recoveries, "losses noticed by acknowledgements")                          \
    X(tcp_timeouts, "retransmission timer expiries")                                      \
    X(tcp_held_back, "times a stream waited for a full queue below")                      \
    X(tcp_tail_probes, "tail loss probes sent")                                           \
    X(tcp_black_holes, "full segments made smaller because they never arrive")            \
    X(tcp_ecn_marked_in, "segments that a router had marked")                             \
    X(tcp_ecn_reductions, "windows made smaller because a peer told of marks")            \
    X(tcp_spurious_losses, "losses taken back: the peer had everything")                  \
    X(tcp_out_of_order, "segments that arrived ahead of a gap")                           \
    X(tcp_out_of_order_full, "dropped: too many gaps")                                    \
    X(tcp_no_memory, "dropped: buffer memory of the stack used up")                       \
    X(tcp_out_of_window, "segments outside the window")                                   \
    X(tcp_paws, "dropped: an old timestamp (RFC 7323)")                                   \
    X(tcp_challenge_acks, "challenge ACKs (RFC 5961) sent")                               \
    X(tcp_challenge_limited, "challenge ACKs not sent: beyond the rate")                  \
    X(tcp_zero_window_probes, "probes of a closed window sent")                           \
    X(tcp_keep_alive_probes, "keep-alive probes sent")

struct StackCounters {
#define SELVAGE_COUNTER_FIELD(name, text) std::uint64_t name = 0;
    SELVAGE_STACK_COUNTERS(SELVAGE_COUNTER_FIELD)
#undef SELVAGE_COUNTER_FIELD
};

struct StackCounterInfo {
    std::string_view name;
    std::string_view description;
    std::uint64_t StackCounters::* field;
};

inline constexpr StackCounterInfo kStackCounterInfos[] = {
#define SELVAGE_COUNTER_INFO(name, text) {#name, text, &StackCounters::name},
    SELVAGE_STACK_COUNTERS(SELVAGE_COUNTER_INFO)
#undef SELVAGE_COUNTER_INFO
};

}  // namespace selvage::netstack
