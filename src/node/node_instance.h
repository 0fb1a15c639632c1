// A running Node as the management channel sees it.
#pragma once

#include "node/instance_view.h"
#include "node/node.h"

namespace selvage::node {

class NodeInstance final : public InstanceView {
public:
    // All outlive it.
    NodeInstance(rt::Runtime& runtime, Node& node, ProcessControl& process)
        : runtime_(runtime), node_(node), process_(process) {}

    InstanceFacts facts() const override;
    std::vector<ConnFacts> connections() const override;
    std::vector<NodeFacts> nodes() const override;
    std::vector<HostedNetworkFacts> hosted_networks() const override;
    std::vector<AnnouncedNetworkFacts> announced_networks() const override;
    std::vector<connect::ConnectorStatus> connectors() const override {
        return node_.connectors().status();
    }
    std::vector<edge::ServiceInfo> services() const override { return node_.services().services(); }
    std::vector<edge::ForwardInfo> forwards() const override { return node_.forwards().list(); }
    std::vector<edge::SessionInfo> sessions() const override { return node_.services().sessions(); }
    bool kill_session(edge::SessionId id) override { return node_.services().kill(id); }
    Result<edge::TokenStore::Issued> issue_token(std::string service, Duration lives) override {
        return node_.services().issue_token(service, lives);
    }
    std::vector<edge::TokenStore::Waiting> tokens() override { return node_.services().tokens(); }
    bool revoke_token(std::uint64_t number) override {
        return node_.services().revoke_token(number);
    }
    const dataplane::Acl& acl() const override { return node_.forwarder().acl(); }
    TimePoint now() const override { return runtime_.now(); }
    dataplane::Taps& taps() override { return node_.forwarder().taps(); }
    std::vector<dataplane::DropSample> drop_samples() const override {
        return node_.forwarder().drop_log().samples();
    }
    std::vector<CounterSample> counters() const override { return collect_counters(node_); }
    rt::Task<Result<Duration>> ping(PeerId peer, Duration limit) override;
    rt::Task<std::vector<NodeOffers>> ask_offers(std::vector<PeerId> members) override {
        return node_.directory().ask_all(std::move(members));
    }
    rt::Task<Result<rt::StreamPtr>> dial_mesh(Endpoint to) override {
        return node_.dialer().dial_mesh(to);
    }
    rt::Task<Result<std::vector<IpAddress>>> resolve(std::string name) override {
        return node_.dialer().resolve(std::move(name));
    }
    bool in_mesh(const IpAddress& address) const override { return node_.view().in_mesh(address); }
    WallTime wall_now() const override { return runtime_.wall_now(); }
    rt::Task<Result<ReloadReport>> reload() override {
        return process_.reload(node_.options().instance_name);
    }
    Result<> add_connector(const tunnel::Url& url) override { return node_.connectors().add(url); }
    bool remove_connector(const tunnel::Url& url) override {
        return node_.connectors().remove(url);
    }
    RouteExplanation explain_route(const IpAddress& address) const override;
    LogLevels& log_levels() override { return process_.log_levels(); }
    Duration longest_turn() const override { return process_.longest_turn(); }

private:
    rt::Runtime& runtime_;
    Node& node_;
    ProcessControl& process_;
};

}  // namespace selvage::node
