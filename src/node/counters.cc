// The table of counters, and where each value is read.
#include "node/counters.h"

#include <fmt/format.h>

#include "node/node.h"

namespace selvage::node {
namespace {

constexpr auto kCounter = CounterKind::counter;
constexpr auto kGauge = CounterKind::gauge;

// A field of a module's struct of counters and what it means.
template <class Struct>
struct Row {
    CounterInfo info;
    std::uint64_t Struct::* field;
};

// A field that nobody describes would be counted in vain. `rest`: other members of the struct.
template <class Struct, std::size_t N>
constexpr bool describes_all(const Row<Struct> (&)[N], std::size_t rest = 0) {
    return N * sizeof(std::uint64_t) + rest == sizeof(Struct);
}

using Traffic = dataplane::TrafficCounters;
constexpr Row<Traffic> kTraffic[] = {
    {{"traffic", "rx_packets", kCounter, "packets", "IP packets from the mesh for this node", ""},
     &Traffic::rx_packets},
    {{"traffic", "rx_bytes", kCounter, "bytes", "bytes of these", ""}, &Traffic::rx_bytes},
    {{"traffic", "tx_packets", kCounter, "packets", "IP packets of this node into the mesh", ""},
     &Traffic::tx_packets},
    {{"traffic", "tx_bytes", kCounter, "bytes", "bytes of these", ""}, &Traffic::tx_bytes},
    {{"traffic", "forwarded_packets", kCounter, "packets", "packets passed on for other nodes", ""},
     &Traffic::forwarded_packets},
    {{"traffic", "forwarded_bytes", kCounter, "bytes", "bytes of these, headers included", ""},
     &Traffic::forwarded_bytes},
    {{"traffic", "rpc_rx_packets", kCounter, "packets", "packets of calls taken in", ""},
     &Traffic::rpc_rx_packets},
    {{"traffic", "rpc_tx_packets", kCounter, "packets", "packets of calls sent", ""},
     &Traffic::rpc_tx_packets},
};
static_assert(describes_all(kTraffic));

constexpr CounterInfo kLiveFlows{
    "flows", "live", kGauge, "flows", "connections of services and of our stack that are tracked",
    ""
};
using Tun = host::Tun::Stats;
constexpr Row<Tun> kTun[] = {
    {{"tun", "rx_packets", kCounter, "packets", "packets of the host into its TUN device", ""},
     &Tun::rx_packets},
    {{"tun", "rx_bytes", kCounter, "bytes", "bytes of these", ""}, &Tun::rx_bytes},
    {{"tun", "rx_trains", kCounter, "trains", "super-packets that these were cut from", ""},
     &Tun::rx_trains},
    {{"tun", "rx_dropped", kCounter, "packets",
      "not taken: contradictory, or larger than any packet of ours may be", ""},
     &Tun::rx_dropped},
    {{"tun", "tx_packets", kCounter, "packets", "packets written to the TUN device", ""},
     &Tun::tx_packets},
    {{"tun", "tx_bytes", kCounter, "bytes", "bytes of these", ""}, &Tun::tx_bytes},
    {{"tun", "tx_trains", kCounter, "trains", "super-packets that these were joined to", ""},
     &Tun::tx_trains},
    {{"tun", "tx_refused_trains", kCounter, "trains",
      "super-packets that the kernel refused; their packets went one by one", ""},
     &Tun::tx_refused_trains},
    {{"tun", "tx_dropped", kCounter, "packets", "packets that the kernel refused", ""},
     &Tun::tx_dropped},
};
static_assert(describes_all(kTun));

using Acl = dataplane::AclCounters;
constexpr Row<Acl> kAcl[] = {
    {{"acl", "allowed", kCounter, "packets", "packets that the ACL let pass", "chain"},
     &Acl::allowed},
    {{"acl", "noop", kCounter, "packets", "of these: by a rule or default of Noop", "chain"},
     &Acl::noop},
    {{"acl", "answers", kCounter, "packets",
      "of these: denied by the rules, but answers to what we sent", "chain"},
     &Acl::answers},
    {{"acl", "dropped", kCounter, "packets", "packets that the ACL dropped", "chain"}, &Acl::dropped
    },
    {{"acl", "rate_limited", kCounter, "packets", "of these: beyond the rate of their rule", "chain"
     },
     &Acl::rate_limited},
    {{"acl", "cache_hits", kCounter, "packets", "packets of flows whose verdict was known", "chain"
     },
     &Acl::cache_hits},
    {{"acl", "rule_matches", kCounter, "flows", "verdicts by a rule that were looked up", "chain"},
     &Acl::rule_matches},
    {{"acl", "default_allows", kCounter, "flows", "verdicts by default: pass", "chain"},
     &Acl::default_allows},
    {{"acl", "default_drops", kCounter, "flows", "verdicts by default: drop", "chain"},
     &Acl::default_drops},
};
static_assert(describes_all(kAcl));

constexpr CounterInfo kDropped{
    "dropped", "", kCounter, "packets", "packets that were not delivered, by reason", "reason"
};

using Peers = peer::PeerCounters;
constexpr Row<Peers> kPeers[] = {
    {{"peer", "handshakes_ok", kCounter, "handshakes", "connections that became neighbours", ""},
     &Peers::handshakes_ok},
    {{"peer", "handshakes_foreign", kCounter, "handshakes",
      "connections of clients of other networks that were let in", ""},
     &Peers::handshakes_foreign},
    {{"peer", "handshakes_refused", kCounter, "handshakes",
      "connections refused: wrong network, wrong secret, or not a handshake", ""},
     &Peers::handshakes_refused},
    {{"peer", "handshakes_over_limit", kCounter, "handshakes",
      "connections refused: too many handshakes or connections at a time", ""},
     &Peers::handshakes_over_limit},
    {{"peer", "conns_lost", kCounter, "connections", "open connections that ended", ""},
     &Peers::conns_lost},
};
static_assert(describes_all(kPeers));

// Of the connections that are open now: they take their counts with them.
constexpr CounterInfo kMalformed{
    "peer",
    "malformed_packets",
    kGauge,
    "packets",
    "packets that were no peer packets, on the connections open now",
    ""
};
constexpr CounterInfo kTunnelDropped{
    "peer",
    "tunnel_dropped",
    kGauge,
    "packets",
    "packets that tunnels open now have lost: full queues, too large, too early",
    ""
};

using Rpc = rpc::RpcStats;
constexpr Row<Rpc> kRpc[] = {
    {{"rpc", "calls", kCounter, "calls", "calls to other nodes", ""}, &Rpc::calls},
    {{"rpc", "calls_timed_out", kCounter, "calls", "calls that nobody answered in time", ""},
     &Rpc::calls_timed_out},
    {{"rpc", "requests", kCounter, "calls", "calls of other nodes", ""}, &Rpc::requests},
    {{"rpc", "requests_refused", kCounter, "calls", "calls refused: too many at once", ""},
     &Rpc::requests_refused},
    {{"rpc", "unknown_services", kCounter, "calls", "calls of services that are not here", ""},
     &Rpc::unknown_services},
    {{"rpc", "dropped_malformed", kCounter, "packets",
      "packets of calls that do not parse or contradict their type", ""},
     &Rpc::dropped_malformed},
    {{"rpc", "dropped_wrong_ids", kCounter, "packets",
      "packets of calls whose ids differ from their header", ""},
     &Rpc::dropped_wrong_ids},
    {{"rpc", "dropped_late_replies", kCounter, "packets", "replies that nobody waits for", ""},
     &Rpc::dropped_late_replies},
    {{"rpc", "dropped_no_buffer", kCounter, "packets", "not sent: the packet pool was empty", ""},
     &Rpc::dropped_no_buffer},
};
static_assert(describes_all(kRpc, sizeof(rpc::ReassemblyStats)));

using Pieces = rpc::ReassemblyStats;
constexpr Row<Pieces> kPieces[] = {
    {{"rpc", "pieces_over_limit", kCounter, "messages",
      "messages in pieces given up: too many or too large", ""},
     &Pieces::over_limit},
    {{"rpc", "pieces_inconsistent", kCounter, "packets", "pieces that contradict earlier ones", ""},
     &Pieces::inconsistent},
    {{"rpc", "pieces_expired", kCounter, "messages", "messages that never became whole", ""},
     &Pieces::expired},
};
static_assert(describes_all(kPieces));

constexpr CounterInfo kRefused{
    "refused", "", kCounter, "parts", "parts of route messages that were not believed, by reason",
    "reason"
};

constexpr CounterInfo kHosted{
    "foreign", "networks", kGauge, "networks", "other networks hosted now", ""
};
using Foreign = dataplane::ForeignCounters;
constexpr Row<Foreign> kForeign[] = {
    {{"foreign", "forwarded_packets", kCounter, "packets",
      "packets carried between members of other networks", ""},
     &Foreign::forwarded_packets},
    {{"foreign", "forwarded_bytes", kCounter, "bytes", "bytes of these, headers included", ""},
     &Foreign::forwarded_bytes},
    {{"foreign", "wrapped_packets", kCounter, "packets",
      "packets of other networks sent to another server of theirs", ""},
     &Foreign::wrapped_packets},
    {{"foreign", "unwrapped_packets", kCounter, "packets",
      "packets of other networks that came from another server of theirs", ""},
     &Foreign::unwrapped_packets},
    {{"foreign", "rpc_rx_packets", kCounter, "packets",
      "packets of calls taken in from members of other networks", ""},
     &Foreign::rpc_rx_packets},
    {{"foreign", "rpc_tx_packets", kCounter, "packets",
      "packets of calls sent to members of other networks", ""},
     &Foreign::rpc_tx_packets},
};
static_assert(describes_all(kForeign));

using Strangers = ForeignRefusals;
constexpr Row<Strangers> kStrangers[] = {
    {{"foreign", "refused_private_mode", kCounter, "handshakes",
      "clients of other networks refused: private mode", ""},
     &Strangers::private_mode},
    {{"foreign", "refused_not_listed", kCounter, "handshakes",
      "clients of other networks refused: not in the whitelist", ""},
     &Strangers::not_listed},
    {{"foreign", "refused_no_secret", kCounter, "handshakes",
      "clients of other networks refused: they showed no secret", ""},
     &Strangers::no_secret},
    {{"foreign", "refused_other_secret", kCounter, "handshakes",
      "clients of other networks refused: another secret than the first client's", ""},
     &Strangers::other_secret},
    {{"foreign", "refused_limit", kCounter, "handshakes",
      "clients of other networks refused: too many networks, clients or connections", ""},
     &Strangers::limit},
    {{"foreign", "refused_other", kCounter, "handshakes",
      "clients of other networks refused: our own peer id, or we were stopping", ""},
     &Strangers::other},
};
static_assert(describes_all(kStrangers));

constexpr CounterInfo kForeignDropped{
    "foreign_dropped",
    "",
    kCounter,
    "packets",
    "packets of other networks that were not carried, by reason",
    "reason"
};

using Service = edge::ServiceCounters;
constexpr Row<Service> kServices[] = {
    {{"service", "accepted", kCounter, "connections", "connections served", "service"},
     &Service::accepted},
    {{"service", "refused_unknown", kCounter, "connections",
      "refused: no member has the address of the caller", "service"},
     &Service::refused_unknown},
    {{"service", "refused_not_allowed", kCounter, "connections",
      "refused: the caller is not on the allow list", "service"},
     &Service::refused_not_allowed},
    {{"service", "refused_limit", kCounter, "connections", "refused: too many sessions", "service"},
     &Service::refused_limit},
    {{"service", "failed", kCounter, "connections", "sessions that ended with an error", "service"},
     &Service::failed},
    {{"service", "idle_closed", kCounter, "connections", "sessions ended for idleness", "service"},
     &Service::idle_closed},
    {{"service", "killed", kCounter, "connections", "sessions ended by `selvage kill`", "service"},
     &Service::killed},
    {{"service", "revoked", kCounter, "connections",
      "sessions ended because new options do not allow them", "service"},
     &Service::revoked},
};
static_assert(describes_all(kServices));

// The stack describes its own counters; here they get a group, and a row each.
using Stack = netstack::StackCounters;
constexpr Row<Stack> kStack[] = {
#define SELVAGE_STACK_ROW(name, text) {{"stack", #name, kCounter, "", text, ""}, &Stack::name},
    SELVAGE_STACK_COUNTERS(SELVAGE_STACK_ROW)
#undef SELVAGE_STACK_ROW
};
static_assert(describes_all(kStack));

class Samples {
public:
    void add(
        const CounterInfo& info, std::uint64_t value, std::string_view label = {},
        std::string_view description = {}
    ) {
        all_.push_back(
            {.info = &info, .value = value, .label = std::string(label), .description = description}
        );
    }
    template <class Struct, std::size_t N>
    void add_all(const Row<Struct> (&rows)[N], const Struct& counters) {
        for (const auto& row : rows)
            add(row.info, counters.*row.field);
    }
    std::vector<CounterSample> take() { return std::move(all_); }

private:
    std::vector<CounterSample> all_;
};

// Shown only where there are rules: three kinds of chain with nothing in them tell nothing.
void add_acl(const dataplane::Acl& acl, Samples& out) {
    if (!acl.enabled()) return;
    constexpr std::pair<dataplane::AclChainType, std::string_view> kChains[] = {
        {dataplane::AclChainType::inbound, "inbound"},
        {dataplane::AclChainType::outbound, "outbound"},
        {dataplane::AclChainType::forward, "forward"},
    };
    for (const auto& row : kAcl) {
        for (const auto& [type, name] : kChains)
            out.add(row.info, acl.counters(type).*row.field, name);
    }
}

void add_drops(const CounterInfo& counter, const dataplane::DropCounters& drops, Samples& out) {
    for (std::size_t i = 0; i < dataplane::kDropReasons; ++i) {
        const auto reason = static_cast<dataplane::DropReason>(i);
        const dataplane::DropReasonInfo& info = dataplane::describe(reason);
        out.add(counter, drops[reason], info.name, info.meaning);
    }
}

void add_tunnels(const peer::PeerTable& peers, Samples& out) {
    std::uint64_t malformed = 0;
    std::uint64_t tunnel_dropped = 0;
    peers.for_each_conn([&](const peer::PeerConn& conn) {
        malformed += conn.malformed_count();
        tunnel_dropped += conn.tunnel_stats().tx_dropped + conn.tunnel_stats().rx_dropped;
    });
    out.add(kMalformed, malformed);
    out.add(kTunnelDropped, tunnel_dropped);
}

void add_refusals(const route::RefusalCounts& refusals, Samples& out) {
    for (std::size_t i = 0; i < route::kRefusals; ++i) {
        const auto reason = static_cast<route::Refusal>(i);
        out.add(kRefused, refusals.of(reason), route::refusal_name(reason));
    }
}

void add_services(const edge::ServiceHost& host, Samples& out) {
    const auto services = host.services();
    for (const auto& row : kServices) {
        for (const edge::ServiceInfo& service : services) {
            if (service.enabled) out.add(row.info, service.counters.*row.field, service.name);
        }
    }
}

}  // namespace

std::string_view kind_name(CounterKind kind) {
    return kind == CounterKind::counter ? "counter" : "gauge";
}

std::string CounterInfo::metric() const {
    std::string out = fmt::format("{}_{}", group, name.empty() ? unit : name);
    if (kind == CounterKind::counter) out += "_total";
    return out;
}

std::string CounterSample::name() const {
    std::string out(info->group);
    if (!label.empty()) out += "." + label;
    if (!info->name.empty()) out += fmt::format(".{}", info->name);
    return out;
}

std::vector<CounterSample> collect_counters(Node& node) {
    Samples out;
    out.add_all(kTraffic, node.forwarder().traffic());
    if (const host::Tun* tun = node.tun_device()) out.add_all(kTun, tun->stats());
    out.add(kLiveFlows, node.forwarder().flows().size());
    add_drops(kDropped, node.forwarder().drops(), out);
    add_acl(node.forwarder().acl(), out);
    out.add_all(kPeers, node.peers().counters());
    add_tunnels(node.peers(), out);
    out.add_all(kRpc, node.rpc().stats());
    out.add_all(kPieces, node.rpc().stats().pieces);
    add_refusals(node.routes().core().links().refusals(), out);
    out.add(kHosted, node.foreign_networks().size());
    out.add_all(kForeign, node.foreign_networks().counters());
    out.add_all(kStrangers, node.foreign_networks().refusals());
    add_drops(kForeignDropped, node.foreign_networks().drops(), out);
    add_services(node.services(), out);
    out.add_all(kStack, node.stack().counters());
    return out.take();
}

}  // namespace selvage::node
