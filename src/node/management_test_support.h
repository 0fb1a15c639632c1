// The management channel over a stream in memory, with an instance made of plain facts.
#pragma once

#include "node/management.h"

#include <gtest/gtest.h>

#include "api_instance.pb.h"
#include "api_manage.pb.h"
#include "edge/test_fakes.h"
#include "rpc/stream_session.h"
#include "rpc/typed.h"
#include "selvage_api.pb.h"
#include "selvage_token.pb.h"
#include "selvage_watch.pb.h"

namespace selvage::node {

using edge::TestClient;
namespace api = ::api::instance;
namespace own = ::selvage::api;

class FakeInstance final : public InstanceView {
public:
    explicit FakeInstance(rt::VirtualRuntime& runtime) : runtime_(runtime) {
        facts_.instance_name = "home";
        facts_.instance_id = Uuid::parse("7b1f1a33-8a7e-4d39-9f53-1a2b3c4d5e6f").value();
        facts_.network_name = "meadow";
        facts_.peer = PeerId(1);
        facts_.host_name = "node\x01";
        facts_.version = "selvage-test";
        facts_.addresses.ipv4 = Prefix::parse("10.144.1.1/24").value();
        facts_.uptime = 90s;
        facts_.listeners = {"tcp://0.0.0.0:11010"};
        facts_.host_addresses = {IpAddress::v4(127, 0, 0, 1), IpAddress::v4(192, 168, 1, 5)};
        facts_.config = "hostname = \"node\"\n";
        conns_.push_back(
            {.id = ConnId(1),
             .peer = PeerId(7),
             .host_name = "laptop",
             .network_name = "meadow",
             .tunnel = "tcp",
             .remote = "tcp://10.0.0.7:11010",
             .is_client = true,
             .latency = 1500us,
             .loss_rate = 0.25,
             .rx_bytes = 10,
             .tx_bytes = 20}
        );
        conns_.push_back({.id = ConnId(2), .peer = PeerId(7), .tunnel = "udp"});
        nodes_.push_back(
            {.peer = PeerId(7),
             .host_name = "laptop",
             .version = "2.6.4",
             .ipv4 = Prefix::parse("10.144.1.7/24").value(),
             .udp_nat_type = 200,
             .least_hop = NodeFacts::Way{PeerId(7), 1, 0},
             .least_cost = NodeFacts::Way{PeerId(7), 1, 3}}
        );
        nodes_.push_back({.peer = PeerId(9), .host_name = "gone"});
    }
    InstanceFacts facts() const override { return facts_; }
    std::vector<ConnFacts> connections() const override { return conns_; }
    std::vector<NodeFacts> nodes() const override { return nodes_; }
    std::vector<HostedNetworkFacts> hosted_networks() const override {
        return {
            {.name = "village",
             .self_there = PeerId(70),
             .secret_digest = Bytes(32, 0xab),
             .connections =
                 {
                     {.id = ConnId(5),
                      .peer = PeerId(71),
                      .network_name = "village",
                      .tunnel = "udp"},
                     {.id = ConnId(6),
                      .peer = PeerId(71),
                      .network_name = "village",
                      .tunnel = "tcp"},
                 }}
        };
    }
    std::vector<AnnouncedNetworkFacts> announced_networks() const override {
        return {
            {.server = PeerId(1), .name = "village", .members = {PeerId(71)}, .version = 9},
            {.server = PeerId(7),
             .name = "hamlet\xff",
             .members = {PeerId(81), PeerId(82)},
             .updated_seconds = std::numeric_limits<std::int64_t>::max(),
             .updated_nanos = -1},
        };
    }
    std::vector<connect::ConnectorStatus> connectors() const override {
        return {
            {.url = "tcp://a:1", .state = connect::ConnectorState::connected, .last_error = ""},
            {.url = "tcp://b:1", .state = connect::ConnectorState::waiting, .last_error = ""}
        };
    }
    std::vector<edge::ForwardInfo> forwards() const override { return forwarded; }
    std::vector<edge::ServiceInfo> services() const override {
        edge::ServiceInfo proxy{
            .name = "proxy",
            .summary = "a proxy",
            .enabled = true,
            .port = 1080,
            .allow = {"laptop"}
        };
        proxy.counters.accepted = 3;
        proxy.counters.refused_not_allowed = 2;
        proxy.counters.refused_limit = 1;
        return {
            proxy, {.name = "echo", .port = 7}, {.name = "shell", .enabled = true, .error = "taken"}
        };
    }
    std::vector<edge::SessionInfo> sessions() const override {
        edge::SessionInfo session{.id = edge::SessionId(4), .service = "proxy", .bytes_in = 5};
        session.caller.peer = PeerId(7);
        session.caller.host_name = "laptop";
        session.since = runtime_.wall_now() - 30s;
        return {session};
    }
    bool kill_session(edge::SessionId id) override { return id == edge::SessionId(4); }
    Result<edge::TokenStore::Issued> issue_token(std::string service, Duration lives) override {
        return tokens_.issue(service, lives, runtime_.now());
    }
    std::vector<edge::TokenStore::Waiting> tokens() override {
        return tokens_.waiting(runtime_.now());
    }
    bool revoke_token(std::uint64_t number) override {
        return tokens_.revoke(number, runtime_.now());
    }
    std::vector<CounterSample> counters() const override {
        static constexpr CounterInfo kBytes{"traffic", "rx_bytes",     CounterKind::counter,
                                            "bytes",   "bytes for us", ""};
        static constexpr CounterInfo kDropped{
            "dropped", "", CounterKind::counter, "packets", "packets not delivered", "reason"
        };
        return {
            {.info = &kBytes, .value = 1},
            {.info = &kDropped, .value = 2, .label = "no_route", .description = "to nobody"},
            {.info = &kDropped, .value = 3, .label = "to_self"}
        };
    }
    rt::Task<Result<Duration>> ping(PeerId peer, Duration) override {
        if (peer != PeerId(7)) co_return Errc::timed_out;
        co_await rt::sleep_for(runtime_, 4ms);
        co_return 4ms;
    }
    rt::Task<std::vector<NodeOffers>> ask_offers(std::vector<PeerId> members) override {
        std::vector<NodeOffers> out;
        for (const PeerId peer : members) {
            NodeOffers& one = out.emplace_back();
            one.peer = peer;
            if (peer != PeerId(7)) continue;
            one.answer = NodeOffers::Answer::told;
            one.offers.push_back({.service = "proxy", .port = 1080, .protocol = "tcp"});
        }
        co_return out;
    }
    rt::Task<Result<rt::StreamPtr>> dial_mesh(Endpoint to) override {
        if (to.port == 81) co_return Errc::refused;
        if (to.port == 82) co_await rt::sleep_for(runtime_, 1h);
        auto [near, far] =
            rt::make_stream_pair(runtime_, {.first = {IpAddress(), 1}, .second = to});
        reached = std::make_unique<TestClient>(runtime_, std::move(far));
        co_return std::move(near);
    }
    rt::Task<Result<std::vector<IpAddress>>> resolve(std::string name) override {
        if (name == "laptop") co_return std::vector{IpAddress::v4(10, 144, 1, 7)};
        if (name == "outside") co_return std::vector{IpAddress::v4(93, 184, 216, 34)};
        co_return Errc::not_found;
    }
    bool in_mesh(const IpAddress& address) const override {
        return Prefix::parse("10.144.1.0/24").value().contains(address);
    }
    WallTime wall_now() const override { return runtime_.wall_now(); }
    rt::Task<Result<ReloadReport>> reload() override {
        co_await rt::yield(runtime_);
        if (reload_error) co_return *reload_error;
        co_return ReloadReport{
            .changes =
                {{"hostname", config::OnReload::applied}, {"ipv4", config::OnReload::restart}},
            .failures = {"service proxy: port 1080: in use"}
        };
    }
    Result<> add_connector(const tunnel::Url& url) override {
        connector_calls.push_back("add " + url.to_string());
        return {};
    }
    bool remove_connector(const tunnel::Url& url) override {
        connector_calls.push_back("remove " + url.to_string());
        return url.host != "unknown";
    }
    RouteExplanation explain_route(const IpAddress& address) const override {
        RouteExplanation out{.address = address, .reason = RouteReason::member_network};
        out.peer = PeerId(7);
        out.host_name = "laptop";
        out.network = Prefix::parse("192.168.7.0/24").value();
        out.least_hop = RouteExplanation::Way{PeerId(3), "relay", 2, 30};
        out.others.push_back({PeerId(9), "other", Prefix::parse("192.168.0.0/16").value(), "wider"}
        );
        return out;
    }
    LogLevels& log_levels() override { return levels; }
    Duration longest_turn() const override { return 1500us; }

