// The calls behind `selvage status`, services, sessions, ping, connect and kill.
#include "node/selvage_api.h"

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "edge/relay.h"
#include "node/find_node.h"
#include "rpc/stream_session.h"
#include "rpc/typed.h"
#include "rt/with_timeout.h"
#include "selvage_api.pb.h"

namespace selvage::node {
namespace {

namespace api = ::selvage::api;

constexpr Duration kDefaultLimit = std::chrono::seconds(10);
constexpr Duration kLongestLimit = std::chrono::seconds(60);

Duration limit_of(std::uint32_t timeout_ms) {
    if (timeout_ms == 0) return kDefaultLimit;
    return std::min<Duration>(std::chrono::milliseconds(timeout_ms), kLongestLimit);
}

// The connection becomes a pipe to where it was asked to go.
class Pipe final : public rpc::Upgrade {
public:
    Pipe(rt::Runtime& runtime, rt::StreamPtr far) : runtime_(runtime), far_(std::move(far)) {}
    rt::Task<> run(rt::StreamPtr near) override {
        // Whoever waits for an answer can interrupt it.
        static_cast<void>(co_await edge::relay(runtime_, *near, *far_, Duration(0)));
    }

private:
    rt::Runtime& runtime_;
    rt::StreamPtr far_;
};

// Of one question; the answer has to come before the command line gives up.
constexpr std::size_t kAskedMax = 256;

std::string_view state_of(NodeOffers::Answer answer) {
    switch (answer) {
        case NodeOffers::Answer::told:
            return "told";
        case NodeOffers::Answer::does_not_say:
            return "does not say";
        case NodeOffers::Answer::malformed:
            return "malformed answer";
        case NodeOffers::Answer::no_answer:
            break;
    }
    return "no answer";
}

std::string state_of(const edge::ServiceInfo& service) {
    if (!service.enabled) return "off";
    if (!service.error.empty()) return service.error;
    return service.shadows_host ? "listening (hides a program of the host)" : "listening";
}

}  // namespace

rt::Task<Result<Bytes>> SelvageApi::call(rpc::Caller caller, std::uint32_t method, Bytes request) {
    switch (method) {
        case 1:
            co_return status();
        case 2:
            co_return list_services();
        case 3:
            co_return list_sessions();
        case 4:
            co_return co_await ping(std::move(request));
        case 5:
            co_return co_await open_stream(caller, std::move(request));
        case 7:
            co_return kill_session(request);
        case 8:
            co_return stats();
        case 20:
            co_return who_is(request);
        case 30:
            co_return list_forwards();
        case 31:
            co_return co_await list_offers(std::move(request));
        default:
            co_return Errc::unsupported;
    }
}

Bytes SelvageApi::status() const {
    const InstanceFacts facts = instance_.facts();
    api::StatusResponse out;
    out.set_instance_name(printable(facts.instance_name));
    out.set_network_name(printable(facts.network_name, 300));
    out.set_peer_id(facts.peer.raw());
    out.set_hostname(printable(facts.host_name));
    out.set_version(facts.version);
    if (facts.addresses.ipv4) out.set_ipv4(facts.addresses.ipv4->to_string());
    if (facts.addresses.ipv6) out.set_ipv6(facts.addresses.ipv6->to_string());
    out.set_device(facts.device);
    out.set_uptime_seconds(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(facts.uptime).count()
    ));
    for (const std::string& url : facts.listeners)
        out.add_listeners(url);
    out.set_longest_turn_us(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(instance_.longest_turn()).count()
    ));
    std::uint32_t neighbours = 0;
    PeerId last;
    for (const ConnFacts& conn : instance_.connections()) {
        if (conn.peer != last) ++neighbours;
        last = conn.peer;
    }
    out.set_neighbours(neighbours);
    const auto nodes = instance_.nodes();
    out.set_routes(static_cast<std::uint32_t>(std::ranges::count_if(
        nodes, [](const NodeFacts& node) { return node.least_hop.has_value(); }
    )));
    for (const CounterSample& sample : instance_.counters())
        (*out.mutable_counters())[sample.name()] = sample.value;
    return rpc::to_wire(out);
}

