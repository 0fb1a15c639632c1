// What the services of edge ask for, answered by the parts of this node. Each class is one of
// edge's interfaces over one or two modules below; nothing is decided here.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/node_addresses.h"
#include "dataplane/forwarder.h"
#include "edge/node_view.h"
#include "edge/recording.h"
#include "edge/terminal.h"
#include "host/record_files.h"
#include "host/sockets.h"
#include "host/terminal.h"
#include "netstack/sockets/overlay_sockets.h"
#include "route/route_table.h"

namespace selvage::node {

class MeshView final : public edge::NodeView {
public:
    struct Facts {
        std::string network;
        // Whether packets that we accept prove that their sender has the network's secret.
        bool secret_proves_members = false;
        // Read at each question: they change while the node runs.
        std::function<NodeAddresses()> addresses;
        std::function<std::shared_ptr<const route::RouteTable>()> routes;
        std::function<std::vector<Endpoint>()> listeners;
        std::function<std::vector<IpAddress>()> host_addresses;
        std::function<bool(PeerId)> is_neighbour;
    };
    MeshView(Facts facts, dataplane::Forwarder& forwarder)
        : facts_(std::move(facts)), forwarder_(forwarder) {}

    std::optional<edge::MemberInfo> who_is(const Endpoint& remote, const Endpoint& local)
        const override;
    std::optional<edge::MemberInfo> member_at(const IpAddress& address) const override;
    std::vector<IpAddress> own_addresses() const override;
    std::vector<Endpoint> own_listeners() const override { return facts_.listeners(); }
    bool in_mesh(const IpAddress& address) const override;
    std::optional<edge::MemberInfo> member(PeerId peer) const;

private:
    Facts facts_;
    dataplane::Forwarder& forwarder_;
};

class ServiceDialer final : public edge::Dialer {
public:
    struct Parts {
        rt::Runtime& runtime;
        packet::PacketPool& pool;
        host::Sockets& sockets;
        netstack::OverlaySockets& overlay;
        std::function<std::shared_ptr<const route::RouteTable>()> routes;
    };
    explicit ServiceDialer(Parts parts) : parts_(std::move(parts)) {}

    rt::Task<Result<rt::StreamPtr>> dial_mesh(Endpoint to) override;
    rt::Task<Result<rt::StreamPtr>> dial_host(Endpoint to) override;
    Result<edge::DatagramSocketPtr> open_mesh_datagrams() override;
    Result<edge::DatagramSocketPtr> open_host_datagrams(const IpAddress& to) override;
    rt::Task<Result<std::vector<IpAddress>>> resolve(std::string name) override;

private:
    Parts parts_;
};

class MeshPublisher final : public edge::PortPublisher {
public:
    MeshPublisher(
        rt::Runtime& runtime, dataplane::ClaimTable& claims, netstack::OverlaySockets& overlay,
        bool has_address, std::function<bool(packet::IpProtocol, std::uint16_t)> host_listens
    )
        : runtime_(runtime),
          claims_(claims),
          overlay_(overlay),
          has_address_(has_address),
          host_listens_(std::move(host_listens)) {}
    Result<rt::AcceptorPtr> publish(edge::PortRequest request) override;
    Result<edge::DatagramSocketPtr> publish_datagrams(edge::PortRequest request) override;
    bool host_listens(std::uint16_t port) const override {
        return host_listens_(packet::IpProtocol::tcp, port);
    }

private:
    Result<> check(packet::IpProtocol protocol, edge::PortRequest request) const;

    rt::Runtime& runtime_;
    dataplane::ClaimTable& claims_;
    netstack::OverlaySockets& overlay_;
    bool has_address_;
    // Whether a program of the host waits at this port of our address; never without a device.
    std::function<bool(packet::IpProtocol, std::uint16_t)> host_listens_;
};

// Listens on the host, and knows where: callers of the proxy must not be led there.
class HostPorts final : public edge::HostListener {
public:
    using Places = std::multiset<Endpoint>;

    HostPorts(rt::Runtime& runtime, packet::PacketPool& pool, host::Sockets& sockets)
        : runtime_(runtime), pool_(pool), sockets_(sockets) {}
    Result<rt::AcceptorPtr> listen(Endpoint at) override;
    Result<edge::DatagramSocketPtr> listen_datagrams(Endpoint at) override;
    const Places& places() const { return *places_; }

private:
    // What listens may outlive us by a turn.
    std::shared_ptr<Places> places_ = std::make_shared<Places>();
    rt::Runtime& runtime_;
    packet::PacketPool& pool_;
    host::Sockets& sockets_;
};

class Recordings final : public edge::RecordingStore {
public:
    explicit Recordings(host::RecordFiles& files) : files_(files) {}
    rt::Task<Result<edge::OpenedRecording>> create(std::string folder, std::string name) override;

private:
    host::RecordFiles& files_;
};

class Shells final : public edge::TerminalSpawner {
public:
    explicit Shells(host::TerminalFactory& factory) : factory_(factory) {}
    rt::Task<Result<std::unique_ptr<edge::Terminal>>> open(edge::TerminalRequest request) override;

private:
    host::TerminalFactory& factory_;
};

}  // namespace selvage::node