    std::optional<Error> reload_error;
    std::vector<std::string> connector_calls;
    LogLevels levels{LogLevel::info};
    const dataplane::Acl& acl() const override { return rules; }
    TimePoint now() const override { return runtime_.now(); }
    dataplane::Taps& taps() override { return watched; }
    std::vector<dataplane::DropSample> drop_samples() const override { return drops; }

    std::vector<edge::ForwardInfo> forwarded;
    edge::ClientPtr reached;
    dataplane::Acl rules{SipKey{1, 2}};
    std::vector<dataplane::DropSample> drops;
    dataplane::Taps watched;

private:
    edge::TokenStore tokens_;
    rt::VirtualRuntime& runtime_;
    InstanceFacts facts_;
    std::vector<ConnFacts> conns_;
    std::vector<NodeFacts> nodes_;
};

// Listens in memory; unix sockets and TCP ports alike.
class FakeSockets final : public host::Sockets {
public:
    explicit FakeSockets(rt::VirtualRuntime& runtime) : ports(runtime) {}
    rt::Task<Result<rt::StreamPtr>> connect_tcp(Endpoint) override { co_return Errc::unsupported; }
    Result<rt::AcceptorPtr> listen_tcp(Endpoint local, host::TcpListenOptions) override {
        return ports.listen(local);
    }
    Result<host::UdpSocketPtr> open_udp(Endpoint, host::UdpOptions) override {
        return Errc::unsupported;
    }
    rt::Task<Result<std::vector<IpAddress>>> resolve(std::string) override {
        co_return Errc::not_found;
    }
    rt::Task<Result<rt::StreamPtr>> connect_unix(std::string) override {
        co_return Errc::unsupported;
    }
    Result<rt::AcceptorPtr> listen_unix(std::string path) override {
        unix_paths.push_back(path);
        return ports.listen({IpAddress(), static_cast<std::uint16_t>(unix_paths.size())});
    }
    edge::FakePorts ports;
    std::vector<std::string> unix_paths;
};

inline rt::Task<> run_client(rpc::StreamSession& session) {
    static_cast<void>(co_await session.run());
}

class ManagementTest : public testing::Test {
protected:
    void start(ManagementOptions options = {.socket_path = "/run/x.sock", .portal = {}}) {
        management_ = std::make_unique<Management>(
            runtime_, pool_, sockets_, instance_, std::move(options), Log(sink_)
        );
        EXPECT_TRUE(management_->start());
    }
    void open() {
        auto [near, far] = rt::make_stream_pair(runtime_);
        management_->serve(std::move(far));
        client_ = std::make_unique<rpc::StreamSession>(
            runtime_, pool_, std::move(near), none_, rpc::StreamSessionOptions{}, Log()
        );
        scope_.spawn("client", run_client(*client_));
    }
    void SetUp() override {
        start();
        open();
    }
    void TearDown() override {
        if (management_) runtime_.run(management_->stop());
        runtime_.run(scope_.close());
    }

    Result<Bytes> raw(std::string service, std::uint32_t method, Bytes request) {
        return runtime_.run(client_->endpoint().call(
            rpc::kSessionPeer,
            {.domain = "", .service = std::move(service), .method = method, .proto_name = {}},
            std::move(request), 30s
        ));
    }
    template <class Reply, class Request>
    Result<Reply> ask(std::string service, std::uint32_t method, const Request& request) {
        auto reply = raw(std::move(service), method, rpc::to_wire(request));
        if (!reply) return reply.error();
        return rpc::from_wire<Reply>(*reply);
    }

    rt::VirtualRuntime runtime_;
    packet::PacketPool pool_;
    std::shared_ptr<edge::CollectingSink> sink_ = std::make_shared<edge::CollectingSink>();
    FakeSockets sockets_{runtime_};
    FakeInstance instance_{runtime_};
    rpc::ServiceTable none_;
    std::unique_ptr<Management> management_;
    std::unique_ptr<rpc::StreamSession> client_;
    rt::TaskScope scope_{runtime_, Log()};
};

}  // namespace selvage::node