Bytes SelvageApi::stats() const {
    api::StatsResponse out;
    for (const CounterSample& sample : instance_.counters()) {
        api::Counter& row = *out.add_counters();
        row.set_name(sample.name());
        row.set_value(sample.value);
        row.set_kind(std::string(kind_name(sample.info->kind)));
        row.set_unit(std::string(sample.info->unit));
        row.set_description(std::string(sample.meaning()));
    }
    return rpc::to_wire(out);
}

Bytes SelvageApi::list_services() const {
    api::ListServicesResponse out;
    for (const edge::ServiceInfo& service : instance_.services()) {
        api::Service& row = *out.add_services();
        row.set_name(service.name);
        row.set_summary(service.summary);
        row.set_enabled(service.enabled);
        row.set_port(service.port);
        for (const std::string& rule : service.allow)
            row.add_allow(printable(rule));
        if (service.listen_host) row.set_listen_host(service.listen_host->to_string());
        row.set_sessions(static_cast<std::uint32_t>(service.sessions));
        const edge::ServiceCounters& counters = service.counters;
        row.set_accepted(counters.accepted);
        row.set_refused(
            counters.refused_unknown + counters.refused_not_allowed + counters.refused_limit
        );
        row.set_state(state_of(service));
        row.set_advertise(service.advertise);
    }
    return rpc::to_wire(out);
}

Bytes SelvageApi::list_forwards() const {
    api::ListForwardsResponse out;
    for (const edge::ForwardInfo& forward : instance_.forwards()) {
        const edge::ForwardOptions& options = forward.options;
        const bool mesh = options.from == edge::Origin::mesh;
        api::Forward& row = *out.add_forwards();
        row.set_from(mesh ? "mesh" : "host");
        row.set_proto(options.udp ? "udp" : "tcp");
        row.set_listen(mesh ? std::to_string(options.listen.port) : options.listen.to_string());
        row.set_to(printable(options.to.to_string()));
        for (const edge::AllowRule& rule : options.allow.rules())
            row.add_allow(printable(edge::to_text(rule)));
        if (options.open_to_all) row.add_allow("everybody");
        row.set_live(forward.live);
        row.set_accepted(forward.accepted);
        row.set_refused(forward.refused);
        row.set_failed(forward.failed);
        row.set_state(forward.error.empty() ? "listening" : forward.error);
    }
    return rpc::to_wire(out);
}

Bytes SelvageApi::list_sessions() const {
    const WallTime now = instance_.wall_now();
    api::ListSessionsResponse out;
    for (const edge::SessionInfo& session : instance_.sessions()) {
        api::Session& row = *out.add_sessions();
        row.set_id(session.id.raw());
        row.set_service(session.service);
        row.set_peer_id(session.caller.peer.raw());
        row.set_peer_name(printable(session.caller.host_name));
        row.set_remote(session.caller.address.to_string());
        row.set_seconds(static_cast<std::uint64_t>(std::max<std::int64_t>(
            0, std::chrono::duration_cast<std::chrono::seconds>(now - session.since).count()
        )));
        row.set_rx_bytes(session.bytes_in);
        row.set_tx_bytes(session.bytes_out);
        row.set_note(printable(session.note));
    }
    return rpc::to_wire(out);
}

