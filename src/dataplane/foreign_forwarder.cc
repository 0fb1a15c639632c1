// Deciding about packets of a hosted network.
#include "dataplane/foreign_forwarder.h"

#include "dataplane/relay_checks.h"
#include "packet/foreign_packet.h"

namespace selvage::dataplane {

using packet::PacketBatch;
using packet::PacketBuf;
using packet::PacketType;
using packet::PeerHeader;

ForeignForwarder::ForeignForwarder(
    ForeignOptions options, rt::Runtime& runtime, packet::PacketPool& pool, peer::PeerTable& peers,
    ForeignLink& link, ControlSink& control, ForeignCounters& counters, DropCounters& drops
)
    : options_(std::move(options)),
      runtime_(runtime),
      pool_(pool),
      peers_(peers),
      link_(link),
      control_(control),
      counters_(counters),
      drops_(drops),
      routes_(std::make_shared<const route::RouteTable>()) {
    if (options_.bytes_per_second) budget_.emplace(*options_.bytes_per_second, runtime_.now());
}

void ForeignForwarder::from_peers(PacketBatch&& batch) {
    Run run{.neighbour = {}, .batch = PacketBatch(batch.now())};
    for (PacketBuf& packet : batch) {
        if (const auto drop = on_packet(packet, Wrap::yes, run)) drops_.add(*drop);
    }
    flush(run);
}

void ForeignForwarder::from_server(PeerId to, PacketBuf&& packet) {
    Run run{.neighbour = {}, .batch = PacketBatch(runtime_.now())};
    PacketBuf inner = std::move(packet);
    ++counters_.unwrapped_packets;
    const auto* header = inner.header<PeerHeader>();
    // The client's connection would take these for its own neighbour's.
    const bool stray =
        header == nullptr || header->to() != to || belongs_to_a_connection(header->packet_type());
    const auto drop =
        stray ? std::optional(DropReason::malformed_inner) : on_packet(inner, Wrap::no, run);
    if (drop) drops_.add(*drop);
    flush(run);
}

std::optional<DropReason> ForeignForwarder::on_packet(PacketBuf& packet, Wrap wrap, Run& run) {
    const auto* header = packet.header<PeerHeader>();
    if (header == nullptr) return DropReason::malformed_header;
    if (header->packet_type() == PacketType::foreign_network &&
        !packet::parse_foreign_packet(packet.bytes().subspan(sizeof(PeerHeader)))) {
        return DropReason::malformed_foreign;
    }
    if (header->to() == options_.my_id) return deliver(packet);
    if (would_harm_stock_node(packet)) return DropReason::malformed_inner;
    if (is_relay_data(packet)) {
        if (const auto drop = check_data(packet, run.batch.now())) return drop;
    }
    return emit(packet, header->to(), wrap, run);
}

std::optional<DropReason> ForeignForwarder::deliver(const PacketBuf& packet) {
    const auto* header = packet.header<PeerHeader>();
    const PacketType type = header->packet_type();
    if (type != PacketType::rpc_request && type != PacketType::rpc_response) {
        return DropReason::unknown_type;
    }
    // A server has no key of the network, and its members know that.
    if (header->has(packet::flag::kEncrypted)) return DropReason::bad_seal;
    if (header->has(packet::flag::kCompressed)) return DropReason::bad_compression;
    ++counters_.rpc_rx_packets;
    control_.on_rpc_packet(header->from(), type, packet.bytes().subspan(sizeof(PeerHeader)));
    return std::nullopt;
}

std::optional<DropReason> ForeignForwarder::check_data(const PacketBuf& packet, TimePoint now) {
    if (!options_.relays_data) return DropReason::relay_disabled;
    if (budget_ && !budget_->take(packet.size() - sizeof(PeerHeader), now)) {
        return DropReason::relay_rate;
    }
    return std::nullopt;
}

std::optional<DropReason> ForeignForwarder::emit(
    PacketBuf& packet, PeerId to, Wrap wrap, Run& run
) {
    std::optional<PeerId> hop = to;
    if (!peers_.has(to)) hop = routes_->next_hop(to, route::Policy::least_hop);
    if (hop && peers_.has(*hop)) {
        if (run.neighbour != *hop || run.batch.full()) flush(run);
        run.neighbour = *hop;
        ++counters_.forwarded_packets;
        counters_.forwarded_bytes += packet.size();
        run.batch.push(std::move(packet));
        return std::nullopt;
    }
    if (wrap == Wrap::no) return DropReason::no_next_hop;
    PacketBuf wrapped =
        packet::wrap_foreign_packet(pool_, to, options_.network_name, std::move(packet));
    if (!wrapped) return DropReason::no_buffer;
    if (const auto drop = link_.send_wrapped(hop.value_or(to), std::move(wrapped))) return drop;
    ++counters_.wrapped_packets;
    return std::nullopt;
}

void ForeignForwarder::flush(Run& run) {
    if (run.batch.empty()) return;
    peers_.send(run.neighbour, std::exchange(run.batch, PacketBatch(run.batch.now())));
}

void ForeignForwarder::send_rpc(PeerId to, PacketType type, PacketBuf&& message) {
    Run run{.neighbour = {}, .batch = PacketBatch(runtime_.now())};
    PacketBuf packet = std::move(message);
    const auto size = static_cast<std::uint32_t>(packet.size());
    auto* header = packet.push_front<PeerHeader>();
    header->from_peer = options_.my_id.raw();
    header->to_peer = to.raw();
    header->type = static_cast<std::uint8_t>(type);
    header->payload_len = size;  // and hops 1: a server's calls do not pass its own receive loop
    ++counters_.rpc_tx_packets;
    if (const auto drop = emit(packet, to, Wrap::yes, run)) drops_.add(*drop);
    flush(run);
}

}  // namespace selvage::dataplane
