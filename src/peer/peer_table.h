// PeerTable: our neighbours and the connections to each.
//
// Knows nothing of routes: a packet is sent to a neighbour, and the caller decided which. With
// several connections to one neighbour, the one with the smallest latency carries what we send,
// unless its last ping was lost: then another one does until it answers again.
//
// A neighbour is a member of our network, or a shared server of another one that we dialled. A
// client of another network that dialled us is none: its connection moves to the table of that
// network (ForeignDesk), which was made for it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "peer/peer_conn.h"
#include "rt/event.h"

namespace selvage::peer {

// Told what happens to neighbours. Called on the loop; must not destroy the table.
class PeerEvents {
public:
    virtual ~PeerEvents() = default;
    virtual void on_peer_up(PeerId peer) = 0;    // its first connection is open
    virtual void on_peer_down(PeerId peer) = 0;  // its last one is gone
    // Packets from a neighbour that are not pings; PacketMeta names neighbour and connection.
    virtual void on_peer_packets(PeerId neighbour, packet::PacketBatch&& batch) = 0;
};

// Decides about clients of other networks.
class ForeignDesk {
public:
    virtual ~ForeignDesk() = default;
    // Our id in the client's network, if it may come in.
    virtual Result<PeerId> admit(const Hello& client) = 0;
    // The connection of an admitted client. On an error it stays where it is, and is closed.
    virtual Result<> take(std::unique_ptr<PeerConn>& conn) = 0;
};

struct PeerCounters {
    std::uint64_t handshakes_ok = 0;
    std::uint64_t handshakes_foreign = 0;  // clients of other networks that were let in
    std::uint64_t handshakes_refused = 0;  // wrong network, secret or message
    std::uint64_t handshakes_over_limit = 0;
    std::uint64_t conns_lost = 0;  // open ones that ended
};

class PeerTable final : private PeerConnOwner {
public:
    PeerTable(
        PeerOptions options, rt::Runtime& runtime, packet::PacketPool& pool, PeerEvents& events,
        Log log
    );
    ~PeerTable() override;  // Precondition: close() has finished

    // Without a desk clients of other networks are refused. It outlives the last connection.
    void set_foreign_desk(ForeignDesk& desk) { desk_ = &desk; }

    // Takes a connected tunnel and begins the handshake.
    ConnId add(tunnel::TunnelPtr tunnel, Role role);

    // Takes an open connection of another table, where its handshake was. On an error it is left.
    Result<> adopt(std::unique_ptr<PeerConn>& conn);

    // Gives up a handshake that nobody waits for any more; nothing when it is done or gone.
    void abandon(ConnId id);

    enum class ConnState : std::uint8_t { none, starting, open };
    ConnState state(ConnId id) const;
    // Whether the neighbour has let pings pass on every connection that it has with us, and said
    // nothing else. Not so for a connection that is not open.
    bool silent(ConnId id) const;
    // Why a connection that is gone ended; remembered for the last few.
    Error end_reason(ConnId id) const;
    // Resumes whenever a connection opens or ends.
    rt::Event& changed() { return changed_; }

    bool has(PeerId neighbour) const;
    // Whether it is a member of our network, and not a shared server of another.
    bool is_member(PeerId neighbour) const;
    // False when it is not (or no longer) a neighbour; the batch is gone then.
    bool send(PeerId neighbour, packet::PacketBatch&& batch);
    // Closes those of its connections on which nothing comes within about a second.
    void check_alive(PeerId neighbour);
    // The same for one connection.
    void check_alive(ConnId id);
    // Smallest latency of its connections, if measured.
    std::optional<Duration> latency(PeerId neighbour) const;

    std::vector<PeerId> neighbours() const;  // ascending
    void for_each_conn(const std::function<void(const PeerConn&)>& visit) const;

    // Closes every connection and waits until they are gone.
    rt::Task<> close();

    const PeerCounters& counters() const { return counters_; }
    const PeerOptions& options() const { return options_; }

private:
    struct Peer {
        std::vector<PeerConn*> conns;  // open ones, at most conns_per_peer_max
        bool is_member = true;
        PeerConn* preferred = nullptr;
        TimePoint preferred_until{};
    };

    Result<PeerId> on_foreign_client(const Hello& client) override;
    Result<> on_conn_open(PeerConn& conn) override;
    void on_conn_packets(PeerConn& conn, packet::PacketBatch&& batch) override;
    void on_conn_closed(PeerConn& conn, const Error& reason) override;
    Result<> check_room(const PeerConn& conn, bool is_member) const;
    void enter(PeerConn& conn, bool is_member);
    PeerConn& pick(Peer& peer, TimePoint now);
    void log_end(const PeerConn& conn, const Error& reason);

    const PeerOptions options_;
    rt::Runtime& runtime_;
    packet::PacketPool& pool_;
    PeerEvents& events_;
    ForeignDesk* desk_ = nullptr;
    Log log_;
    rt::Event changed_;
    PeerCounters counters_;
    bool closing_ = false;
    std::uint32_t next_conn_ = 1;
    std::size_t starting_ = 0;
    // At most peers_max * conns_per_peer_max + handshakes_max.
    std::map<ConnId, std::unique_ptr<PeerConn>> conns_;
    std::map<PeerId, Peer> peers_;   // peers_max
    std::map<ConnId, Error> ended_;  // the last kEndedKept
};

}  // namespace selvage::peer