rt::Task<Result<Bytes>> SelvageApi::ping(Bytes request) {
    auto message = rpc::from_wire<api::PingRequest>(request);
    if (!message) co_return message.error();
    auto node = find_node(instance_, message->target());
    if (!node) co_return node.error();
    if (!node->least_hop) {
        co_return Error(Errc::unreachable, "there is no route to it at the moment");
    }
    auto took = co_await instance_.ping(node->peer, limit_of(message->timeout_ms()));
    if (!took) co_return took.error();
    api::PingResponse out;
    out.set_peer_id(node->peer.raw());
    out.set_peer_name(printable(node->host_name));
    out.set_hops(node->least_hop->hops);
    out.set_next_hop_peer_id(node->least_hop->next_hop.raw());
    out.set_round_trip_us(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(*took).count()
    ));
    co_return rpc::to_wire(out);
}

rt::Task<Result<Bytes>> SelvageApi::list_offers(Bytes request) {
    auto message = rpc::from_wire<api::ListOffersRequest>(request);
    if (!message) co_return message.error();
    std::vector<NodeFacts> members;
    if (message->target().empty()) {
        members = instance_.nodes();
        std::erase_if(members, [](const NodeFacts& node) { return !node.least_hop; });
    } else {
        auto node = find_node(instance_, message->target());
        if (!node) co_return node.error();
        if (!node->least_hop) {
            co_return Error(Errc::unreachable, "there is no route to it at the moment");
        }
        members.push_back(std::move(*node));
    }
    api::ListOffersResponse out;
    if (members.size() > kAskedMax) {
        out.set_not_asked(static_cast<std::uint32_t>(members.size() - kAskedMax));
        members.resize(kAskedMax);
    }
    std::vector<PeerId> ids;
    for (const NodeFacts& node : members)
        ids.push_back(node.peer);
    const std::vector<NodeOffers> answers = co_await instance_.ask_offers(std::move(ids));
    for (std::size_t i = 0; i < answers.size(); ++i) {
        const NodeFacts& node = members[i];
        api::NodeOffers& row = *out.add_nodes();
        row.set_peer_id(node.peer.raw());
        row.set_peer_name(printable(node.host_name));
        if (node.ipv4) {
            row.set_address(node.ipv4->address.to_string());
        } else if (node.ipv6) {
            row.set_address(node.ipv6->address.to_string());
        }
        row.set_state(std::string(state_of(answers[i].answer)));
        for (const Offer& offer : answers[i].offers) {
            api::Offer& told = *row.add_offers();
            told.set_service(offer.service);
            told.set_port(offer.port);
            told.set_protocol(offer.protocol);
        }
    }
    co_return rpc::to_wire(out);
}

rt::Task<Result<rt::StreamPtr>> SelvageApi::dial(std::string target) {
    const auto colon = target.rfind(':');
    if (colon == std::string::npos) co_return Error(Errc::bad_argument, "HOST:PORT is meant");
    std::uint16_t port = 0;
    const char* last = target.data() + target.size();
    const auto [end, failed] = std::from_chars(target.data() + colon + 1, last, port);
    if (failed != std::errc{} || end != last || port == 0) {
        co_return Error(Errc::bad_argument, "the port is a number from 1 to 65535");
    }
    std::string host = target.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    std::vector<IpAddress> addresses;
    if (auto address = IpAddress::parse(host)) {
        addresses.push_back(*address);
    } else {
        auto found = co_await instance_.resolve(host);
        if (!found) co_return std::move(found).error().with(printable(host, 64));
        addresses = std::move(*found);
    }
    for (const IpAddress& address : addresses) {
        if (instance_.in_mesh(address)) co_return co_await instance_.dial_mesh({address, port});
    }
    co_return Error(Errc::unreachable, fmt::format("{} is not in the mesh", printable(host, 64)));
}

rt::Task<Result<Bytes>> SelvageApi::open_stream(rpc::Caller caller, Bytes request) {
    auto message = rpc::from_wire<api::OpenStreamRequest>(request);
    if (!message) co_return message.error();
    if (caller.session == nullptr) co_return Errc::unsupported;  // not over the mesh
    auto far = co_await rt::with_timeout(
        runtime_, limit_of(message->timeout_ms()), dial(message->target())
    );
    if (!far) co_return far.error();
    api::OpenStreamResponse out;
    out.set_local((*far)->local().to_string());
    out.set_remote((*far)->remote().to_string());
    caller.session->upgrade(std::make_unique<Pipe>(runtime_, std::move(*far)));
    co_return rpc::to_wire(out);
}

