// Putting one hosted network together.
#include "node/foreign_network.h"

namespace selvage::node {
namespace {

// A client's further connections are refused, as stock servers do.
constexpr std::size_t kConnsPerClient = 3;

// A stranger's network must not cost what our own may: its members can be made up, and there are
// many such networks. Records of 2 KiB for every member are ample.
constexpr std::size_t kMembersMax = 512;
constexpr std::size_t kRecordsBytes = 1024 * 1024;
constexpr std::size_t kEdges = 16 * 1024;
constexpr std::size_t kMessageBytes = 1024 * 1024;

peer::PeerOptions peer_options(const ForeignNetworkOptions& options) {
    return {
        .my_id = options.self,
        .network_name = options.name,
        .network_digest = options.digest,
        .peers_max = options.clients_max,
        .conns_per_peer_max = kConnsPerClient
    };
}

rpc::RpcOptions rpc_options() {
    rpc::RpcOptions out;
    out.message_bytes_limit = kMessageBytes;
    out.partial_messages_total = 64;
    out.partial_bytes_total = kMessageBytes;
    out.requests_total = 64;
    out.calls_total = kMembersMax;
    out.peers_remembered = kMembersMax;
    return out;
}

route::RouteOptions route_options(const ForeignNetworkOptions& options) {
    route::RouteOptions out;
    out.self = options.self;
    out.network_name = options.name;
    out.own.hostname = "PublicServer_" + options.host_name;
    out.own.instance = options.instance;
    out.own.relays_data = options.relays_data && !options.avoids_relay;
    out.own.public_server = true;
    out.peers_limit = kMembersMax;
    out.records_bytes_total = kRecordsBytes;
    out.edges_total = kEdges;
    out.center_edges_limit = kEdges;
    out.foreign_limit = 0;  // networks are hosted by members of ours only
    return out;
}

}  // namespace

ForeignNetwork::ForeignNetwork(
    ForeignNetworkOptions options, const NodeEnvironment& environment, dataplane::Forwarder& own,
    dataplane::ForeignCounters& counters, dataplane::DropCounters& drops,
    std::function<void()> on_empty, Log log
)
    : options_(std::move(options)),
      own_(own),
      on_empty_(std::move(on_empty)),
      peers_(
          peer_options(options_), environment.runtime, environment.pool, *this, log.child("peer")
      ),
      rpc_(
          environment.runtime, environment.pool, *this, services_, options_.self, rpc_options(),
          log.child("rpc")
      ),
      routes_(environment.runtime, rpc_, services_, route_options(options_), log.child("route")),
      forwarder_(
          {.my_id = options_.self,
           .network_name = options_.name,
           .relays_data = options_.relays_data && !options_.avoids_relay,
           .bytes_per_second = options_.bytes_per_second},
          environment.runtime, environment.pool, peers_, *this, *this, counters, drops
      ),
      scope_(environment.runtime, log) {}

ForeignNetwork::~ForeignNetwork() = default;

void ForeignNetwork::start() {
    routes_.start();
    scope_.spawn("follow routes", follow_routes());
}

rt::Task<> ForeignNetwork::stop() {
    co_await scope_.close();
    co_await routes_.stop();
    co_await rpc_.close();
    co_await peers_.close();
}

rt::Task<> ForeignNetwork::follow_routes() {
    for (;;) {
        forwarder_.set_routes(routes_.table());
        co_await routes_.changed().wait();
    }
}

void ForeignNetwork::set_servers(std::map<PeerId, PeerId> servers) {
    servers.erase(options_.self);
    for (const auto& [there, server] : servers_) {
        if (!servers.contains(there) && !peers_.has(there)) routes_.neighbour_down(there);
    }
    for (const auto& [there, server] : servers) {
        if (servers_.contains(there) || peers_.has(there)) continue;
        routes_.neighbour_up(there, {.own_network = false});
    }
    servers_ = std::move(servers);
}

std::optional<dataplane::DropReason> ForeignNetwork::send_wrapped(
    PeerId via, packet::PacketBuf&& wrapped
) {
    const auto server = servers_.find(via);
    if (server == servers_.end()) return dataplane::DropReason::no_next_hop;
    return own_.send_foreign(options_.self, server->second, std::move(wrapped));
}

void ForeignNetwork::keep_house() {
    for (const PeerId neighbour : peers_.neighbours()) {
        if (const auto latency = peers_.latency(neighbour)) {
            routes_.neighbour_latency(neighbour, *latency);
        }
    }
}

void ForeignNetwork::on_peer_up(PeerId peer) {
    ++clients_;
    routes_.neighbour_up(peer, {});
}

void ForeignNetwork::on_peer_down(PeerId peer) {
    --clients_;
    routes_.neighbour_down(peer);
    if (clients_ == 0) on_empty_();
}

void ForeignNetwork::on_peer_packets(PeerId, packet::PacketBatch&& batch) {
    forwarder_.from_peers(std::move(batch));
}

void ForeignNetwork::send(PeerId to, packet::PacketType type, packet::PacketBuf&& message) {
    forwarder_.send_rpc(to, type, std::move(message));
}

void ForeignNetwork::on_rpc_packet(PeerId from, packet::PacketType type, ByteView payload) {
    rpc_.on_packet(from, type, payload);
}

}  // namespace selvage::node
