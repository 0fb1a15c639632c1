// Routing as a running part of a node: the coroutines around RouteCore and PeerCenter, and their
// places in the table of RPC services.
//
// Who calls what, all on the loop:
//   the owner of the neighbours (node, from peer::PeerEvents) calls
//       neighbour_up(peer, info)       when the first connection to a neighbour is open
//       neighbour_down(peer)           when the last one is gone
//       neighbour_latency(peer, rtt)   when a measurement changed; its last value is reported
//   the RPC endpoint calls the services "OspfRouteRpc" and "PeerCenterRpc" in the domain of the
//       network's name; what else peers may ask (DirectConnectorRpc, ...) is nobody's here and
//       answered with InvalidService, after which they stop asking for an hour
//   the data path and everybody else reads table(), and may wait on changed()
//
// Routing is told about neighbours; it never asks.
#pragma once

#include <memory>
#include <set>

#include "base/log.h"
#include "route/peer_center.h"
#include "route/route_core.h"
#include "rpc/endpoint.h"
#include "rt/event.h"
#include "rt/runtime.h"
#include "rt/scope.h"

namespace selvage::route {

class RouteService {
public:
    // Adds its services to `services`; all references outlive it.
    RouteService(
        rt::Runtime& runtime, rpc::RpcEndpoint& endpoint, rpc::ServiceTable& services,
        const RouteOptions& options, Log log
    );
    RouteService(const RouteService&) = delete;
    RouteService& operator=(const RouteService&) = delete;
    ~RouteService();  // Precondition: stop() has returned, or start() was never called

    void start();
    rt::Task<> stop();

    void neighbour_up(PeerId peer, NeighbourInfo info = {});
    void neighbour_down(PeerId peer);
    void neighbour_latency(PeerId peer, Duration latency);
    // The networks that we host for others, from now on. Whether anything changed.
    bool set_hosted(const std::vector<HostedNetwork>& networks);
    // What we tell about ourselves, and what we tell from now on.
    const OwnNode& own() const { return core_.links().options().own; }
    void set_own(OwnNode own);

    std::shared_ptr<const RouteTable> table() const { return core_.table(); }
    rt::Event& changed() { return changed_; }  // table() is another one now

    const RouteCore& core() const { return core_; }
    std::optional<PeerId> peer_center_leader() const { return leader_of(*table()); }

private:
    class SyncApi final : public rpc::Service {
    public:
        explicit SyncApi(RouteService& owner) : owner_(owner) {}
        rt::Task<Result<Bytes>> call(rpc::Caller caller, std::uint32_t method, Bytes request)
            override;

    private:
        RouteService& owner_;
    };
    class CenterApi final : public rpc::Service {
    public:
        explicit CenterApi(RouteService& owner) : owner_(owner) {}
        rt::Task<Result<Bytes>> call(rpc::Caller caller, std::uint32_t method, Bytes request)
            override;

    private:
        RouteService& owner_;
    };

    // What the peer center's client remembers between its rounds.
    struct CenterClient {
        std::optional<PeerId> leader;
        std::set<PeerId> reported;  // neighbours of the last successful report
        std::optional<TimePoint> report_at;
        std::optional<TimePoint> fetch_after;
        std::optional<TimePoint> map_at;  // when a new map came
        std::uint64_t digest = 0;
    };

    Moment moment();
    void after_change();
    void log_refusals();
    rt::Task<> tick_forever();
    rt::Task<> sync_with(PeerId peer);
    rt::Task<> center_forever();
    rt::Task<> report(CenterClient& client, PeerId leader);
    rt::Task<> fetch(CenterClient& client, PeerId leader);
    rt::Task<Result<Bytes>> ask_center(PeerId leader, std::uint32_t method, Bytes request);
    Result<Bytes> answer_center(PeerId caller, std::uint32_t method, ByteView request);
    Latencies own_latencies() const;

    rt::Runtime& runtime_;
    rpc::RpcEndpoint& endpoint_;
    rpc::ServiceTable& services_;
    Log log_;
    RouteCore core_;
    PeerCenter center_;
    SyncApi sync_api_{*this};
    CenterApi center_api_{*this};
    std::map<PeerId, Duration> latencies_;  // of current neighbours
    std::set<PeerId> syncing_;              // sessions that have their coroutine
    std::uint64_t news_seen_ = 0;
    std::uint64_t generation_seen_ = 0;
    std::uint64_t refusals_logged_ = 0;
    rt::Event news_;
    rt::Event changed_;
    rt::TaskScope scope_;
    bool started_ = false;
};

}  // namespace selvage::route
