// Awaiting on sockets: try, look at the status, wait for an event, try again.
#include "netstack/sockets/overlay_stream.h"

namespace selvage::netstack {

Error error_of(CloseReason reason) {
    switch (reason) {
        case CloseReason::refused:
            return Errc::refused;
        case CloseReason::reset:
            return Errc::reset;
        case CloseReason::timed_out:
            return Errc::timed_out;
        case CloseReason::unreachable:
            return Errc::unreachable;
        case CloseReason::none:
        case CloseReason::finished:
        case CloseReason::aborted:
            return Errc::closed;
    }
    return Errc::internal;
}

OverlayStream::OverlayStream(
    std::shared_ptr<OverlaySockets::TcpSocketState> state, const FlowKey& flow
)
    : state_(std::move(state)), flow_(flow) {}

rt::Task<Result<std::size_t>> OverlayStream::read_some(MutableByteView buffer) {
    const auto state = state_;  // this stream may be gone after a wait
    for (;;) {
        if (state->owner == nullptr) co_return Errc::closed;
        Stack& stack = state->owner->stack_;
        const std::size_t count = stack.tcp_read(state->id, buffer);
        if (count > 0 || buffer.empty()) {
            state->owner->schedule();  // the window has opened
            co_return count;
        }
        const TcpStatus status = stack.tcp_status(state->id);
        if (status.read_finished) {
            if (status.peer_finished) co_return std::size_t{0};
            co_return error_of(status.close_reason);
        }
        co_await state->readable.wait();
    }
}

rt::Task<Result<std::size_t>> OverlayStream::write_some(ByteView bytes) {
    const auto state = state_;
    for (;;) {
        if (state->owner == nullptr) co_return Errc::closed;
        Stack& stack = state->owner->stack_;
        const TcpStatus status = stack.tcp_status(state->id);
        if (status.state == TcpState::closed) co_return error_of(status.close_reason);
        if (status.write_finished) co_return Errc::closed;
        const std::size_t count = stack.tcp_write(state->id, bytes);
        if (count > 0 || bytes.empty()) {
            state->owner->schedule();
            co_return count;
        }
        co_await state->writable.wait();
    }
}

Result<> OverlayStream::shutdown_write() {
    if (state_->owner == nullptr) return Errc::closed;
    state_->owner->stack_.tcp_shutdown_write(state_->id);
    state_->owner->schedule();
    return {};
}

void OverlayStream::end(bool abruptly) {
    OverlaySockets* owner = state_->owner;
    if (owner == nullptr) return;
    if (abruptly) owner->stack_.tcp_abort(state_->id);
    owner->stack_.tcp_release(state_->id);
    owner->schedule();
    owner->tcp_.erase(state_->id.index);
    state_->detach();
}

rt::Task<Result<rt::StreamPtr>> OverlayAcceptor::accept() {
    const auto state = state_;
    for (;;) {
        if (state->owner == nullptr) co_return Errc::closed;
        if (const auto id = state->owner->stack_.tcp_accept(state->id)) {
            co_return state->owner->adopt(*id);
        }
        co_await state->acceptable.wait();
    }
}

void OverlayAcceptor::close() {
    OverlaySockets* owner = state_->owner;
    if (owner == nullptr) return;
    owner->stack_.tcp_close_listener(state_->id);
    owner->schedule();
    owner->listeners_.erase(state_->id.index);
    state_->detach();
}

rt::Task<Result<Datagram>> OverlayUdpSocket::recv_from(MutableByteView buffer) {
    const auto state = state_;
    for (;;) {
        if (state->owner == nullptr) co_return Errc::closed;
        Stack& stack = state->owner->stack_;
        if (const auto datagram = stack.udp_receive(state->id, buffer)) co_return *datagram;
        if (const auto error = stack.udp_take_error(state->id)) co_return *error;
        co_await state->readable.wait();
    }
}

rt::Task<Result<>> OverlayUdpSocket::send_to(
    Endpoint to, ByteView bytes, std::optional<IpAddress> from
) {
    const auto state = state_;
    for (bool again = false;; again = true) {
        OverlaySockets* owner = state->owner;
        if (owner == nullptr) co_return Errc::closed;
        auto sent = owner->stack_.udp_send(state->id, to, bytes, from);
        owner->schedule();
        // The queue up to the next poll is full: worth waiting for, once.
        if (sent || again || !sent.error().is(Errc::limit)) co_return sent;
        owner->waiting_to_send_.push_back(state);
        co_await state->writable.wait();
    }
}

Result<> OverlayUdpSocket::connect(Endpoint remote) {
    if (state_->owner == nullptr) return Errc::closed;
    return state_->owner->stack_.udp_connect(state_->id, remote);
}

void OverlayUdpSocket::close() {
    OverlaySockets* owner = state_->owner;
    if (owner == nullptr) return;
    owner->stack_.udp_close(state_->id);
    owner->udp_.erase(state_->id.index);
    state_->detach();
}

}  // namespace selvage::netstack
