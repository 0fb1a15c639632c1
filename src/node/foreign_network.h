// ForeignNetwork: one network that we host as a shared server and do not belong to. It has a peer
// id of its own there, its own neighbours, route service, peer center and RPC, and carries what its
// members send each other without being able to read it.
// Source: protocol document 2-control.md, section 6.
#pragma once

#include <functional>
#include <map>

#include "dataplane/foreign_forwarder.h"
#include "dataplane/forwarder.h"
#include "node/environment.h"
#include "peer/peer_table.h"
#include "route/route_service.h"
#include "rpc/endpoint.h"
#include "rt/scope.h"

namespace selvage::node {

struct ForeignNetworkOptions {
    PeerId self;  // drawn for this network
    std::string name;
    crypto::NetworkDigest digest{};  // the first client's; all others must show the same
    Uuid instance;
    std::string host_name;
    bool relays_data = true;    // the whitelist names this network
    bool avoids_relay = false;  // we would rather not carry data at all
    std::size_t clients_max = 256;
    std::optional<std::uint64_t> bytes_per_second;
};

class ForeignNetwork final : private peer::PeerEvents,
                             private rpc::PacketPort,
                             private dataplane::ForeignLink,
                             private dataplane::ControlSink {
public:
    // `own` is the pipeline of our own network, the way to other servers. `on_empty` is called when
    // the last client has gone. Everything by reference outlives it.
    ForeignNetwork(
        ForeignNetworkOptions options, const NodeEnvironment& environment,
        dataplane::Forwarder& own, dataplane::ForeignCounters& counters,
        dataplane::DropCounters& drops, std::function<void()> on_empty, Log log
    );
    ForeignNetwork(const ForeignNetwork&) = delete;
    ForeignNetwork& operator=(const ForeignNetwork&) = delete;
    ~ForeignNetwork() override;  // Precondition: stop() has finished, or start() was never called

    void start();
    // May be begun again when it was cancelled.
    rt::Task<> stop();

    // The connection of a client that showed the name and the digest.
    Result<> adopt(std::unique_ptr<peer::PeerConn>& conn) { return peers_.adopt(conn); }
    // A packet that another server unwrapped for us.
    void from_server(PeerId to, packet::PacketBuf&& inner) {
        forwarder_.from_server(to, std::move(inner));
    }
    // The other servers that host this network: their ids in it, and in our own network.
    void set_servers(std::map<PeerId, PeerId> servers);
    // Once a second: passes latencies on to routing.
    void keep_house();

    const ForeignNetworkOptions& options() const { return options_; }
    const peer::PeerTable& peers() const { return peers_; }
    const route::RouteService& routes() const { return routes_; }
    const rpc::RpcEndpoint& rpc() const { return rpc_; }
    bool is_empty() const { return clients_ == 0; }

private:
    void on_peer_up(PeerId peer) override;
    void on_peer_down(PeerId peer) override;
    void on_peer_packets(PeerId neighbour, packet::PacketBatch&& batch) override;
    void send(PeerId to, packet::PacketType type, packet::PacketBuf&& message) override;
    void on_rpc_packet(PeerId from, packet::PacketType type, ByteView payload) override;
    std::optional<dataplane::DropReason> send_wrapped(PeerId via, packet::PacketBuf&& wrapped)
        override;
    rt::Task<> follow_routes();

    ForeignNetworkOptions options_;
    dataplane::Forwarder& own_;
    std::function<void()> on_empty_;
    std::size_t clients_ = 0;
    std::map<PeerId, PeerId> servers_;  // bounded by what the route table holds
    peer::PeerTable peers_;
    rpc::ServiceTable services_;
    rpc::RpcEndpoint rpc_;
    route::RouteService routes_;
    dataplane::ForeignForwarder forwarder_;
    rt::TaskScope scope_;
};

}  // namespace selvage::node
