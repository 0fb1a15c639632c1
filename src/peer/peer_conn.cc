// Handshake, pings and packets of one connection.
#include "peer/peer_conn.h"

namespace selvage::peer {

using packet::PacketBatch;
using packet::PacketBuf;
using packet::PacketType;
using packet::PeerHeader;

namespace {

constexpr Duration kLastWordsTime = std::chrono::milliseconds(500);

}  // namespace

PeerConn::PeerConn(
    ConnId id, Role role, tunnel::TunnelPtr tunnel, const PeerOptions& options,
    rt::Runtime& runtime, packet::PacketPool& pool, PeerConnOwner& owner, Log log
)
    : id_(id),
      role_(role),
      options_(options),
      runtime_(runtime),
      pool_(pool),
      owner_(&owner),
      log_(std::move(log)),
      my_id_(options.my_id),
      pinger_(runtime.rng()),
      timer_(runtime.timers()),
      check_timer_(runtime.timers()),
      tunnel_(std::move(tunnel)) {}

void PeerConn::start() {
    timer_.set(runtime_.now() + options_.handshake_limit, [this] {
        close(Error(Errc::timed_out, "the other side did not finish the handshake in time"));
    });
    tunnel_->start(*this);
    if (role_ == Role::client) send_hello(options_.network_digest);
}

void PeerConn::close(Error reason) {
    if (state_ == State::closing) return;
    state_ = State::closing;
    close_reason_ = std::move(reason);
    timer_.cancel();
    tunnel_->close();
}

// Closing a tunnel throws away what waits in its queue, so the last words need a moment. The other
// side usually closes before it is over.
void PeerConn::close_when_heard(Error reason) {
    state_ = State::closing;
    close_reason_ = std::move(reason);
    timer_.set(runtime_.now() + kLastWordsTime, [this] { tunnel_->close(); });
}

void PeerConn::on_closed(const Error& reason) {
    timer_.cancel();
    state_ = State::closing;
    const Error why = close_reason_.value_or(reason);
    owner_->on_conn_closed(*this, why);  // may destroy this
}

void PeerConn::on_packets(PacketBatch&& batch) {
    PacketBatch passed(batch.now());
    PacketBatch replies(batch.now());
    for (PacketBuf& packet : batch) {
        if (state_ == State::closing) return;
        const auto* header = packet.header<PeerHeader>();
        if (header == nullptr) {
            // The transports already refuse this; one that did not must not get further.
            close(Error(Errc::truncated, "a packet shorter than its header"));
            return;
        }
        if (state_ == State::starting) {
            if (!on_hello_packet(packet)) return;
            continue;
        }
        switch (header->packet_type()) {
            case PacketType::ping:
                on_ping(std::move(packet), replies);
                break;
            case PacketType::pong:
                on_pong(packet, batch.now());
                break;
            case PacketType::handshake:
                ++malformed_;
                break;  // a second one means nothing
            default:
                packet.meta().from_peer = hello_.peer;
                packet.meta().conn = id_;
                passed.push(std::move(packet));
        }
    }
    if (!replies.empty()) tunnel_->send(std::move(replies));
    if (!passed.empty()) owner_->on_conn_packets(*this, std::move(passed));
}

bool PeerConn::on_hello_packet(const PacketBuf& packet) {
    const auto* header = packet.header<PeerHeader>();
    if (header->packet_type() != PacketType::handshake) {
        // A client may see packets of a server that is faster than its own answer; a server that
        // is not greeted first talks to something that is not a node.
        if (role_ == Role::client) return true;
        close(Error(Errc::malformed, "the first packet is not a handshake"));
        return false;
    }
    auto hello = parse_hello(packet.bytes().subspan(sizeof(PeerHeader)));
    if (!hello) {
        close(std::move(hello).error());
        return false;
    }
    // What was refused is answered with zeros where the client may learn that it spoke to a node.
    const auto verdict = role_ == Role::server ? greet(*hello) : judge_server(options_, *hello);
    if (!verdict) {
        if (role_ == Role::server) {
            send_hello({});
            close_when_heard(verdict.error());
        } else {
            close(verdict.error());
        }
        return false;
    }
    hello_ = std::move(*hello);
    if (role_ == Role::server) {
        send_hello(is_own_network() ? options_.network_digest : crypto::NetworkDigest{});
    }
    enter_open();
    return state_ == State::open;
}

Result<> PeerConn::greet(const Hello& client) {
    if (client.network_name == options_.network_name) return judge_client(options_, client);
    const auto admitted = owner_->on_foreign_client(client);
    if (!admitted) {
        // The id of our own network is no business of a stranger.
        my_id_ = PeerId(static_cast<std::uint32_t>(runtime_.rng().next()) | 1);
        return admitted.error();
    }
    my_id_ = *admitted;
    return {};
}

void PeerConn::send_hello(const crypto::NetworkDigest& digest_shown) {
    PacketBuf hello = build_hello(pool_, options_, my_id_, digest_shown);
    if (!hello) {
        close(Error(Errc::limit, "no packet buffer for the handshake"));
        return;
    }
    PacketBatch batch(runtime_.now());
    batch.push(std::move(hello));
    tunnel_->send(std::move(batch));
}

void PeerConn::enter_open() {
    timer_.cancel();
    state_ = State::open;
    opened_at_ = runtime_.now();
    if (auto admitted = owner_->on_conn_open(*this); !admitted) {
        close(std::move(admitted).error());
        return;
    }
    tick();
}

void PeerConn::arm_tick() {
    timer_.set(runtime_.now() + Pinger::kTick, [this] { tick(); });
}

void PeerConn::tick() {
    const auto& stats = tunnel_->stats();
    const auto decision = pinger_.on_tick(runtime_.now(), stats.rx_packets, stats.tx_packets);
    if (decision.dead) {
        close(Error(Errc::timed_out, "the neighbour no longer answers pings"));
        return;
    }
    if (decision.ping) send_ping(*decision.ping);
    if (state_ == State::open) arm_tick();
}

void PeerConn::check_alive() {
    if (pinger_.begin_check(runtime_.now(), tunnel_->stats().rx_packets)) check_tick();
}

void PeerConn::check_tick() {
    if (state_ != State::open) return;
    const auto decision = pinger_.on_check_tick(tunnel_->stats().rx_packets);
    if (decision.dead) {
        close(Error(Errc::timed_out, "the neighbour did not answer when its place was in doubt"));
        return;
    }
    if (decision.ping) send_ping(*decision.ping);
    if (!pinger_.checking()) return;
    check_timer_.set(runtime_.now() + Pinger::kCheckTick, [this] { check_tick(); });
}

void PeerConn::send_ping(std::uint32_t number) {
    const le32 body = number;
    PacketBuf ping = pool_.copy(as_bytes_of(body));
    if (!ping) return;  // counts as lost, which it is
    auto* header = ping.push_front<PeerHeader>();
    header->from_peer = my_id_.raw();
    header->to_peer = hello_.peer.raw();
    header->type = static_cast<std::uint8_t>(PacketType::ping);
    header->payload_len = sizeof(body);
    PacketBatch batch(runtime_.now());
    batch.push(std::move(ping));
    tunnel_->send(std::move(batch));
}

void PeerConn::on_ping(PacketBuf&& packet, PacketBatch& replies) {
    // Everything but the type stays as it came, addresses included.
    packet.header<PeerHeader>()->type = static_cast<std::uint8_t>(PacketType::pong);
    replies.push(std::move(packet));
}

void PeerConn::on_pong(const PacketBuf& packet, TimePoint now) {
    Reader in(packet.bytes().subspan(sizeof(PeerHeader)));
    le32 number;
    if (!in.read(number)) {
        ++malformed_;
        return;
    }
    pinger_.on_pong(number, now);
}

}  // namespace selvage::peer
