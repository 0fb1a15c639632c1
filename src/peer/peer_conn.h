// PeerConn: a tunnel with the handshake in front and pings beside the packets.
//
//   starting --hello seen and accepted--> open --on_closed--> gone
//       |                                   |
//       +---- refused, timed out, closed ---+--> gone
//
// Pings are answered and pongs consumed here; every other packet of an open connection goes to the
// owner. Only the owner destroys a PeerConn, and only in or after on_conn_closed.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/log.h"
#include "peer/handshake.h"
#include "peer/options.h"
#include "peer/pinger.h"
#include "rt/runtime.h"
#include "tunnel/tunnel.h"

namespace selvage::peer {

enum class Role : std::uint8_t { client, server };  // the side that dialled is the client

class PeerConn;

class PeerConnOwner {
public:
    virtual ~PeerConnOwner() = default;
    // A client of another network wants to come in: our id in that network, or why it may not.
    virtual Result<PeerId> on_foreign_client(const Hello& client) = 0;
    // The handshake is done; an error refuses the neighbour and becomes the reason of the closing.
    virtual Result<> on_conn_open(PeerConn& conn) = 0;
    virtual void on_conn_packets(PeerConn& conn, packet::PacketBatch&& batch) = 0;
    // Once, last, never from inside a call of ours into the conn. May destroy it.
    virtual void on_conn_closed(PeerConn& conn, const Error& reason) = 0;
};

class PeerConn final : private tunnel::TunnelSink {
public:
    PeerConn(
        ConnId id, Role role, tunnel::TunnelPtr tunnel, const PeerOptions& options,
        rt::Runtime& runtime, packet::PacketPool& pool, PeerConnOwner& owner, Log log
    );

    void start();
    // Precondition: open(). Takes whole peer packets.
    void send(packet::PacketBatch&& batch) { tunnel_->send(std::move(batch)); }
    void close(Error reason);
    // Somebody doubts that the other side is still there: asks it, and closes if nothing comes
    // within about a second. Precondition: open().
    void check_alive();
    // An open connection moves to another table.
    void set_owner(PeerConnOwner& owner) { owner_ = &owner; }

    ConnId id() const { return id_; }
    Role role() const { return role_; }
    bool open() const { return state_ == State::open; }
    PeerId peer() const { return hello_.peer; }  // none before the handshake
    const Hello& hello() const { return hello_; }
    // Whether the other side showed our own network's name. If not, it is a shared server to us as
    // a client, and a client of its own network to us as a server.
    bool is_own_network() const { return hello_.network_name == options_.network_name; }
    const tunnel::TunnelInfo& tunnel_info() const { return tunnel_->info(); }
    const tunnel::TunnelStats& tunnel_stats() const { return tunnel_->stats(); }
    std::optional<Duration> latency() const { return pinger_.latency(); }
    double loss_rate() const { return pinger_.loss_rate(); }
    bool in_doubt() const { return pinger_.in_doubt(); }
    bool silent() const { return pinger_.silent(); }
    TimePoint opened_at() const { return opened_at_; }
    std::uint64_t malformed_count() const { return malformed_; }

private:
    enum class State : std::uint8_t { starting, open, closing };

    void on_packets(packet::PacketBatch&& batch) override;
    void on_closed(const Error& reason) override;

    // Each returns false when the packet ended the connection.
    bool on_hello_packet(const packet::PacketBuf& packet);
    // The answer to a client; an error closes the connection.
    Result<> greet(const Hello& client);
    void on_ping(packet::PacketBuf&& packet, packet::PacketBatch& replies);
    void on_pong(const packet::PacketBuf& packet, TimePoint now);
    void send_hello(const crypto::NetworkDigest& digest_shown);
    void close_when_heard(Error reason);
    void enter_open();
    void arm_tick();
    void tick();
    void check_tick();
    void send_ping(std::uint32_t number);

    const ConnId id_;
    const Role role_;
    const PeerOptions& options_;
    rt::Runtime& runtime_;
    packet::PacketPool& pool_;
    PeerConnOwner* owner_;
    Log log_;
    State state_ = State::starting;
    PeerId my_id_;  // in the network of the other side
    Hello hello_;
    Pinger pinger_;
    TimePoint opened_at_{};
    std::uint64_t malformed_ = 0;
    std::optional<Error> close_reason_;
    rt::Timer timer_;
    rt::Timer check_timer_;
    tunnel::TunnelPtr tunnel_;
};

}  // namespace selvage::peer
