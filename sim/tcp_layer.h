// The TCP of one simulated host: its connections, its listeners, and the streams that programs
// hold. Streams may outlive the host; they then fail with Errc::closed.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "host/sockets.h"
#include "sim/tcp_conn.h"

namespace selvage::sim {

// What a listener and its acceptor share.
struct TcpListenState {
    // As Linux' default of net.core.somaxconn bounds it, roughly; a SYN beyond it is ignored.
    static constexpr std::size_t kBacklog = 128;

    TcpListenState(rt::VirtualRuntime& loop, Endpoint bound) : local(bound), changed(loop) {}
    Endpoint local;
    bool v6_only = true;
    rt::Event changed;
    std::deque<std::shared_ptr<TcpConn>> ready;  // with those half open at most kBacklog
    std::size_t half_open = 0;
    bool closed = false;
};

class TcpLayer final : public TcpPort {
public:
    struct Hooks {
        std::function<void(Frame&&)> transmit;
        std::function<std::size_t(const IpAddress&)> mtu;
    };
    TcpLayer(rt::VirtualRuntime& loop, Hooks hooks) : loop_(loop), hooks_(std::move(hooks)) {}
    TcpLayer(const TcpLayer&) = delete;
    TcpLayer& operator=(const TcpLayer&) = delete;
    ~TcpLayer() override { vanish(); }

    // A connection that has begun; wait for open() or failure().
    std::shared_ptr<TcpConn> connect(Endpoint local, Endpoint remote);
    bool port_taken(const Endpoint& local) const;
    // As port_taken() for SO_REUSEADDR: connections that are there are not in the way.
    bool has_listener(const Endpoint& local) const;
    // Precondition: !has_listener(local).
    rt::AcceptorPtr listen(Endpoint local, bool v6_only);
    void on_frame(Frame&& frame);

    void vanish();     // power lost: nothing is sent
    void reset_all();  // the processes died: the kernel resets what they had
    std::size_t connection_count() const { return conns_.size(); }
    std::size_t listener_count() const { return listeners_.size(); }

private:
    using Key = std::pair<Endpoint, Endpoint>;  // local, remote

    void transmit(Frame&& frame) override { hooks_.transmit(std::move(frame)); }
    std::size_t mtu_towards(const IpAddress& remote) override { return hooks_.mtu(remote); }
    void on_accepted(TcpConn& conn) override;
    void on_gone(TcpConn& conn) override;
    std::shared_ptr<TcpListenState> find_listener(const Endpoint& local);
    void close_listeners();

    rt::VirtualRuntime& loop_;
    Hooks hooks_;
    std::map<Key, std::shared_ptr<TcpConn>> conns_;
    std::map<Key, std::shared_ptr<TcpListenState>> half_open_;  // whose listener waits for it
    std::map<Endpoint, std::shared_ptr<TcpListenState>> listeners_;
};

// The stream of an open connection.
rt::StreamPtr make_tcp_stream(std::shared_ptr<TcpConn> conn);

}  // namespace selvage::sim
