// Bookkeeping of connections and the choice among them.
#include "peer/peer_table.h"

#include <algorithm>
#include <cassert>

namespace selvage::peer {
namespace {

constexpr std::size_t kEndedKept = 64;
// Latencies move slowly; choosing anew more often only makes packets overtake each other.
constexpr Duration kPreferenceLifetime = std::chrono::seconds(5);

}  // namespace

PeerTable::PeerTable(
    PeerOptions options, rt::Runtime& runtime, packet::PacketPool& pool, PeerEvents& events, Log log
)
    : options_(std::move(options)),
      runtime_(runtime),
      pool_(pool),
      events_(events),
      log_(std::move(log)),
      changed_(runtime) {}

PeerTable::~PeerTable() {
    assert(conns_.empty());
}

ConnId PeerTable::add(tunnel::TunnelPtr tunnel, Role role) {
    const ConnId id(next_conn_++);
    if (closing_ || starting_ >= options_.handshakes_max) {
        ++counters_.handshakes_over_limit;
        ended_.insert_or_assign(id, Error(Errc::limit, "too many handshakes at the same time"));
        return id;  // the tunnel was never started and goes here
    }
    ++starting_;
    PeerConnOwner& owner = *this;  // a private base that make_unique may not convert to
    auto owned = std::make_unique<PeerConn>(
        id, role, std::move(tunnel), options_, runtime_, pool_, owner,
        log_.child(fmt::format("conn {}", id))
    );
    PeerConn& conn = *owned;
    conns_.emplace(id, std::move(owned));
    conn.start();
    return id;
}

void PeerTable::abandon(ConnId id) {
    const auto found = conns_.find(id);
    if (found == conns_.end() || found->second->open()) return;
    found->second->close(Error(Errc::timed_out, "gave up waiting for the handshake"));
}

PeerTable::ConnState PeerTable::state(ConnId id) const {
    const auto found = conns_.find(id);
    if (found == conns_.end()) return ConnState::none;
    return found->second->open() ? ConnState::open : ConnState::starting;
}

Error PeerTable::end_reason(ConnId id) const {
    const auto found = ended_.find(id);
    return found == ended_.end() ? Error(Errc::closed) : found->second;
}

bool PeerTable::has(PeerId neighbour) const {
    return peers_.contains(neighbour);
}

bool PeerTable::is_member(PeerId neighbour) const {
    const auto found = peers_.find(neighbour);
    return found != peers_.end() && found->second.is_member;
}

bool PeerTable::send(PeerId neighbour, packet::PacketBatch&& batch) {
    const auto found = peers_.find(neighbour);
    if (found == peers_.end()) return false;
    pick(found->second, batch.now()).send(std::move(batch));
    return true;
}

void PeerTable::check_alive(PeerId neighbour) {
    const auto found = peers_.find(neighbour);
    if (found == peers_.end()) return;
    for (PeerConn* conn : found->second.conns)
        conn->check_alive();
}

void PeerTable::check_alive(ConnId id) {
    const auto found = conns_.find(id);
    if (found != conns_.end() && found->second->open()) found->second->check_alive();
}

bool PeerTable::silent(ConnId id) const {
    const auto conn = conns_.find(id);
    if (conn == conns_.end() || !conn->second->open()) return false;
    const auto peer = peers_.find(conn->second->peer());
    return peer != peers_.end() && std::ranges::all_of(peer->second.conns, &PeerConn::silent);
}

PeerConn& PeerTable::pick(Peer& peer, TimePoint now) {
    if (peer.preferred != nullptr &&
        (peer.conns.size() == 1 || (now < peer.preferred_until && !peer.preferred->in_doubt()))) {
        return *peer.preferred;
    }
    // One that answers before one that may be dead: otherwise a connection that was the fastest
    // would swallow everything until its fifth ping is lost. A connection without a measurement
    // counts as the fastest, so that it gets one.
    peer.preferred = *std::ranges::min_element(peer.conns, {}, [](const PeerConn* conn) {
        return std::pair(conn->in_doubt(), conn->latency().value_or(Duration{0}));
    });
    peer.preferred_until = now + kPreferenceLifetime;
    return *peer.preferred;
}

std::optional<Duration> PeerTable::latency(PeerId neighbour) const {
    std::optional<Duration> best;
    const auto found = peers_.find(neighbour);
    if (found == peers_.end()) return best;
    for (const PeerConn* conn : found->second.conns) {
        const auto latency = conn->latency();
        if (latency && (!best || *latency < *best)) best = latency;
    }
    return best;
}

std::vector<PeerId> PeerTable::neighbours() const {
    std::vector<PeerId> out;
    out.reserve(peers_.size());
    for (const auto& [id, peer] : peers_)
        out.push_back(id);
    return out;
}

void PeerTable::for_each_conn(const std::function<void(const PeerConn&)>& visit) const {
    for (const auto& [id, conn] : conns_)
        visit(*conn);
}

rt::Task<> PeerTable::close() {
    closing_ = true;
    for (auto& [id, conn] : conns_)
        conn->close(Error(Errc::cancelled, "the node stops"));
    while (!conns_.empty())
        co_await changed_.wait();
}

Result<PeerId> PeerTable::on_foreign_client(const Hello& client) {
    if (desk_ != nullptr && !closing_) return desk_->admit(client);
    return Error(
        Errc::denied, fmt::format("network \"{}\" is not ours", printable(client.network_name))
    );
}

Result<> PeerTable::on_conn_open(PeerConn& conn) {
    if (conn.role() == Role::server && !conn.is_own_network()) {
        const auto found = conns_.find(conn.id());
        if (auto taken = desk_->take(found->second); !taken) return taken;
        conns_.erase(found);
        --starting_;
        ++counters_.handshakes_foreign;
        changed_.notify();
        return {};
    }
    if (auto room = check_room(conn, conn.is_own_network()); !room) return room;
    --starting_;
    ++counters_.handshakes_ok;
    enter(conn, conn.is_own_network());
    return {};
}

Result<> PeerTable::adopt(std::unique_ptr<PeerConn>& conn) {
    if (closing_) return Error(Errc::closed, "the network is being left");
    if (auto room = check_room(*conn, true); !room) return room;
    PeerConn& adopted = *conn;
    adopted.set_owner(*this);
    conns_.emplace(adopted.id(), std::move(conn));
    ++counters_.handshakes_ok;
    enter(adopted, true);
    return {};
}

Result<> PeerTable::check_room(const PeerConn& conn, bool is_member) const {
    const auto found = peers_.find(conn.peer());
    if (found == peers_.end()) {
        if (peers_.size() < options_.peers_max) return {};
        return Error(Errc::limit, "too many neighbours");
    }
    // A shared server that calls itself as one of our members would get that member's packets, and
    // the other way round a member the packets that only the server may read.
    if (found->second.is_member != is_member) {
        return Error(Errc::incompatible, "its peer id is that of a node of another network");
    }
    if (found->second.conns.size() < options_.conns_per_peer_max) return {};
    return Error(Errc::limit, "too many connections of one neighbour");
}

void PeerTable::enter(PeerConn& conn, bool is_member) {
    const PeerId id = conn.peer();
    Peer& peer = peers_[id];
    peer.is_member = is_member;
    peer.conns.push_back(&conn);
    peer.preferred = nullptr;
    log_.info(
        "connection up", "peer={} conn={} role={} remote={}", id, conn.id(),
        conn.role() == Role::client ? "client" : "server", conn.tunnel_info().remote
    );
    if (!is_member) {
        log_.info(
            "a shared server of another network", "peer={} network=\"{}\"", id,
            printable(conn.hello().network_name)
        );
    }
    changed_.notify();
    if (peer.conns.size() == 1) events_.on_peer_up(id);
}

void PeerTable::on_conn_packets(PeerConn& conn, packet::PacketBatch&& batch) {
    events_.on_peer_packets(conn.peer(), std::move(batch));
}

void PeerTable::on_conn_closed(PeerConn& conn, const Error& reason) {
    const ConnId id = conn.id();
    const PeerId peer_id = conn.peer();
    bool was_open = false;
    bool last = false;
    if (const auto found = peers_.find(peer_id); found != peers_.end()) {
        auto& conns = found->second.conns;
        was_open = std::erase(conns, &conn) > 0;
        found->second.preferred = nullptr;
        last = conns.empty();
        if (last) peers_.erase(found);
    }
    log_end(conn, reason);
    if (was_open) {
        ++counters_.conns_lost;
    } else {
        --starting_;
        if (reason.is(Errc::cancelled)) {
            // We stop; nobody was refused.
        } else {
            ++counters_.handshakes_refused;
        }
    }
    ended_.insert_or_assign(id, reason);
    while (ended_.size() > kEndedKept)
        ended_.erase(ended_.begin());
    conns_.erase(id);  // destroys conn
    changed_.notify();
    if (last) events_.on_peer_down(peer_id);
}

void PeerTable::log_end(const PeerConn& conn, const Error& reason) {
    const auto& remote = conn.tunnel_info().remote;
    if (reason.is(Errc::cancelled)) return;
    if (conn.peer()) {
        log_.info(
            "connection down", "peer={} conn={} remote={} reason=\"{}\"", conn.peer(), conn.id(),
            remote, reason.message()
        );
    } else if (conn.role() == Role::server) {
        log_.warn("handshake refused", "remote={} reason=\"{}\"", remote, reason.message());
    }
    // A client's failed handshake is reported by the connector that dialled.
}

}  // namespace selvage::peer
