// What the management channel may know of an instance and ask of it. The node implements it (see
// node_instance.h); tests fake it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "base/node_addresses.h"
#include "base/time.h"
#include "base/uuid.h"
#include "connect/connectors.h"
#include "dataplane/acl.h"
#include "dataplane/drop_log.h"
#include "dataplane/tap.h"
#include "edge/forward.h"
#include "edge/service_host.h"
#include "node/counters.h"
#include "node/reload.h"
#include "node/route_explanation.h"
#include "node/service_offers.h"
#include "rt/stream.h"
#include "rt/task.h"

namespace selvage::node {

struct InstanceFacts {
    std::string instance_name;
    Uuid instance_id;
    std::string network_name;
    PeerId peer;
    std::string host_name;
    std::string version;
    NodeAddresses addresses;
    std::string device;
    Duration uptime{0};
    std::vector<std::string> listeners;
    std::vector<IpAddress> host_addresses;
    std::string config;                            // without secrets
    edge::AuthLevel auth = edge::AuthLevel::none;  // what vouches for members
};

// A connection to a neighbour.
struct ConnFacts {
    ConnId id;
    PeerId peer;
    std::string host_name;
    std::string network_name;
    std::string tunnel;  // scheme
    std::string local;
    std::string remote;
    std::string resolved_remote;
    bool is_client = false;
    std::optional<Duration> latency;
    double loss_rate = 0;
    std::uint64_t rx_bytes = 0;
    std::uint64_t tx_bytes = 0;
    std::uint64_t rx_packets = 0;
    std::uint64_t tx_packets = 0;
    Duration age{0};
    std::string cipher;         // of the packets of its network
    std::uint64_t dropped = 0;  // by its tunnel
};

// Another node of the network, as routing knows it. Its texts are its own: untrusted.
struct NodeFacts {
    struct Way {
        PeerId next_hop;
        std::uint32_t hops = 0;
        std::uint32_t latency_ms = 0;
    };
    PeerId peer;
    std::optional<Uuid> instance;
    std::string host_name;
    std::string version;
    std::optional<Prefix> ipv4;
    std::optional<Prefix> ipv6;
    std::vector<Prefix> proxy_cidrs;
    std::uint8_t udp_nat_type = 0;
    std::uint8_t tcp_nat_type = 0;
    std::optional<Way> least_hop;
    std::optional<Way> least_cost;
};

// A network that we host as a shared server.
struct HostedNetworkFacts {
    std::string name;
    PeerId self_there;
    Bytes secret_digest;
    std::vector<ConnFacts> connections;  // of its members, by peer, then by age
};

// A network that a server of our own network hosts, ourselves included, as it announced it.
struct AnnouncedNetworkFacts {
    PeerId server;
    std::string name;
    std::vector<PeerId> members;
    std::int64_t updated_seconds = 0;  // since 1970, by the server's clock
    std::int32_t updated_nanos = 0;
    std::uint32_t version = 0;
};

class InstanceView {
public:
    virtual ~InstanceView() = default;
    virtual InstanceFacts facts() const = 0;
    virtual std::vector<ConnFacts> connections() const = 0;               // by peer, then by age
    virtual std::vector<NodeFacts> nodes() const = 0;                     // without ourselves
    virtual std::vector<HostedNetworkFacts> hosted_networks() const = 0;  // by name
    virtual std::vector<AnnouncedNetworkFacts> announced_networks() const = 0;  // by server, name
    virtual std::vector<connect::ConnectorStatus> connectors() const = 0;
    virtual std::vector<edge::ServiceInfo> services() const = 0;
    virtual std::vector<edge::ForwardInfo> forwards() const = 0;
    virtual std::vector<edge::SessionInfo> sessions() const = 0;
    virtual bool kill_session(edge::SessionId id) = 0;
    // See edge::ServiceHost::issue_token.
    virtual Result<edge::TokenStore::Issued> issue_token(std::string service, Duration lives) = 0;
    virtual std::vector<edge::TokenStore::Waiting> tokens() = 0;
    virtual bool revoke_token(std::uint64_t number) = 0;
    // The rules in force, with what they have counted. Valid until they change.
    virtual const dataplane::Acl& acl() const = 0;
    virtual TimePoint now() const = 0;
    // Where the packets that pass can be watched.
    virtual dataplane::Taps& taps() = 0;
    // The last packets of each reason to drop.
    virtual std::vector<dataplane::DropSample> drop_samples() const = 0;
    // Everything that is counted, in the order of the table in counters.cc.
    virtual std::vector<CounterSample> counters() const = 0;
    // The time of a question and its answer through the mesh.
    virtual rt::Task<Result<Duration>> ping(PeerId peer, Duration limit) = 0;
    // What members offer us, in the order of the question; see ServiceDirectory.
    virtual rt::Task<std::vector<NodeOffers>> ask_offers(std::vector<PeerId> members) = 0;
    // A TCP connection into the mesh, from our virtual address.
    virtual rt::Task<Result<rt::StreamPtr>> dial_mesh(Endpoint to) = 0;
    virtual rt::Task<Result<std::vector<IpAddress>>> resolve(std::string name) = 0;
    virtual bool in_mesh(const IpAddress& address) const = 0;
    virtual WallTime wall_now() const = 0;

    // What an operator changes while it runs.
    virtual rt::Task<Result<ReloadReport>> reload() = 0;
    virtual Result<> add_connector(const tunnel::Url& url) = 0;
    virtual bool remove_connector(const tunnel::Url& url) = 0;
    virtual RouteExplanation explain_route(const IpAddress& address) const = 0;
    virtual LogLevels& log_levels() = 0;
    // The longest turn of the loop so far: how long packets and timers ever waited for others.
    virtual Duration longest_turn() const = 0;
};

}  // namespace selvage::node
