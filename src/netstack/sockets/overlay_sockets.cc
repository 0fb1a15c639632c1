// Drives the stack from the loop.
#include "netstack/sockets/overlay_sockets.h"

#include "netstack/sockets/overlay_stream.h"
#include "netstack/sockets/socket_state.h"

namespace selvage::netstack {

OverlaySockets::OverlaySockets(
    rt::Runtime& runtime, Stack& stack, PacketOut& out, OverlaySocketsOptions options
)
    : runtime_(runtime),
      stack_(stack),
      out_(out),
      options_(options),
      timer_(runtime.timers()),
      self_(std::make_shared<OverlaySockets*>(this)) {}

OverlaySockets::~OverlaySockets() {
    *self_ = nullptr;
    for (auto& [index, state] : tcp_) {
        stack_.tcp_release(state->id);
        state->detach();
    }
    for (auto& [index, state] : listeners_) {
        stack_.tcp_close_listener(state->id);
        state->detach();
    }
    for (auto& [index, state] : udp_) {
        stack_.udp_close(state->id);
        state->detach();
    }
}

void OverlaySockets::input(packet::PacketBatch&& batch) {
    batch.set_now(runtime_.now());
    stack_.input(std::move(batch));
    schedule();
}

void OverlaySockets::set_addresses(std::vector<Prefix> addresses) {
    stack_.set_addresses(std::move(addresses));
    schedule();
}

void OverlaySockets::schedule() {
    if (std::exchange(scheduled_, true)) return;
    runtime_.post([self = self_] {
        OverlaySockets* sockets = *self;
        if (sockets == nullptr) return;
        sockets->scheduled_ = false;
        sockets->pump();
    });
}

void OverlaySockets::pump() {
    stack_.poll(runtime_.now(), out_);
    while (const auto event = stack_.next_event())
        dispatch(*event);
    for (const auto& state : std::exchange(waiting_to_send_, {}))
        state->writable.notify();
    arm_timer();
}

void OverlaySockets::dispatch(const StackEvent& event) {
    if (const auto* id = std::get_if<TcpId>(&event.socket)) {
        const auto found = tcp_.find(id->index);
        if (found == tcp_.end() || found->second->id != *id) return;
        constexpr SocketEvents kReading = socket_event::kReadable | socket_event::kClosed;
        constexpr SocketEvents kWriting =
            socket_event::kWritable | socket_event::kConnected | socket_event::kClosed;
        if ((event.events & kReading) != 0) found->second->readable.notify();
        if ((event.events & kWriting) != 0) found->second->writable.notify();
    } else if (const auto* listener = std::get_if<ListenerId>(&event.socket)) {
        const auto found = listeners_.find(listener->index);
        if (found != listeners_.end() && found->second->id == *listener) {
            found->second->acceptable.notify();
        }
    } else if (const auto* udp = std::get_if<UdpId>(&event.socket)) {
        const auto found = udp_.find(udp->index);
        if (found != udp_.end() && found->second->id == *udp) found->second->readable.notify();
    }
}

void OverlaySockets::arm_timer() {
    const auto next = stack_.next_timeout();
    if (!next) return;
    if (*next <= runtime_.now()) return schedule();
    // An earlier wake-up finds nothing to do and arms the right one: cheaper than moving the timer
    // with every packet.
    if (timer_.pending() && timer_at_ <= *next) return;
    timer_at_ = *next;
    timer_.set(*next, [this] { pump(); });
}

rt::StreamPtr OverlaySockets::adopt(TcpId id) {
    auto state = std::make_shared<TcpSocketState>(*this, id);
    tcp_[id.index] = state;
    return std::make_unique<OverlayStream>(std::move(state), stack_.tcp_status(id).flow);
}

rt::Task<Result<rt::StreamPtr>> OverlaySockets::dial_tcp(Endpoint remote, Duration timeout) {
    const TimePoint deadline = runtime_.now() + timeout;
    const auto id =
        stack_.tcp_connect(remote, runtime_.now(), TcpConnectOptions{.socket = options_.dialled});
    if (!id) co_return Error(id.error()).with(fmt::format("dial {}", remote));
    rt::StreamPtr stream = adopt(*id);  // resets the attempt when this task is cancelled
    const auto state = tcp_.at(id->index);
    schedule();
    for (;;) {
        if (state->owner == nullptr) co_return Errc::closed;
        const TcpStatus status = state->owner->stack_.tcp_status(*id);
        if (status.state == TcpState::closed) {
            co_return error_of(status.close_reason).with(fmt::format("dial {}", remote));
        }
        if (status.state != TcpState::syn_sent && status.state != TcpState::syn_received) {
            co_return stream;
        }
        const bool notified = co_await state->writable.wait_until(deadline);
        if (!notified) co_return Error(Errc::timed_out).with(fmt::format("dial {}", remote));
    }
}

Result<rt::AcceptorPtr> OverlaySockets::listen_tcp(std::uint16_t port, TcpListenOptions options) {
    const auto id = stack_.tcp_listen(port, options);
    if (!id) return id.error();
    auto state = std::make_shared<ListenerState>(*this, *id);
    listeners_[id->index] = state;
    const auto& addresses = stack_.addresses();
    const IpAddress local = addresses.empty() ? IpAddress() : addresses.front().address;
    return std::make_unique<OverlayAcceptor>(std::move(state), Endpoint{local, port});
}

Result<UdpSocketPtr> OverlaySockets::open_udp(std::uint16_t port, UdpOptions options) {
    const auto id = stack_.udp_bind(port, options);
    if (!id) return id.error();
    auto state = std::make_shared<UdpState>(*this, *id);
    udp_[id->index] = state;
    return std::make_unique<OverlayUdpSocket>(std::move(state), stack_.udp_port(*id));
}

}  // namespace selvage::netstack
