// Demultiplexing and opening of UDP sessions.
#include "tunnel/udp_port.h"

#include "packet/peer_header.h"
#include "tunnel/udp_session.h"

namespace selvage::tunnel {

using packet::PacketBatch;

Result<std::shared_ptr<UdpPort>> UdpPort::open(
    TransportContext& context, Endpoint local, std::optional<Url> listener
) {
    host::UdpOptions options;
    if (listener) options.device = listen_device(*listener);
    auto socket = context.sockets.open_udp(local, options);
    if (!socket) return socket.error();
    auto port = std::make_shared<UdpPort>(context, std::move(*socket), std::move(listener));
    port->socket_->start(*port);
    return port;
}

UdpPort::UdpPort(TransportContext& context, host::UdpSocketPtr socket, std::optional<Url> listener)
    : context_(context),
      socket_(std::move(socket)),
      listener_(std::move(listener)),
      accepting_(listener_.has_value()),
      acceptable_(context.runtime) {
    if (listener_) {
        listener_->port = socket_->local().port;
        listener_->port_given = true;
    }
}

UdpPort::~UdpPort() {
    socket_->close();
}

void UdpPort::on_datagrams(std::span<host::Datagram> datagrams, TimePoint now) {
    const auto self = shared_from_this();  // the last session may go while we are here
    PacketBatch batch(now);
    Key batch_key;
    const auto flush = [&] {
        if (batch.empty()) return;
        // Looked up here and not earlier: what was delivered before may have closed it.
        if (const auto session = session_for_data(batch_key)) {
            session->receive(std::move(batch));
        } else {
            ++context_.stats.udp_unknown_session;
        }
        batch = PacketBatch(now);
    };
    for (host::Datagram& datagram : datagrams) {
        const auto frame = parse_udp_frame(datagram.payload.bytes());
        if (!frame) {
            ++context_.stats.udp_malformed;
            continue;
        }
        const Key key{datagram.remote, frame->conn_id};
        if (frame->type != UdpType::data) {
            flush();
            if (frame->type == UdpType::syn) {
                on_syn(key, *frame, now);
            } else if (frame->type == UdpType::sack) {
                on_sack(key, *frame);
            } else {
                ++context_.stats.udp_ignored_type;
            }
            continue;
        }
        if (frame->body.size() < sizeof(packet::PeerHeader)) {
            ++context_.stats.udp_malformed;
            flush();
            end_session(key, Error(Errc::truncated, "a packet shorter than its header"));
            continue;
        }
        if (batch.full() || key != batch_key) flush();
        batch_key = key;
        datagram.payload.pop_front(sizeof(UdpHeader));
        batch.push(std::move(datagram.payload));
    }
    flush();
    // Never the last owner inside the socket's own callback.
    if (self.use_count() == 1) context_.runtime.post([self] {});
}

void UdpPort::end_session(const Key& key, const Error& reason) {
    const auto found = sessions_.find(key);
    if (found == sessions_.end()) return;
    const auto session = found->second->shared_from_this();  // end() takes it out of the table
    session->end(reason);
}

void UdpPort::on_syn(const Key& key, const UdpFrame& frame, TimePoint now) {
    if (!accepting_) {
        ++context_.stats.udp_ignored_type;
        return;
    }
    expire_half_open(now);
    if (!sessions_.contains(key) && !half_open_.contains(key)) {
        if (half_open_.size() >= context_.options.udp_half_open_limit) {
            half_open_.erase(half_open_order_.front().key);
            half_open_order_.pop_front();
            ++context_.stats.udp_refused;
        }
        half_open_order_.push_back({key, now});
        half_open_.emplace(key, std::prev(half_open_order_.end()));
    }
    send_opening(key, UdpType::sack, magic_of(frame));
}

void UdpPort::expire_half_open(TimePoint now) {
    while (!half_open_order_.empty() &&
           now - half_open_order_.front().since > context_.options.udp_half_open_time) {
        half_open_.erase(half_open_order_.front().key);
        half_open_order_.pop_front();
    }
}

void UdpPort::on_sack(const Key& key, const UdpFrame& frame) {
    const auto found = pending_.find(key.conn_id);
    if (found == pending_.end() || found->second->magic != magic_of(frame) ||
        found->second->session != nullptr) {
        ++context_.stats.udp_unknown_session;
        return;
    }
    // Made here and not when connect() resumes, because data may follow in this very batch.
    found->second->session = add_session(key, found->second->remote_url);
    if (found->second->session != nullptr) found->second->answered.notify();
}

std::shared_ptr<UdpSession> UdpPort::session_for_data(const Key& key) {
    if (const auto found = sessions_.find(key); found != sessions_.end()) {
        return found->second->shared_from_this();
    }
    const auto half = half_open_.find(key);
    if (half == half_open_.end()) return nullptr;
    if (!accepting_ || waiting_.size() >= context_.options.accept_queue) {
        ++context_.stats.udp_refused;
        return nullptr;
    }
    auto session = add_session(key, endpoint_url(listener_->scheme, key.remote));
    if (session == nullptr) return nullptr;
    half_open_order_.erase(half->second);
    half_open_.erase(half);
    waiting_.push_back(session);
    acceptable_.notify();
    return session;
}

// None when a limit is reached.
std::shared_ptr<UdpSession> UdpPort::add_session(const Key& key, std::string remote_url) {
    std::size_t& from_address = sessions_by_address_[key.remote.address];
    if (sessions_.size() >= context_.options.udp_sessions_limit ||
        from_address >= context_.options.udp_sessions_per_address || sessions_.contains(key)) {
        if (from_address == 0) sessions_by_address_.erase(key.remote.address);
        ++context_.stats.udp_refused;
        return nullptr;
    }
    ++from_address;
    TunnelInfo info{
        .scheme = "udp",
        .local = listener_ ? listener_->to_string() : endpoint_url("udp", socket_->local()),
        .remote = std::move(remote_url),
        .resolved_remote = endpoint_url("udp", key.remote)
    };
    auto session = std::make_shared<UdpSession>(context_, shared_from_this(), key, std::move(info));
    sessions_.emplace(key, session.get());
    return session;
}

void UdpPort::forget(const Key& key) {
    if (sessions_.erase(key) == 0) return;
    const auto count = sessions_by_address_.find(key.remote.address);
    if (--count->second == 0) sessions_by_address_.erase(count);
}

void UdpPort::send_opening(const Key& key, UdpType type, std::uint64_t magic) {
    host::Datagram datagram{
        context_.pool.copy(build_udp_opening(key.conn_id, type, magic)), key.remote
    };
    if (datagram.payload) socket_->send({&datagram, 1});
}

rt::Task<Result<TunnelPtr>> UdpPort::connect(
    std::shared_ptr<UdpPort> self, Endpoint remote, std::string remote_url
) {
    rt::Runtime& runtime = self->context_.runtime;
    const TunnelOptions& options = self->context_.options;
    Pending pending{runtime.rng().next(), rt::Event(runtime), nullptr, std::move(remote_url)};
    std::uint32_t conn_id = runtime.rng().nonzero32();
    while (self->pending_.contains(conn_id))
        conn_id = runtime.rng().nonzero32();
    self->pending_.emplace(conn_id, &pending);
    struct Unregister {
        UdpPort& port;
        std::uint32_t conn_id;
        ~Unregister() { port.pending_.erase(conn_id); }
    };
    const Unregister unregister{*self, conn_id};

    const TimePoint give_up = runtime.now() + options.udp_connect_limit;
    TimePoint next_syn = runtime.now();
    while (pending.session == nullptr && runtime.now() < give_up) {
        if (runtime.now() >= next_syn) {
            self->send_opening({remote, conn_id}, UdpType::syn, pending.magic);
            next_syn = runtime.now() + options.udp_syn_interval;
        }
        co_await pending.answered.wait_until(std::min(next_syn, give_up));
    }
    if (pending.session == nullptr) co_return Error(Errc::timed_out, "no answer");
    co_return make_udp_tunnel(std::move(pending.session));
}

rt::Task<Result<TunnelPtr>> UdpPort::accept(std::shared_ptr<UdpPort> self) {
    while (self->accepting_ && self->waiting_.empty())
        co_await self->acceptable_.wait();
    if (!self->accepting_) co_return Errc::closed;
    auto session = std::move(self->waiting_.front());
    self->waiting_.pop_front();
    co_return make_udp_tunnel(std::move(session));
}

void UdpPort::stop_accepting() {
    accepting_ = false;
    half_open_.clear();
    half_open_order_.clear();
    std::deque<std::shared_ptr<UdpSession>> dropped;
    dropped.swap(waiting_);
    for (const auto& session : dropped)
        session->end(Errc::closed);
    acceptable_.notify();
}

}  // namespace selvage::tunnel
