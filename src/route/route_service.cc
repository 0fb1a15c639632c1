// The shell around the cores: calls, pauses, ticks.
#include "route/route_service.h"

namespace selvage::route {
namespace {

constexpr std::string_view kSyncService = "OspfRouteRpc";
constexpr std::string_view kCenterService = "PeerCenterRpc";
constexpr std::uint32_t kSyncRouteInfo = 1;
constexpr std::uint32_t kReportPeers = 1;
constexpr std::uint32_t kGetGlobalPeerMap = 2;

constexpr Duration kTick = std::chrono::seconds(1);
// Between two requests of one session: doubles while there is something to say, so that changes
// travel together, and halves while there is not.
constexpr Duration kSyncPauseLeast = std::chrono::milliseconds(50);
constexpr Duration kSyncPauseMost = std::chrono::seconds(5);

constexpr Duration kCenterTimeout = std::chrono::seconds(5);
constexpr Duration kReportCheck = std::chrono::seconds(5);
constexpr Duration kReportInterval = std::chrono::seconds(60);
constexpr Duration kFetchInterval = std::chrono::seconds(15);
constexpr Duration kFetchRetry = std::chrono::seconds(10);
// Without a new map for this long, the whole is asked for again.
constexpr Duration kDigestLife = std::chrono::seconds(120);

SipKey random_key(rt::Rng& rng) {
    return {.k0 = rng.next(), .k1 = rng.next()};
}

}  // namespace

RouteService::RouteService(
    rt::Runtime& runtime, rpc::RpcEndpoint& endpoint, rpc::ServiceTable& services,
    const RouteOptions& options, Log log
)
    : runtime_(runtime),
      endpoint_(endpoint),
      services_(services),
      log_(std::move(log)),
      core_(options, random_key(runtime.rng()), runtime.rng().next(), moment()),
      center_(random_key(runtime.rng()), options),
      news_(runtime),
      changed_(runtime),
      scope_(runtime, log_) {
    services_.add(options.network_name, std::string(kSyncService), sync_api_);
    services_.add(options.network_name, std::string(kCenterService), center_api_);
}

RouteService::~RouteService() {
    const std::string& domain = core_.links().options().network_name;
    services_.remove(domain, kSyncService);
    services_.remove(domain, kCenterService);
}

void RouteService::start() {
    started_ = true;
    scope_.spawn("route tick", tick_forever());
    scope_.spawn("peer center", center_forever());
    after_change();
}

rt::Task<> RouteService::stop() {
    co_await scope_.close();
}

Moment RouteService::moment() {
    return {.now = runtime_.now(), .wall = runtime_.wall_now()};
}

void RouteService::neighbour_up(PeerId peer, NeighbourInfo info) {
    core_.neighbour_up(peer, info, moment());
    after_change();
}

void RouteService::neighbour_down(PeerId peer) {
    latencies_.erase(peer);
    core_.neighbour_down(peer, moment());
    after_change();
}

void RouteService::neighbour_latency(PeerId peer, Duration latency) {
    if (core_.neighbours().contains(peer)) latencies_[peer] = latency;
}

bool RouteService::set_hosted(const std::vector<HostedNetwork>& networks) {
    const bool changed = core_.set_hosted(networks, moment());
    after_change();
    return changed;
}

void RouteService::set_own(OwnNode own) {
    core_.set_own(std::move(own), moment());
    after_change();
}

void RouteService::after_change() {
    if (core_.news() != news_seen_) {
        news_seen_ = core_.news();
        news_.notify();
    }
    if (core_.table()->generation() != generation_seen_) {
        generation_seen_ = core_.table()->generation();
        changed_.notify();
    }
    log_refusals();
    if (!started_) return;
    for (const SessionView& session : core_.sessions()) {
        if (!syncing_.insert(session.peer).second) continue;
        scope_.spawn(fmt::format("route sync {}", session.peer), sync_with(session.peer));
    }
}

void RouteService::log_refusals() {
    const std::uint64_t total = core_.links().refusals().total();
    if (total == refusals_logged_) return;
    log_.debug("refused parts of route syncs", "new={} total={}", total - refusals_logged_, total);
    refusals_logged_ = total;
}

rt::Task<> RouteService::tick_forever() {
    for (;;) {
        core_.tick(moment());
        center_.expire(runtime_.now());
        after_change();
        co_await rt::sleep_for(runtime_, kTick);
    }
}

namespace {

// Says that a session's coroutine has ended, however it did.
class Leave {
public:
    Leave(std::set<PeerId>& peers, PeerId peer) : peers_(peers), peer_(peer) {}
    Leave(const Leave&) = delete;
    Leave& operator=(const Leave&) = delete;
    ~Leave() { peers_.erase(peer_); }

private:
    std::set<PeerId>& peers_;
    PeerId peer_;
};

}  // namespace

rt::Task<> RouteService::sync_with(PeerId peer) {
    const Leave leave(syncing_, peer);
    const RouteOptions& options = core_.links().options();
    Duration pause = kSyncPauseLeast;
    while (core_.has_session(peer)) {
        const auto out = core_.next_sync(peer, runtime_.now());
        if (!out) {
            pause = std::max(pause / 2, kSyncPauseLeast);
            co_await news_.wait_until(runtime_.now() + kTick);
            continue;
        }
        rpc::Descriptor target{
            .domain = options.network_name,
            .service = std::string(kSyncService),
            .method = kSyncRouteInfo
        };
        const std::uint64_t duplicates = core_.stats().told_duplicate;
        auto reply =
            co_await endpoint_.call(peer, std::move(target), out->bytes, options.call_timeout);
        core_.on_reply(*out, reply, runtime_.now());
        if (!reply)
            log_.debug("route sync failed", "peer={} reason=\"{}\"", peer, reply.error().message());
        if (core_.stats().told_duplicate != duplicates) {
            log_.warn("a neighbour knows another node with our peer id", "peer={}", peer);
        }
        after_change();
        co_await rt::sleep_for(runtime_, pause);
        pause = std::min(pause * 2, kSyncPauseMost);
    }
}

rt::Task<Result<Bytes>> RouteService::SyncApi::call(
    rpc::Caller caller, std::uint32_t method, Bytes request
) {
    if (method != kSyncRouteInfo) co_return Errc::unsupported;
    auto reply = owner_.core_.on_request(caller.peer, request, owner_.moment());
    owner_.after_change();
    co_return reply;
}

rt::Task<Result<Bytes>> RouteService::CenterApi::call(
    rpc::Caller caller, std::uint32_t method, Bytes request
) {
    co_return owner_.answer_center(caller.peer, method, request);
}

Result<Bytes> RouteService::answer_center(PeerId caller, std::uint32_t method, ByteView request) {
    switch (method) {
        case kReportPeers: {
            auto report = parse_report(request);
            if (!report) return report.error();
            if (report->first != caller) return Error(Errc::denied, "a report about somebody else");
            if (!center_.report(caller, std::move(report->second), runtime_.now())) {
                return Error(Errc::limit, "too many reports");
            }
            return Bytes{};
        }
        case kGetGlobalPeerMap: {
            const auto digest = parse_get_map(request);
            if (!digest) return digest.error();
            return build_map(center_, *digest);
        }
        default:
            return Errc::unsupported;
    }
}

rt::Task<Result<Bytes>> RouteService::ask_center(
    PeerId leader, std::uint32_t method, Bytes request
) {
    if (leader == core_.links().options().self) co_return answer_center(leader, method, request);
    rpc::Descriptor target{
        .domain = core_.links().options().network_name,
        .service = std::string(kCenterService),
        .method = method
    };
    co_return co_await endpoint_.call(
        leader, std::move(target), std::move(request), kCenterTimeout
    );
}

Latencies RouteService::own_latencies() const {
    Latencies out;
    for (const auto& [peer, info] : core_.neighbours()) {
        const auto at = latencies_.find(peer);
        // Another server of a network that we host is no real neighbour: nothing measures the way.
        if (at == latencies_.end() && !info.own_network) continue;
        const Duration latency = at == latencies_.end() ? Duration{} : at->second;
        const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(latency).count();
        out[peer] =
            static_cast<std::uint32_t>(std::clamp<std::int64_t>(millis, kLatencyLeast, kLatencyMost)
            );
    }
    return out;
}

rt::Task<> RouteService::center_forever() {
    CenterClient client;
    for (;;) {
        const auto leader = leader_of(*table());
        if (!leader) {
            co_await rt::sleep_for(runtime_, kTick);
            continue;
        }
        co_await report(client, *leader);
        co_await fetch(client, *leader);
        co_await rt::sleep_for(runtime_, kReportCheck);
    }
}

rt::Task<> RouteService::report(CenterClient& client, PeerId leader) {
    const Latencies latencies = own_latencies();
    std::set<PeerId> peers;
    for (const auto& [peer, latency] : latencies)
        peers.insert(peer);
    const bool fresh = client.report_at && runtime_.now() - *client.report_at < kReportInterval;
    if (client.leader == leader && client.reported == peers && fresh) co_return;
    auto reply = co_await ask_center(
        leader, kReportPeers, build_report(core_.links().options().self, latencies)
    );
    if (!reply) co_return;  // tried again at the next check
    if (client.leader != leader) client.fetch_after.reset();
    client.leader = leader;
    client.reported = std::move(peers);
    client.report_at = runtime_.now();
}

rt::Task<> RouteService::fetch(CenterClient& client, PeerId leader) {
    if (client.fetch_after && runtime_.now() < *client.fetch_after) co_return;
    if (!client.map_at || runtime_.now() - *client.map_at >= kDigestLife) client.digest = 0;
    auto reply = co_await ask_center(leader, kGetGlobalPeerMap, build_get_map(client.digest));
    auto map = reply ? parse_map(*reply) : Result<FetchedMap>(reply.error());
    client.fetch_after = runtime_.now() + (map ? kFetchInterval : kFetchRetry);
    if (!map || map->unchanged) co_return;
    client.digest = map->digest;
    client.map_at = runtime_.now();
    core_.set_latencies(edges_of(map->map));
    after_change();
}

}  // namespace selvage::route
