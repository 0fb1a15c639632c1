// Node: one instance of Selvage, built from all modules, started, stopped and asked how it is.
//
// Members stand in dependency order, so construction and destruction order are the declaration
// order; start() and stop() are in start.cc and read as a table of contents. Everything is used on
// one loop.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "config/options.h"
#include "connect/connectors.h"
#include "connect/listeners.h"
#include "dataplane/forwarder.h"
#include "dataplane/tun_port.h"
#include "edge/service_host.h"
#include "netstack/core/stack.h"
#include "netstack/sockets/overlay_sockets.h"
#include "node/automatic_address.h"
#include "node/environment.h"
#include "node/foreign_networks.h"
#include "node/forward_set.h"
#include "node/host_routes.h"
#include "node/own_addresses.h"
#include "node/reload.h"
#include "node/service_directory.h"
#include "node/service_ports.h"
#include "peer/peer_table.h"
#include "route/route_service.h"
#include "rpc/endpoint.h"
#include "rt/scope.h"

namespace selvage::node {

class NodeConsole;

class Node {
public:
    // Precondition: the options were checked by config. Does nothing yet.
    Node(config::NodeOptions options, NodeEnvironment environment);
    ~Node();  // Precondition: never started, or stop() has finished
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    // Binds, creates the device, takes the service ports and begins to dial. On an error what was
    // started is undone by stop(), which must be called in either case.
    rt::Task<Result<>> start();
    // The start backwards; services get two seconds' grace. Idempotent.
    rt::Task<> stop();
    // Takes what a running node can of newly read options; see reload.cc. On an error nothing has
    // changed. Precondition: started.
    Result<ReloadReport> reload(config::NodeOptions fresh);
    // Why the node cannot go on; empty while it can. See NodeEnvironment::on_failure.
    const std::optional<Error>& failure() const { return failure_; }

    PeerId id() const { return my_id_; }
    const Uuid& instance_id() const { return instance_id_; }
    const std::string& host_name() const { return host_name_; }
    const config::NodeOptions& options() const { return options_; }
    TimePoint started_at() const { return started_at_; }
    std::string device_name() const;      // of the TUN device; empty without one
    const host::Tun* tun_device() const;  // none without one
    const NodeAddresses& addresses() const { return addresses_.current(); }
    const HostRoutes& host_routes() const { return host_routes_; }

    peer::PeerTable& peers() { return peers_; }
    route::RouteService& routes() { return routes_; }
    rpc::RpcEndpoint& rpc() { return rpc_; }
    dataplane::Forwarder& forwarder() { return forwarder_; }
    netstack::Stack& stack() { return stack_; }
    netstack::OverlaySockets& overlay() { return overlay_; }
    edge::ServiceHost& services() { return services_; }
    edge::Dialer& dialer() { return dialer_; }
    const edge::NodeView& view() const { return view_; }
    connect::Connectors& connectors() { return connectors_; }
    connect::Listeners& listeners() { return listeners_; }
    ForeignNetworks& foreign_networks() { return foreign_; }
    const ForwardSet& forwards() const { return forwards_; }
    ServiceDirectory& directory() { return directory_; }

    // Who may send what, from now on: what passes is asked anew, live flows included.
    void apply_acl(const dataplane::AclRules& rules);

private:
    // Join modules that do not know each other.
    class PeerPlumbing;
    class RpcPlumbing;
    class StackPlumbing;

    netstack::StackOptions stack_options();
    MeshView::Facts mesh_facts();
    std::vector<Offer> offers_to(PeerId member) const;
    Result<> open_device();
    rt::Task<> follow_routes();
    rt::Task<> keep_house();
    rt::Task<> choose_address();
    // The kernel's routes, and a warning about others with our addresses.
    void look_at_routes();
    // Whether neighbours who have an address that another node claims as well now are still there.
    void check_contested(const route::RouteTable& before, const route::RouteTable& now);
    std::vector<Endpoint> own_listeners();
    // Whether a program of the host waits at this port of our address: with a device only.
    bool host_listens(packet::IpProtocol protocol, std::uint16_t port) const;
    bool refuse_underlay(const IpAddress& remote) const;
    void on_device_lost(const Error& reason);
    void rename();

    config::NodeOptions options_;
    NodeEnvironment environment_;
    Log log_;
    PeerId my_id_;
    Uuid instance_id_;
    std::string host_name_;
    TimePoint started_at_{};
    bool started_ = false;
    std::uint64_t routes_seen_ = 0;  // the table that look_at_routes() saw
    std::set<PeerId> rivals_;        // who have an address of ours
    std::optional<Error> failure_;

    std::unique_ptr<PeerPlumbing> peer_plumbing_;
    peer::PeerTable peers_;
    dataplane::Forwarder forwarder_;
    std::unique_ptr<RpcPlumbing> rpc_plumbing_;
    rpc::ServiceTable rpc_services_;
    rpc::RpcEndpoint rpc_;
    route::RouteService routes_;
    ForeignNetworks foreign_;
    netstack::Stack stack_;
    std::unique_ptr<StackPlumbing> stack_plumbing_;
    netstack::OverlaySockets overlay_;
    OwnAddresses addresses_;
    HostRoutes host_routes_;
    AutomaticAddress automatic_;
    dataplane::NullPort null_port_;
    std::unique_ptr<dataplane::TunPort> tun_port_;

    connect::ConnectOptions connect_options_;
    tunnel::TransportContext transports_;
    connect::Listeners listeners_;
    connect::Connectors connectors_;

    MeshView view_;
    ServiceDialer dialer_;
    MeshPublisher publisher_;
    HostPorts host_ports_;
    std::optional<Shells> shells_;
    std::optional<Recordings> recordings_;
    std::unique_ptr<NodeConsole> console_;
    edge::ServiceHost services_;
    ForwardSet forwards_;
    ServiceDirectory directory_;
    rt::TaskScope scope_;
};

}  // namespace selvage::node
