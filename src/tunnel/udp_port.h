// One UDP socket and the EasyTier sessions on it. A listener has one for everybody who connects, a
// connector one per attempt.
//
//   connector                              listener
//   SYN (id, magic) --- every second -->   half open: remembered, nothing else
//                   <-- SACK (id, magic)   repeated for every SYN
//   DATA            ------------------->   first packet: a session, handed to accept()
//
// A session is known by (source address, connection id). The connector takes the address that the
// SACK came from. Nothing on the wire ends a session: each side forgets it on its own, and later
// packets for it are counted and dropped.
//
// Limits (TunnelOptions): sessions in total and per address, half-open ones, those that wait for
// accept(). No datagram makes anybody here allocate beyond them.
#pragma once

#include <deque>
#include <list>
#include <memory>
#include <unordered_map>

#include "rt/event.h"
#include "tunnel/transport.h"
#include "tunnel/udp_header.h"

namespace selvage::tunnel {

class UdpSession;

struct UdpSessionKey {
    Endpoint remote;
    std::uint32_t conn_id = 0;
    friend bool operator==(const UdpSessionKey&, const UdpSessionKey&) = default;
};

class UdpPort final : public host::UdpSink, public std::enable_shared_from_this<UdpPort> {
public:
    // `listener`: the URL of a port that accepts, as it was configured; none for a connector.
    static Result<std::shared_ptr<UdpPort>> open(
        TransportContext& context, Endpoint local, std::optional<Url> listener
    );
    // Only through open().
    UdpPort(TransportContext& context, host::UdpSocketPtr socket, std::optional<Url> listener);
    UdpPort(const UdpPort&) = delete;
    UdpPort& operator=(const UdpPort&) = delete;
    ~UdpPort() override;

    // Asks `remote` for a session. `self` keeps the port while the task waits.
    static rt::Task<Result<TunnelPtr>> connect(
        std::shared_ptr<UdpPort> self, Endpoint remote, std::string remote_url
    );
    static rt::Task<Result<TunnelPtr>> accept(std::shared_ptr<UdpPort> self);
    // Sessions that were accepted live on, and with them the socket.
    void stop_accepting();

    Endpoint local() const { return socket_->local(); }
    const Url& listener() const { return *listener_; }
    std::size_t session_count() const { return sessions_.size(); }
    std::size_t half_open_count() const { return half_open_.size(); }

    void on_datagrams(std::span<host::Datagram> datagrams, TimePoint now) override;

private:
    friend class UdpSession;
    using Key = UdpSessionKey;
    struct KeyHash {
        std::size_t operator()(const Key& key) const {
            return std::hash<Endpoint>{}(key.remote) * 31 + key.conn_id;
        }
    };
    struct HalfOpen {
        Key key;
        TimePoint since;
    };
    // A connect() that waits for its SACK.
    struct Pending {
        std::uint64_t magic = 0;
        rt::Event answered;
        std::shared_ptr<UdpSession> session;  // set by the SACK
        std::string remote_url;
    };

    void end_session(const Key& key, const Error& reason);
    void on_syn(const Key& key, const UdpFrame& frame, TimePoint now);
    void on_sack(const Key& key, const UdpFrame& frame);
    std::shared_ptr<UdpSession> session_for_data(const Key& key);
    std::shared_ptr<UdpSession> add_session(const Key& key, std::string remote_url);
    void forget(const Key& key);
    void expire_half_open(TimePoint now);
    void send_opening(const Key& key, UdpType type, std::uint64_t magic);
    void transmit(std::span<host::Datagram> datagrams) { socket_->send(datagrams); }

    TransportContext& context_;
    host::UdpSocketPtr socket_;
    std::optional<Url> listener_;
    bool accepting_ = false;
    std::unordered_map<Key, UdpSession*, KeyHash> sessions_;          // udp_sessions_limit
    std::unordered_map<IpAddress, std::size_t> sessions_by_address_;  // as many as sessions_
    std::list<HalfOpen> half_open_order_;                             // oldest first
    std::unordered_map<Key, std::list<HalfOpen>::iterator, KeyHash> half_open_;
    std::unordered_map<std::uint32_t, Pending*> pending_;  // one per connect() that waits
    std::deque<std::shared_ptr<UdpSession>> waiting_;      // accept_queue
    rt::Event acceptable_;
};

}  // namespace selvage::tunnel
