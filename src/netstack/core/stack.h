// A TCP/IP stack for our virtual addresses: IP packets in and out on one side, sockets on the
// other.
//
// No I/O, no clock, no threads: time is an argument, packets come by input() and leave by poll().
// Several stacks live side by side in one process. The owner
//
//   - calls input() for each packet to one of our addresses,
//   - calls poll() after a batch of input, after socket calls, and at next_timeout(),
//   - takes events with next_event() and then reads, writes and accepts.
//
// Sockets are named by ids that never find a newcomer; every call with a stale id does nothing or
// fails with `closed`. Limits and their consequences are in stack_options.h and docs/netstack.md.
#pragma once

#include <optional>
#include <vector>

#include "netstack/core/icmp_layer.h"
#include "netstack/core/reassembly.h"
#include "netstack/core/tcp_layer.h"
#include "netstack/core/udp_layer.h"

namespace selvage::netstack {

class Stack {
public:
    // `pool` outlives the stack.
    Stack(StackOptions options, packet::PacketPool& pool, const StackSeeds& seeds);
    Stack(const Stack&) = delete;
    Stack& operator=(const Stack&) = delete;

    // The addresses that are ours, each with its network. Connections of an address that is gone
    // end with `unreachable`.
    void set_addresses(std::vector<Prefix> addresses);
    const std::vector<Prefix>& addresses() const { return output_.addresses(); }

    // Takes one IP packet. What is malformed or not for us is counted and dropped.
    void input(packet::PacketBuf&& packet, TimePoint now);
    // Takes packets that came together. Trains, consecutive segments of one connection, cost one
    // look-up and are answered by one ACK.
    void input(packet::PacketBatch&& batch);
    // Runs timers and sends what there is to send, at most IpOutput::kQueueMax packets: when there
    // is more, next_timeout() is not later than `now`.
    void poll(TimePoint now, PacketOut& out);
    // When to poll again at the latest; empty when only input or a socket call can change anything.
    std::optional<TimePoint> next_timeout() const;
    // What happened to a socket since the last call; empty when nothing did.
    std::optional<StackEvent> next_event();
    bool has_events() const { return !events_.empty(); }

    // TCP. read() and write() take what they can: 0 says "wait for an event, or look at status()".
    // release() gives the connection up. What was written still arrives, and the peer sees our end
    // behind it, unless it had sent what nobody read: then it sees a reset at once (after
    // shutdown_write(), only when it goes on sending). abort() resets in any case. Each id from
    // accept() and connect() must be released.
    Result<ListenerId> tcp_listen(std::uint16_t port, const TcpListenOptions& options = {}) {
        return tcp_.listen(port, options);
    }
    std::optional<TcpId> tcp_accept(ListenerId id) { return tcp_.accept(id); }
    void tcp_close_listener(ListenerId id) { tcp_.close_listener(id); }
    Result<TcpId> tcp_connect(
        const Endpoint& remote, TimePoint now, const TcpConnectOptions& options = {}
    ) {
        note_time(now);
        return tcp_.connect(remote, options, now);
    }
    std::size_t tcp_read(TcpId id, MutableByteView out) { return tcp_.read(id, out); }
    // `more` promises another write soon: a last piece that fills no segment waits for it, or for
    // the next acknowledgement.
    std::size_t tcp_write(TcpId id, ByteView bytes, bool more = false) {
        return tcp_.write(id, bytes, more);
    }
    void tcp_shutdown_write(TcpId id) { tcp_.shutdown_write(id); }
    // Switched on, it also sends what is waiting.
    void tcp_set_no_delay(TcpId id, bool on) { tcp_.set_no_delay(id, on); }
    // Until it is taken out again only whole segments are sent, and what has waited for longer than
    // a retransmission timeout.
    void tcp_set_cork(TcpId id, bool on) { tcp_.set_cork(id, on); }
    void tcp_set_user_timeout(TcpId id, Duration timeout) { tcp_.set_user_timeout(id, timeout); }
    // For connections that come from now on.
    void tcp_set_listener_options(ListenerId id, const TcpSocketOptions& options) {
        tcp_.set_listener_options(id, options);
    }
    void tcp_abort(TcpId id) { tcp_.abort(id); }
    void tcp_release(TcpId id) { tcp_.release(id); }
    TcpStatus tcp_status(TcpId id) const { return tcp_.status(id); }
    // Whether there is a connection between these two, in any state (TIME-WAIT too).
    bool has_tcp(const Endpoint& local, const Endpoint& remote) const {
        return tcp_.has(local, remote);
    }
    // For reports and tests; nullptr when the id is stale.
    const TcpConnection* tcp_connection(TcpId id) const { return tcp_.find(id); }

    // UDP.
    Result<UdpId> udp_bind(std::uint16_t port, const UdpOptions& options = {}) {
        return udp_.bind(port, options);
    }
    Result<> udp_connect(UdpId id, const Endpoint& remote) { return udp_.connect(id, remote); }
    Result<> udp_send(
        UdpId id, const Endpoint& to, ByteView bytes, std::optional<IpAddress> from = std::nullopt
    ) {
        return udp_.send(id, to, bytes, from);
    }
    std::optional<Datagram> udp_receive(UdpId id, MutableByteView out) {
        return udp_.receive(id, out);
    }
    std::optional<Errc> udp_take_error(UdpId id) { return udp_.take_error(id); }
    void udp_close(UdpId id) { udp_.close(id); }
    std::uint16_t udp_port(UdpId id) const { return udp_.port_of(id); }

    const StackCounters& counters() const { return counters_; }
    const StackOptions& options() const { return options_; }
    std::size_t tcp_connection_count() const { return tcp_.connection_count(); }
    std::size_t buffer_bytes() const { return tcp_.buffer_bytes(); }
    // Buffers that nobody uses, kept for the next burst.
    std::size_t kept_bytes() const { return tcp_.kept_bytes(); }

private:
    // After a packet could not be had: others are using the pool, and give back soon.
    static constexpr Duration kPoolRetry = 5ms;

    void note_time(TimePoint now) {
        last_now_ = std::max(last_now_, now);
        tcp_.note_time(now);
    }
    void receive(packet::PacketBuf&& packet, bool from_ourselves, TimePoint now);
    bool acceptable(const packet::IpMeta& ip, bool from_ourselves);
    // Gives a whole packet to its layer.
    void dispatch(ByteView packet, const packet::IpMeta& ip, TimePoint now);
    void on_icmp_error(const IcmpError& error, TimePoint now);
    void expire_fragments(TimePoint now);

    StackOptions options_;
    StackCounters counters_;
    EventQueue events_;
    IpOutput output_;
    PathMtu path_mtu_;
    Reassembly reassembly_;
    TcpLayer tcp_;
    UdpLayer udp_;
    IcmpLayer icmp_;
    TimePoint last_now_{};
    bool pool_was_empty_ = false;
};

}  // namespace selvage::netstack
