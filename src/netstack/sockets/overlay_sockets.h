// The stack's sockets as streams, acceptors and datagram sockets of the runtime.
//
// Drives one Stack: packets from the data path go in by input(), what the stack has to say goes out
// by PacketOut::from_stack(), and the stack's timers run on the runtime's. The stack is polled in a
// turn of its own, once for everything that happened before it: from_stack() is never called from
// inside input() or a socket call.
#pragma once

#include <memory>
#include <optional>
#include <unordered_map>

#include "netstack/core/stack.h"
#include "netstack/sockets/udp_socket.h"
#include "rt/runtime.h"
#include "rt/stream.h"

namespace selvage::netstack {

struct OverlaySocketsOptions {
    // Shells and proxies pass on what they get as they get it: waiting to fill a segment while the
    // peer delays its ACK costs a round of 40 ms to 200 ms for nothing.
    TcpSocketOptions dialled{.no_delay = true, .keep_alive = {.enabled = true}};
};

class OverlaySockets {
public:
    // All three outlive the sockets. Streams that outlive them fail with `closed`.
    OverlaySockets(
        rt::Runtime& runtime, Stack& stack, PacketOut& out, OverlaySocketsOptions options = {}
    );
    OverlaySockets(const OverlaySockets&) = delete;
    OverlaySockets& operator=(const OverlaySockets&) = delete;
    ~OverlaySockets();

    // IP packets to our addresses.
    void input(packet::PacketBatch&& batch);
    // Our addresses have changed; connections of those that are gone end with `unreachable`.
    void set_addresses(std::vector<Prefix> addresses);

    // Errors: refused, timed_out, unreachable, in_use (no local port left), limit.
    rt::Task<Result<rt::StreamPtr>> dial_tcp(Endpoint remote, Duration timeout);
    // Errors: in_use, limit, bad_argument. Connections that wait in the queue of an acceptor that
    // goes away are reset; those accepted live on.
    Result<rt::AcceptorPtr> listen_tcp(
        std::uint16_t port, TcpListenOptions options = default_listen_options()
    );
    // Port 0 chooses one. Errors: in_use, limit.
    Result<UdpSocketPtr> open_udp(std::uint16_t port, UdpOptions options = {});

    static TcpListenOptions default_listen_options() {
        TcpListenOptions options;
        options.socket.no_delay = true;
        return options;
    }

    const Stack& stack() const { return stack_; }
    // Streams and acceptors that somebody holds.
    std::size_t open_count() const { return tcp_.size() + listeners_.size() + udp_.size(); }

    // What a socket's handle and the coroutines that wait on it share; see socket_state.h.
    struct TcpSocketState;
    struct ListenerState;
    struct UdpState;

private:
    friend class OverlayStream;
    friend class OverlayAcceptor;
    friend class OverlayUdpSocket;

    rt::StreamPtr adopt(TcpId id);
    // Polls the stack in a later turn, once.
    void schedule();
    void pump();
    void dispatch(const StackEvent& event);
    void arm_timer();

    rt::Runtime& runtime_;
    Stack& stack_;
    PacketOut& out_;
    OverlaySocketsOptions options_;
    rt::Timer timer_;
    std::optional<TimePoint> timer_at_;
    bool scheduled_ = false;
    std::vector<std::shared_ptr<UdpState>> waiting_to_send_;  // each task at most once per poll
    // Posted turns outlive us; they look here first.
    std::shared_ptr<OverlaySockets*> self_;
    // By index in the stack; bounded by the stack's own tables.
    std::unordered_map<std::uint32_t, std::shared_ptr<TcpSocketState>> tcp_;
    std::unordered_map<std::uint32_t, std::shared_ptr<ListenerState>> listeners_;
    std::unordered_map<std::uint32_t, std::shared_ptr<UdpState>> udp_;
};

}  // namespace selvage::netstack