Result<Bytes> SelvageApi::kill_session(ByteView request) {
    auto message = rpc::from_wire<api::KillSessionRequest>(request);
    if (!message) return message.error();
    if (!instance_.kill_session(edge::SessionId(message->id()))) {
        return Error(Errc::not_found, fmt::format("there is no session {}", message->id()));
    }
    return Bytes{};
}

namespace {

// How the address belongs to the node; nothing when it does not. The longer prefix knows better.
std::optional<std::pair<int, std::string>> relation_of(
    const NodeFacts& node, const IpAddress& address
) {
    if ((node.ipv4 && node.ipv4->address == address) ||
        (node.ipv6 && node.ipv6->address == address)) {
        return std::pair(256, std::string("its address"));
    }
    std::optional<std::pair<int, std::string>> best;
    for (const Prefix& subnet : node.proxy_cidrs) {
        if (!subnet.contains(address) || (best && best->first >= subnet.length)) continue;
        best = std::pair(int{subnet.length}, fmt::format("in its subnet {}", subnet.to_string()));
    }
    return best;
}

void describe_member(const NodeFacts& node, const InstanceFacts& self, api::WhoIsResponse& out) {
    out.set_peer_id(node.peer.raw());
    if (node.instance) out.set_instance_id(node.instance->to_string());
    out.set_peer_name(printable(node.host_name));
    out.set_network(printable(self.network_name, 300));
    if (node.ipv4) {
        out.set_virtual_address(node.ipv4->address.to_string());
    } else if (node.ipv6) {
        out.set_virtual_address(node.ipv6->address.to_string());
    }
    out.set_auth(std::string(edge::to_text(self.auth)));
    if (!node.least_hop) return;
    const bool direct = node.least_hop->next_hop == node.peer;
    out.set_path(
        std::string(edge::to_text(direct ? edge::PathKind::direct : edge::PathKind::relayed))
    );
    out.set_hops(node.least_hop->hops);
    out.set_next_hop_peer_id(node.least_hop->next_hop.raw());
}

}  // namespace

Result<Bytes> SelvageApi::who_is(ByteView request) const {
    auto message = rpc::from_wire<api::WhoIsRequest>(request);
    if (!message) return message.error();
    Endpoint target;
    if (auto endpoint = Endpoint::parse(message->target())) {
        target = *endpoint;
    } else if (auto address = IpAddress::parse(message->target())) {
        target = {*address, 0};
    } else {
        return Error(Errc::bad_argument, "an address or ADDRESS:PORT is meant");
    }
    api::WhoIsResponse out;
    PeerId peer;
    for (const edge::SessionInfo& session : instance_.sessions()) {
        const Endpoint& from = session.caller.address;
        if (from.address.unmapped() != target.address) continue;
        if (target.port != 0 && from.port != target.port) continue;
        out.add_sessions(session.id.raw());
        peer = session.caller.peer;
    }
    // Who carries the packets of a live session is known for certain; else routes tell.
    std::optional<std::pair<int, NodeFacts>> best;
    for (NodeFacts& node : instance_.nodes()) {
        auto relation = relation_of(node, target.address);
        if (peer && node.peer != peer) continue;
        if (!relation && !peer) continue;
        if (!relation) relation = std::pair(0, std::string("sends from it"));
        if (best && best->first >= relation->first) continue;
        out.set_relation(relation->second);
        best = std::pair(relation->first, std::move(node));
    }
    if (!best) {
        return Error(Errc::not_found, fmt::format("no member has {}", target.address));
    }
    describe_member(best->second, instance_.facts(), out);
    return rpc::to_wire(out);
}

}  // namespace selvage::node
