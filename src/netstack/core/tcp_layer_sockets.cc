// The user's side of TcpLayer: listen, accept, connect, read, write, close.
#include <algorithm>

#include "netstack/core/tcp_layer.h"

namespace selvage::netstack {

void TcpLayer::post(ListenerId id, Listener& listener, SocketEvents events) {
    listener.events = static_cast<SocketEvents>(listener.events | events);
    if (!std::exchange(listener.event_queued, true)) events_.push(id);
}

Result<ListenerId> TcpLayer::listen(std::uint16_t port, const TcpListenOptions& options) {
    if (port == 0) return Error(Errc::bad_argument, "listening needs a port");
    if (listening_.contains(port)) return Error(Errc::in_use, fmt::format("tcp port {}", port));
    auto made = std::make_unique<Listener>();
    made->port = port;
    made->options = options;
    const ListenerId id = listeners_.add(std::move(made));
    if (!id) return Error(Errc::limit, "listeners of the stack");
    listening_.emplace(port, id);
    return id;
}

std::optional<TcpId> TcpLayer::accept(ListenerId id) {
    Listener* listener = listeners_.find(id);
    if (listener == nullptr || listener->queue.empty()) return std::nullopt;
    const TcpId connection = listener->queue.front();
    listener->queue.pop_front();
    entry(connection)->owner = Owner::user;
    // Whatever happened before nobody was there to be told.
    settle(connection);
    return connection;
}

void TcpLayer::close_listener(ListenerId id) {
    Listener* listener = listeners_.find(id);
    if (listener == nullptr) return;
    listening_.erase(listener->port);
    for (std::uint32_t i = 0; i < connections_.index_end(); ++i) {
        Entry* e = connections_.at(i);
        if (e == nullptr || e->listener != id || e->owner == Owner::user) continue;
        e->owner = Owner::user;
        const TcpId connection = connections_.handle_of(i);
        e->connection.abort(output_, now_);
        e->connection.release();
        settle(connection);
    }
    listeners_.remove(id.index);
}

std::optional<std::uint16_t> TcpLayer::choose_port(FlowKey flow) {
    // RFC 6056, algorithm 3: a secret offset per destination and a counter, so that the next port
    // cannot be guessed and is not one that was used a moment ago.
    const std::uint32_t range = options_.ephemeral_last - options_.ephemeral_first + 1U;
    const auto offset = static_cast<std::uint32_t>(port_offset(flow));
    for (std::uint32_t i = 0; i < range; ++i) {
        const std::uint32_t step = (offset + port_counter_++) % range;
        const auto port = static_cast<std::uint16_t>(options_.ephemeral_first + step);
        flow.local_port = port;
        if (flows_.contains(flow) || listening_.contains(port)) continue;
        if (options_.may_use_port && !options_.may_use_port(packet::IpProtocol::tcp, port))
            continue;
        return port;
    }
    return std::nullopt;
}

Result<TcpId> TcpLayer::connect(
    const Endpoint& remote, const TcpConnectOptions& options, TimePoint now
) {
    const auto source = output_.source_for(remote.address);
    if (!source) {
        return Error(Errc::unreachable, fmt::format("no address of ours to reach {}", remote));
    }
    const IpAddress& to = remote.address;
    if (remote.port == 0 || to.is_multicast() || to.is_unspecified() || output_.is_broadcast(to)) {
        return Error(Errc::bad_argument, fmt::format("{} is not a TCP address", remote));
    }
    FlowKey flow{
        .local = *source, .remote = to, .local_port = options.local_port, .remote_port = remote.port
    };
    if (flow.local_port == 0) {
        const auto port = choose_port(flow);
        if (!port) return Error(Errc::in_use, "every local port of the range");
        flow.local_port = *port;
    } else if (flows_.contains(flow)) {
        return Error(Errc::in_use, fmt::format("tcp port {}", flow.local_port));
    }
    if (!make_room(to)) return Error(Errc::limit, "connections of the stack");
    const TcpId id = add(flow, options.socket, Owner::user, initial_sequence(flow, now));
    if (!id) return Error(Errc::limit, "connections of the stack");
    Entry& e = *entry(id);
    e.connection.connect();
    touch(id, e);
    settle(id);
    return id;
}

std::size_t TcpLayer::read(TcpId id, MutableByteView out) {
    Entry* e = entry(id);
    if (e == nullptr) return 0;
    const std::size_t count = e->connection.read(out);
    if (e->connection.ack_due()) touch(id, *e);
    return count;
}

std::size_t TcpLayer::write(TcpId id, ByteView bytes, bool more) {
    Entry* e = entry(id);
    if (e == nullptr) return 0;
    const std::size_t count = e->connection.write(bytes, more);
    if (count > 0) touch(id, *e);
    settle(id);
    return count;
}

void TcpLayer::shutdown_write(TcpId id) {
    Entry* e = entry(id);
    if (e == nullptr) return;
    e->connection.shutdown_write();
    touch(id, *e);
    settle(id);
}

void TcpLayer::set_no_delay(TcpId id, bool on) {
    Entry* e = entry(id);
    if (e == nullptr) return;
    e->connection.set_no_delay(on);
    touch(id, *e);
}

void TcpLayer::set_cork(TcpId id, bool on) {
    Entry* e = entry(id);
    if (e == nullptr) return;
    e->connection.set_cork(on);
    touch(id, *e);
}

void TcpLayer::set_user_timeout(TcpId id, Duration timeout) {
    if (Entry* e = entry(id)) e->connection.set_user_timeout(timeout);
}

void TcpLayer::set_listener_options(ListenerId id, const TcpSocketOptions& options) {
    if (Listener* listener = listeners_.find(id)) listener->options.socket = options;
}

void TcpLayer::abort(TcpId id) {
    Entry* e = entry(id);
    if (e == nullptr) return;
    e->connection.abort(output_, now_);
    settle(id);
}

void TcpLayer::release(TcpId id) {
    Entry* e = entry(id);
    if (e == nullptr) return;
    if (e->connection.close_resets()) {
        e->connection.abort(output_, now_);
    } else {
        e->connection.shutdown_write();
    }
    e->connection.release();
    touch(id, *e);
    settle(id);
}

TcpStatus TcpLayer::status(TcpId id) const {
    const Entry* e = entry(id);
    if (e == nullptr) return {};
    const TcpConnection& c = e->connection;
    return {
        .state = c.state(),
        .close_reason = c.close_reason(),
        .readable_bytes = c.readable_bytes(),
        .writable_bytes = c.writable_bytes(),
        .read_finished = c.read_finished(),
        .peer_finished = c.peer_finished(),
        .write_finished = c.write_finished(),
        .flow = c.flow()
    };
}

const TcpConnection* TcpLayer::find(TcpId id) const {
    const Entry* e = entry(id);
    return e == nullptr ? nullptr : &e->connection;
}

SocketEvents TcpLayer::take_events(TcpId id) {
    Entry* e = entry(id);
    if (e == nullptr) return 0;
    e->event_queued = false;
    return e->connection.take_events();
}

SocketEvents TcpLayer::take_events(ListenerId id) {
    Listener* listener = listeners_.find(id);
    if (listener == nullptr) return 0;
    listener->event_queued = false;
    return std::exchange(listener->events, SocketEvents{});
}

}  // namespace selvage::netstack
