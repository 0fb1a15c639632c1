// The pipeline's stages: what comes in from neighbours, the NIC and the stack, and where it goes.
#include "dataplane/forwarder.h"

#include <algorithm>
#include <array>

#include "dataplane/relay_checks.h"
#include "packet/foreign_packet.h"
#include "packet/ip_headers.h"

namespace selvage::dataplane {

using packet::IpMeta;
using packet::IpProtocol;
using packet::PacketBatch;
using packet::PacketBuf;
using packet::PacketType;
using packet::PeerHeader;

// Gathers what leaves, per neighbour, so that a batch that came as one goes on as one.
struct Forwarder::Outbox {
    explicit Outbox(TimePoint time) : now(time), stack(time), nic(time) {}

    struct Lane {
        PeerId neighbour;
        PacketBatch batch;
    };
    // Traffic goes to few neighbours at a time; one more than this sends the oldest lane early.
    static constexpr std::size_t kLanes = 4;

    TimePoint now;
    PacketBatch stack;
    PacketBatch nic;
    std::array<Lane, kLanes> lanes;
    std::size_t used = 0;
};

Forwarder::Forwarder(
    DataplaneOptions options, PayloadCodec codec, rt::Runtime& runtime, peer::PeerTable& peers
)
    : options_(std::move(options)),
      addresses_(options_.addresses),
      codec_(std::move(codec)),
      runtime_(runtime),
      peers_(peers),
      routes_(std::make_shared<const route::RouteTable>()),
      acl_(options_.hash_key),
      flows_(options_.hash_key, options_.flow_limits),
      fragments_(options_.hash_key) {}

void Forwarder::set_routes(std::shared_ptr<const route::RouteTable> routes) {
    routes_ = std::move(routes);
    acl_.groups().update(*routes_, options_.my_id);
}

void Forwarder::apply_acl(AclRules rules) {
    acl_.apply(std::move(rules));
    acl_.groups().update(*routes_, options_.my_id);
}

void Forwarder::attach(StackPort& stack, NicPort& nic, ControlSink& control) {
    stack_ = &stack;
    nic_ = &nic;
    control_ = &control;
}

// ---- From neighbours -----------------------------------------------------------------------

namespace {

Arrival arrival_of(const PacketBuf& packet) {
    Arrival out{
        .neighbour = packet.meta().from_peer, .bytes = static_cast<std::uint32_t>(packet.size())
    };
    if (const auto* header = packet.header<PeerHeader>()) out.header = *header;
    return out;
}

}  // namespace

void Forwarder::note_drop(
    DropReason reason, const Arrival& arrival, const PacketBuf& packet, TimePoint now
) {
    drops_.add(reason);
    DropSample sample{.reason = reason, .at = now, .arrival = arrival};
    if (packet && !arrival.header) {
        sample.ip = packet.meta().ip;
    } else if (packet && is_about_content(reason)) {
        // Its peer header is gone by then.
        if (auto ip = packet::parse_ip(packet.bytes())) sample.ip = *ip;
    }
    drop_log_.add(sample);
}

void Forwarder::from_peers(PacketBatch&& batch) {
    Outbox out(batch.now());
    for (PacketBuf& packet : batch) {
        const Arrival arrival = arrival_of(packet);
        if (const auto drop = on_peer_packet(packet, out)) {
            note_drop(*drop, arrival, packet, out.now);
        }
    }
    flush(out);
}

std::optional<DropReason> Forwarder::on_peer_packet(PacketBuf& packet, Outbox& out) {
    const auto* header = packet.header<PeerHeader>();
    if (header == nullptr) return DropReason::malformed_header;
    // Checked whatever its address: stock nodes end on a malformed one even as relays.
    if (header->packet_type() == PacketType::foreign_network &&
        !packet::parse_foreign_packet(packet.bytes().subspan(sizeof(PeerHeader)))) {
        return DropReason::malformed_foreign;
    }
    if (header->to() != options_.my_id) return relay(packet, out);
    return deliver(packet, out);
}

std::optional<DropReason> Forwarder::relay(PacketBuf& packet, Outbox& out) {
    auto* header = packet.header<PeerHeader>();
    if (header->hops > packet::kHopsLimit) return DropReason::hop_limit;
    if (!options_.relays_data && is_relay_data(packet)) return DropReason::relay_disabled;
    if (would_harm_stock_node(packet)) return DropReason::malformed_inner;
    if (header->hops > packet::kHopsLatencyFirst) {
        header->flags &= static_cast<std::uint8_t>(~packet::flag::kLatencyFirst);
    }
    ++header->hops;
    const std::size_t bytes = packet.size();
    if (const auto drop = emit(packet, out)) return drop;
    ++traffic_.forwarded_packets;
    traffic_.forwarded_bytes += bytes;
    return std::nullopt;
}

std::optional<DropReason> Forwarder::deliver(PacketBuf& packet, Outbox& out) {
    const auto* header = packet.header<PeerHeader>();
    switch (header->packet_type()) {
        case PacketType::foreign_network:
            if (foreign_ == nullptr) return DropReason::foreign_unknown;
            return foreign_->on_foreign_packet(std::move(packet));
        case PacketType::data_kcp_modified:
        case PacketType::data_quic_modified:
            return DropReason::local_only_type;
        case PacketType::data:
            // Anyone who can reach us could forge a clear packet of a network with a secret.
            if (codec_.encrypts() && !header->has(packet::flag::kEncrypted)) {
                return DropReason::not_encrypted;
            }
            break;
        case PacketType::rpc_request:
        case PacketType::rpc_response:
            break;  // also clear: 2-control.md section 1.6
        default:
            return DropReason::unknown_type;
    }
    if (const auto drop = codec_.open(packet)) return drop;
    header = packet.header<PeerHeader>();  // expanding may have moved it
    if (header->packet_type() == PacketType::data) return deliver_data(packet, out);
    ++traffic_.rpc_rx_packets;
    control_->on_rpc_packet(
        header->from(), header->packet_type(), packet.bytes().subspan(sizeof(PeerHeader))
    );
    return std::nullopt;
}

std::optional<DropReason> Forwarder::deliver_data(PacketBuf& packet, Outbox& out) {
    const PeerHeader header = *packet.header<PeerHeader>();
    packet.pop_front(sizeof(PeerHeader));
    auto ip = packet::parse_ip(packet.bytes());
    if (!ip) return DropReason::not_ip;
    packet.truncate(ip->total_length);
    if (!taps_.empty()) {
        taps_.offer(TapDirection::from_mesh, header.from(), *ip, packet.bytes(), out.now);
    }
    if (!may_send_from(header.from(), ip->source)) return DropReason::bad_source;
    if (const auto drop = admit_in(header.from(), *ip, out.now)) return drop;
    const Placed placed = classify(*ip, packet.bytes(), header.from(), out.now);
    if (const auto* drop = std::get_if<DropReason>(&placed)) return *drop;
    const Side* const side = std::get_if<Side>(&placed);
    const bool may_be_nics = side == nullptr || *side == Side::nic;
    if (may_be_nics && header.has(packet::flag::kNotToTun)) return DropReason::no_receiver;
    ++traffic_.rx_packets;
    traffic_.rx_bytes += packet.size();
    packet.meta().from_peer = header.from();
    packet.meta().ip = *ip;
    if (side == nullptr) {
        drops_.add(DropReason::first_fragment_missing, fragments_.hold(std::move(packet), out.now));
        return std::nullopt;
    }
    const bool first_piece = packet.meta().ip->is_fragment && !packet.meta().ip->is_later_fragment;
    if (!first_piece || !nic_->has_kernel()) {
        hand_over(std::move(packet), *side, out);
        return std::nullopt;
    }
    std::vector<PacketBuf> waiting = fragments_.note_first(packet.meta(), *side, out.now);
    hand_over(std::move(packet), *side, out);
    for (PacketBuf& piece : waiting)
        hand_over(std::move(piece), *side, out);
    return std::nullopt;
}

void Forwarder::hand_over(PacketBuf&& packet, Side side, Outbox& out) {
    // Fragments that waited may make more of a batch than came in with it.
    if (side == Side::nic) {
        if (out.nic.full()) nic_->send(std::exchange(out.nic, PacketBatch(out.now)));
        out.nic.push(std::move(packet));
    } else {
        if (out.stack.full()) stack_->deliver(std::exchange(out.stack, PacketBatch(out.now)));
        out.stack.push(std::move(packet));
    }
}

namespace {

std::optional<DropReason> drop_of(const AclVerdict& verdict) {
    if (verdict.allowed) return std::nullopt;
    return verdict.reason == AclReason::rate_limit ? DropReason::acl_rate_limit
                                                   : DropReason::acl_denied;
}

}  // namespace

std::optional<DropReason> Forwarder::admit_in(PeerId from, const IpMeta& ip, TimePoint now) {
    if (!acl_.enabled()) return std::nullopt;
    const auto type = is_ours(ip.destination) ? AclChainType::inbound : AclChainType::forward;
    const AclGroups& groups = acl_.groups();
    return drop_of(acl_.judge(type, ip, groups.of(from), groups.own(), now));
}

std::optional<DropReason> Forwarder::admit_out(const IpMeta& ip, TimePoint now) {
    if (!acl_.enabled()) return std::nullopt;
    // Which node it goes to is decided later, as in the reference: nobody's groups.
    return drop_of(acl_.judge(AclChainType::outbound, ip, acl_.groups().own(), 0, now));
}

bool Forwarder::may_send_from(PeerId peer, const IpAddress& source) {
    // Packets come in runs of one flow, so the last answer is mostly the next one as well.
    if (last_source_.peer == peer && last_source_.address == source &&
        last_source_.generation == routes_->generation()) {
        return true;
    }
    const bool known = routes_->may_send_from(peer, source) || exit_node_for(source) == peer;
    if (known) last_source_ = {peer, source, routes_->generation()};
    return known;
}

Forwarder::Placed Forwarder::classify(
    const IpMeta& ip, ByteView bytes, PeerId from, TimePoint now
) {
    const bool kernel = nic_->has_kernel();
    if (!is_ours(ip.destination)) {
        // Broadcasts, and networks that the host routes on its own.
        if (kernel) return Side::nic;
        return DropReason::no_receiver;
    }
    switch (static_cast<IpProtocol>(ip.protocol)) {
        case IpProtocol::tcp:
        case IpProtocol::udp:
            return classify_ports(ip, from, now);
        case IpProtocol::icmp:
        case IpProtocol::icmpv6:
            if (kernel) return classify_icmp(ip, bytes, from);
            return Side::stack;
    }
    if (kernel) return Side::nic;
    return DropReason::no_receiver;
}

Forwarder::Placed Forwarder::classify_ports(const IpMeta& ip, PeerId from, TimePoint now) {
    const bool kernel = nic_->has_kernel();
    if (ip.is_later_fragment && kernel) {
        if (!shares_address()) return Side::nic;
        const auto side = fragments_.find(ip, now);
        if (!side) return Waits{};
        return *side;
    }
    if (!ip.has_ports) return kernel ? Side::nic : Side::stack;
    if (ip.protocol == static_cast<std::uint8_t>(IpProtocol::tcp)) {
        return classify_tcp(ip, from, now);
    }
    return kernel ? classify_udp(ip, now) : Side::stack;
}

Forwarder::Placed Forwarder::classify_tcp(const IpMeta& ip, PeerId from, TimePoint now) {
    const Side unclaimed = nic_->has_kernel() ? Side::nic : Side::stack;
    const FlowKey key{
        ip.protocol, {ip.destination, ip.destination_port}, {ip.source, ip.source_port}
    };
    if (Flow* flow = flows_.find(key)) {
        flow->last_seen = now;
        if (flow->owner == FlowOwner::kernel) return Side::nic;
        if (!flow->peer) flows_.bind_peer(*flow, from);
        if (flow->peer == from) return Side::stack;
        // A node that moved (restarted with a new id) may call again from the same port; one that
        // merely forges may not touch a live connection.
        if (stack_->has_tcp(key.local, key.remote)) return DropReason::flow_peer_mismatch;
        flows_.erase(key);
    }
    constexpr std::uint8_t kSynAck = packet::tcp_flag::kSyn | packet::tcp_flag::kAck;
    const bool opens = (ip.tcp_flags & kSynAck) == packet::tcp_flag::kSyn;
    if (!opens || !claims_.has(ip.protocol, ip.destination_port)) return unclaimed;
    if (!flows_.insert(key, FlowOwner::stack, from, now)) return DropReason::flow_limit;
    return Side::stack;
}

Side Forwarder::classify_udp(const IpMeta& ip, TimePoint now) {
    const FlowKey key{
        ip.protocol, {ip.destination, ip.destination_port}, {ip.source, ip.source_port}
    };
    if (Flow* flow = flows_.find(key)) {
        // Who only listens to a long answer must not lose it to the claim half-way.
        flow->last_seen = now;
        return flow->owner == FlowOwner::stack ? Side::stack : Side::nic;
    }
    return claims_.has(ip.protocol, ip.destination_port) ? Side::stack : Side::nic;
}

Forwarder::Placed Forwarder::classify_icmp(const IpMeta& ip, ByteView bytes, PeerId from) {
    const auto quoted = quoted_flow(ip, bytes);
    if (!quoted) return Side::nic;
    if (const Flow* flow = flows_.find(*quoted)) {
        if (flow->owner == FlowOwner::kernel) return Side::nic;
        // Relays do not open packets, so the truth about a flow comes from its other end alone.
        if (flow->peer && flow->peer != from) return DropReason::flow_peer_mismatch;
        return Side::stack;
    }
    // What a claimed UDP port sent has no flow of its own.
    const bool claimed = quoted->protocol == static_cast<std::uint8_t>(IpProtocol::udp) &&
                         is_ours(quoted->local.address) &&
                         claims_.has(quoted->protocol, quoted->local.port);
    return claimed ? Side::stack : Side::nic;
}

// ---- From this host and from our stack -------------------------------------------------------

void Forwarder::from_nic(PacketBatch&& batch) {
    Outbox out(batch.now());
    for (PacketBuf& packet : batch) {
        const Arrival arrival{.bytes = static_cast<std::uint32_t>(packet.size())};
        if (const auto drop = on_local_packet(packet, Side::nic, out)) {
            note_drop(*drop, arrival, packet, out.now);
        }
    }
    flush(out);
}

void Forwarder::from_stack(PacketBatch&& batch) {
    Outbox out(batch.now());
    for (PacketBuf& packet : batch) {
        const Arrival arrival{.bytes = static_cast<std::uint32_t>(packet.size())};
        if (const auto drop = on_local_packet(packet, Side::stack, out)) {
            note_drop(*drop, arrival, packet, out.now);
        }
    }
    flush(out);
}

std::optional<DropReason> Forwarder::on_local_packet(PacketBuf& packet, Side side, Outbox& out) {
    auto ip = packet::parse_ip(packet.bytes());
    if (!ip || ip->total_length != packet.size()) return DropReason::not_ip;
    // The kernel sends router solicitations and the like into every device that it has.
    if (!is_ours(ip->source)) return DropReason::unannounced_source;
    packet.meta().ip = *ip;
    const IpMeta& meta = *packet.meta().ip;
    if (is_ours(meta.destination)) {
        if (side == Side::nic) return DropReason::to_self;
        loop_to_stack(std::move(packet));
        return std::nullopt;
    }
    if (const auto drop = admit_out(meta, out.now)) return drop;
    note_local_flow(meta, side, out.now);
    return emit_ip(packet, out);
}

void Forwarder::note_local_flow(const IpMeta& ip, Side side, TimePoint now) {
    if (!ip.has_ports || !nic_->has_kernel()) return;
    const bool tcp = ip.protocol == static_cast<std::uint8_t>(IpProtocol::tcp);
    constexpr std::uint8_t kSynAck = packet::tcp_flag::kSyn | packet::tcp_flag::kAck;
    if (tcp && (ip.tcp_flags & kSynAck) != packet::tcp_flag::kSyn) return;
    // The kernel's flows matter only where a claim, or our stack, could take their answers.
    if (side == Side::nic && ip.source_port < kStackPortFirst &&
        !claims_.has(ip.protocol, ip.source_port)) {
        return;
    }
    const FlowKey key{
        ip.protocol, {ip.source, ip.source_port}, {ip.destination, ip.destination_port}
    };
    // An answer of a claimed UDP port belongs to the claim already.
    if (side == Side::stack && !tcp && claims_.has(ip.protocol, ip.source_port)) return;
    // At the bound the packet still leaves; only its answers may then meet the wrong side.
    if (side == Side::stack) {
        (void)flows_.insert(key, FlowOwner::stack, PeerId{}, now);
        return;
    }
    // A server of the host may be made to answer to any number of ports: that counts for the node
    // which asks, so that it uses up its own share of the table only.
    if (Flow* flow = flows_.find(key)) {
        flow->last_seen = now;
        return;
    }
    const PeerId peer = routes_->peer_for(ip.destination).value_or(PeerId{});
    (void)flows_.insert(key, FlowOwner::kernel, peer, now);
}

std::optional<DropReason> Forwarder::emit_ip(PacketBuf& packet, Outbox& out) {
    const IpMeta& ip = *packet.meta().ip;
    const bool to_all = is_broadcast(ip.destination);
    auto to = to_all ? std::nullopt : routes_->peer_for(ip.destination);
    const bool exits = !to_all && !to;
    if (exits) to = exit_node_for(ip.destination);
    if (!to_all && !to) return DropReason::no_route;
    if (!taps_.empty()) {
        const PeerId whom = to.value_or(PeerId{});
        taps_.offer(TapDirection::to_mesh, whom, ip, packet.bytes(), out.now);
    }

    const auto size = static_cast<std::uint32_t>(packet.size());
    auto* header = packet.push_front<PeerHeader>();
    header->from_peer = options_.my_id.raw();
    header->type = static_cast<std::uint8_t>(PacketType::data);
    header->payload_len = size;
    if (to) header->to_peer = to->raw();
    codec_.shrink(packet);
    if (!codec_.seal(packet)) return DropReason::no_buffer;
    header->flags |= options_.latency_first ? packet::flag::kLatencyFirst : std::uint8_t{0};
    if (exits) header->flags |= packet::flag::kExitNode;
    ++traffic_.tx_packets;
    traffic_.tx_bytes += size;
    return to_all ? broadcast(packet, out) : emit(packet, out);
}

std::optional<DropReason> Forwarder::broadcast(PacketBuf& packet, Outbox& out) {
    // Every node with an address gets its own copy; all share one ciphertext.
    const bool v4 = packet.meta().ip->destination.is_v4();
    for (const PeerId peer : v4 ? routes_->broadcast_peers4() : routes_->broadcast_peers6()) {
        PacketBuf copy = packet.clone();
        if (!copy) return DropReason::no_buffer;
        copy.header<PeerHeader>()->to_peer = peer.raw();
        if (const auto drop = emit(copy, out)) drops_.add(*drop);
    }
    return std::nullopt;
}

std::optional<PeerId> Forwarder::exit_node_for(const IpAddress& outside) const {
    if (options_.exit_nodes.empty()) return std::nullopt;
    const bool special = outside.is_link_local() || outside.is_multicast() ||
                         outside.is_loopback() || outside.is_unspecified();
    if (special || addresses_.covers(outside) || routes_->peer_for(outside)) return std::nullopt;
    for (const IpAddress& exit : options_.exit_nodes) {
        if (exit.is_v4() != outside.is_v4()) continue;
        const auto peer = routes_->peer_for(exit);
        if (peer && *peer != options_.my_id) return peer;
    }
    return std::nullopt;
}

bool Forwarder::is_broadcast(const IpAddress& destination) const {
    if (destination.is_multicast() || destination.is_limited_broadcast()) return true;
    const auto& own = addresses_.of_family(destination);
    // A network of two addresses has no broadcast (RFC 3021).
    if (!own || own->length >= destination.bits() - 1) return false;
    if (destination != Prefix{destination, own->length}.last()) return false;
    // Nodes of one mesh may have addresses in several networks of our size: stock nodes send to
    // the last address of any of them to all. What somebody has is his alone, though.
    return own->contains(destination) || !routes_->peer_for(destination);
}

void Forwarder::loop_to_stack(PacketBuf&& packet) {
    // In a later turn: the stack is in the middle of sending.
    runtime_.post([this, packet = std::move(packet)]() mutable {
        PacketBatch batch(runtime_.now());
        batch.push(std::move(packet));
        stack_->deliver(std::move(batch));
    });
}

// ---- Out ---------------------------------------------------------------------------------------

void Forwarder::send_rpc(PeerId to, PacketType type, PacketBuf&& message) {
    Outbox out(runtime_.now());
    const auto size = static_cast<std::uint32_t>(message.size());
    auto* header = message.push_front<PeerHeader>();
    header->from_peer = options_.my_id.raw();
    header->to_peer = to.raw();
    header->type = static_cast<std::uint8_t>(type);
    header->hops = 2;  // stock nodes count their own receive loop as a hop (2-control.md 1.6)
    header->payload_len = size;
    ++traffic_.rpc_tx_packets;
    if (to == options_.my_id) {
        runtime_.post([this, to, type, packet = std::move(message)]() mutable {
            control_->on_rpc_packet(to, type, packet.bytes().subspan(sizeof(PeerHeader)));
        });
        return;
    }
    if (routes_->encrypt_rpc_to(to) && !codec_.seal(message)) {
        drops_.add(DropReason::no_buffer);
        return;
    }
    if (const auto drop = emit(message, out)) drops_.add(*drop);
    flush(out);
}

std::optional<DropReason> Forwarder::send_foreign(PeerId from, PeerId server, PacketBuf&& wrapped) {
    Outbox out(runtime_.now());
    const auto size = static_cast<std::uint32_t>(wrapped.size());
    auto* header = wrapped.push_front<PeerHeader>();
    header->from_peer = from.raw();
    header->to_peer = server.raw();
    header->type = static_cast<std::uint8_t>(PacketType::foreign_network);
    header->payload_len = size;
    const auto drop = emit(wrapped, out);
    flush(out);
    return drop;
}

std::optional<PeerId> Forwarder::next_hop(const PeerHeader& header) const {
    const PeerId to = header.to();
    if (header.has(packet::flag::kLatencyFirst)) {
        const auto hop = routes_->next_hop(to, route::Policy::least_cost);
        if (hop && *hop != to && peers_.has(*hop)) return hop;
    }
    if (peers_.has(to)) return to;
    const auto hop = routes_->next_hop(to, route::Policy::least_hop);
    if (hop && peers_.has(*hop)) return hop;
    return std::nullopt;
}

std::optional<DropReason> Forwarder::emit(PacketBuf& packet, Outbox& out) {
    const auto hop = next_hop(*packet.header<PeerHeader>());
    if (!hop) return DropReason::no_next_hop;
    for (std::size_t i = 0; i < out.used; ++i) {
        Outbox::Lane& lane = out.lanes[i];
        if (lane.neighbour != *hop) continue;
        if (lane.batch.full()) peers_.send(*hop, std::exchange(lane.batch, PacketBatch(out.now)));
        lane.batch.push(std::move(packet));
        return std::nullopt;
    }
    if (out.used == Outbox::kLanes) {
        peers_.send(out.lanes[0].neighbour, std::move(out.lanes[0].batch));
        for (std::size_t i = 1; i < out.used; ++i)
            out.lanes[i - 1] = std::move(out.lanes[i]);
        --out.used;
    }
    Outbox::Lane& lane = out.lanes[out.used++];
    lane.neighbour = *hop;
    lane.batch = PacketBatch(out.now);
    lane.batch.push(std::move(packet));
    return std::nullopt;
}

void Forwarder::flush(Outbox& out) {
    for (std::size_t i = 0; i < out.used; ++i) {
        peers_.send(out.lanes[i].neighbour, std::move(out.lanes[i].batch));
    }
    if (!out.nic.empty()) nic_->send(std::move(out.nic));
    if (!out.stack.empty()) stack_->deliver(std::move(out.stack));
}

void Forwarder::sweep() {
    const TimePoint now = runtime_.now();
    flows_.sweep(*stack_, now);
    drops_.add(DropReason::first_fragment_missing, fragments_.sweep(now));
}

PeerId Forwarder::peer_of_flow(
    std::uint8_t protocol, const Endpoint& local, const Endpoint& remote
) {
    const Flow* flow = flows_.find({protocol, local, remote});
    return flow == nullptr ? PeerId{} : flow->peer;
}

}  // namespace selvage::dataplane
