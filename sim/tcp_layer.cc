// Connections and listeners of a simulated host.
#include "sim/tcp_layer.h"

#include <cassert>

namespace selvage::sim {
namespace {

class TcpStream final : public rt::Stream {
public:
    explicit TcpStream(std::shared_ptr<TcpConn> conn) : conn_(std::move(conn)) {}
    ~TcpStream() override { close(); }

    rt::Task<Result<std::size_t>> read_some(MutableByteView buffer) override {
        const auto conn = conn_;
        for (;;) {
            if (closed_) co_return Errc::closed;
            if (conn->readable() > 0) co_return conn->read(buffer);
            if (conn->read_finished()) co_return std::size_t{0};
            if (conn->failure()) co_return *conn->failure();
            co_await conn->changed().wait();
        }
    }
    rt::Task<Result<std::size_t>> write_some(ByteView bytes) override {
        const auto conn = conn_;
        for (;;) {
            if (closed_ || conn->writing_finished()) co_return Errc::closed;
            if (conn->failure()) co_return *conn->failure();
            if (conn->writable() > 0) co_return conn->write(bytes);
            co_await conn->changed().wait();
        }
    }
    Result<> shutdown_write() override {
        if (conn_->failure()) return *conn_->failure();
        conn_->finish_writing();
        return {};
    }
    void close() override {
        if (std::exchange(closed_, true)) return;
        conn_->release();
        conn_->changed().notify();
    }
    void reset() override {
        if (std::exchange(closed_, true)) return;
        conn_->abort(Errc::closed);
        conn_->changed().notify();
    }
    Endpoint local() const override { return conn_->local(); }
    Endpoint remote() const override { return conn_->remote(); }

private:
    std::shared_ptr<TcpConn> conn_;
    bool closed_ = false;
};

class TcpAcceptor final : public rt::Acceptor {
public:
    explicit TcpAcceptor(std::shared_ptr<TcpListenState> state) : state_(std::move(state)) {}
    ~TcpAcceptor() override { close(); }

    rt::Task<Result<rt::StreamPtr>> accept() override {
        const auto state = state_;
        while (!state->closed && state->ready.empty())
            co_await state->changed.wait();
        if (state->closed) co_return Errc::closed;
        auto conn = std::move(state->ready.front());
        state->ready.pop_front();
        co_return make_tcp_stream(std::move(conn));
    }
    Endpoint local() const override { return state_->local; }
    void close() override {
        if (std::exchange(state_->closed, true)) return;
        for (const auto& conn : state_->ready)
            conn->abort(Errc::closed);
        state_->ready.clear();
        state_->changed.notify();
    }

private:
    std::shared_ptr<TcpListenState> state_;
};

}  // namespace

rt::StreamPtr make_tcp_stream(std::shared_ptr<TcpConn> conn) {
    return std::make_unique<TcpStream>(std::move(conn));
}

std::shared_ptr<TcpConn> TcpLayer::connect(Endpoint local, Endpoint remote) {
    auto conn = std::make_shared<TcpConn>(loop_, *this, local, remote);
    conns_[{local, remote}] = conn;
    conn->begin_connect();
    return conn;
}

bool TcpLayer::has_listener(const Endpoint& local) const {
    for (const auto& [bound, state] : listeners_) {
        if (state->closed || bound.port != local.port) continue;
        if (bound.address == local.address) return true;
        const bool wide = bound.address.is_unspecified() || local.address.is_unspecified();
        if (wide && bound.address.is_v4() == local.address.is_v4()) return true;
    }
    return false;
}

bool TcpLayer::port_taken(const Endpoint& local) const {
    if (has_listener(local)) return true;
    for (const auto& [key, conn] : conns_) {
        if (key.first == local) return true;
    }
    return false;
}

rt::AcceptorPtr TcpLayer::listen(Endpoint local, bool v6_only) {
    auto state = std::make_shared<TcpListenState>(loop_, local);
    state->v6_only = v6_only;
    listeners_[local] = state;
    return std::make_unique<TcpAcceptor>(std::move(state));
}

std::shared_ptr<TcpListenState> TcpLayer::find_listener(const Endpoint& local) {
    const IpAddress any4;
    const IpAddress any6 = IpAddress::v6({});
    const IpAddress candidates[] = {local.address, local.address.is_v4() ? any4 : any6, any6};
    for (const IpAddress& address : candidates) {
        const auto found = listeners_.find({address, local.port});
        if (found == listeners_.end()) continue;
        if (found->second->closed) {
            listeners_.erase(found);
            continue;
        }
        if (local.address.is_v4() && address.is_v6() && found->second->v6_only) continue;
        return found->second;
    }
    return nullptr;
}

void TcpLayer::on_frame(Frame&& frame) {
    const auto found = conns_.find({frame.to, frame.from});
    if (found != conns_.end()) {
        const auto conn = found->second;
        conn->on_frame(std::move(frame));
        return;
    }
    if (frame.kind == FrameKind::reset) return;
    if (frame.kind == FrameKind::syn) {
        if (const auto listener = find_listener(frame.to)) {
            if (listener->half_open + listener->ready.size() >= TcpListenState::kBacklog) return;
            auto conn = std::make_shared<TcpConn>(loop_, *this, frame.to, frame.from);
            conns_[{frame.to, frame.from}] = conn;
            half_open_[{frame.to, frame.from}] = listener;
            ++listener->half_open;
            conn->begin_accept();
            return;
        }
    }
    transmit(Frame{.kind = FrameKind::reset, .from = frame.to, .to = frame.from});
}

void TcpLayer::on_accepted(TcpConn& conn) {
    const auto waiting = half_open_.find({conn.local(), conn.remote()});
    assert(waiting != half_open_.end());
    const auto listener = waiting->second;
    half_open_.erase(waiting);
    --listener->half_open;
    if (listener->closed) {
        conn.abort(Errc::closed);
        return;
    }
    listener->ready.push_back(conn.shared_from_this());
    listener->changed.notify();
}

void TcpLayer::on_gone(TcpConn& conn) {
    const Key key{conn.local(), conn.remote()};
    if (const auto waiting = half_open_.find(key); waiting != half_open_.end()) {
        --waiting->second->half_open;
        half_open_.erase(waiting);
    }
    conns_.erase(key);
}

void TcpLayer::close_listeners() {
    for (const auto& [local, state] : listeners_) {
        state->closed = true;
        state->ready.clear();
        state->changed.notify();
    }
    listeners_.clear();
    half_open_.clear();
}

void TcpLayer::vanish() {
    close_listeners();
    for (const auto& [key, conn] : std::exchange(conns_, {}))
        conn->vanish();
}

void TcpLayer::reset_all() {
    close_listeners();
    const auto doomed = conns_;  // abort() removes each from the table
    for (const auto& [key, conn] : doomed)
        conn->abort(Errc::closed);
}

}  // namespace selvage::sim
