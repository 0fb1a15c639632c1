// Asks other nodes what they offer, and answers them.
//
//   selvage services --of PEER -> ask_all({peer}) --RPC through the mesh--> call() ->
//   offers_for(us)
//
// Nothing is announced and nothing is kept: who wants to know asks (docs/decisions/0017). Stock
// nodes answer that there is no such service.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "node/service_offers.h"
#include "rpc/endpoint.h"
#include "rt/scope.h"

namespace selvage::node {

class ServiceDirectory final : public rpc::Service {
public:
    // What a member is told: only what it may use.
    using OffersFor = std::function<std::vector<Offer>(PeerId)>;

    // The endpoint outlives it. `network` is the domain of calls between members.
    ServiceDirectory(
        rt::Runtime& runtime, rpc::RpcEndpoint& rpc, std::string network, OffersFor offers_for
    );

    void add_to(rpc::ServiceTable& services) { services.add(network_, kService, *this); }
    rt::Task<Result<Bytes>> call(rpc::Caller caller, std::uint32_t method, Bytes request) override;

    // One answer for each member, in their order; takes a few seconds when some are silent.
    rt::Task<std::vector<NodeOffers>> ask_all(std::vector<PeerId> members);
    rt::Task<> close() { return asking_.close(); }

private:
    struct Round;
    struct Asking;
    static constexpr const char* kService = "SelvageServicesRpc";

    rt::Task<> ask_some(std::unique_ptr<Asking> asking);
    rt::Task<NodeOffers> ask(PeerId member);

    rt::Runtime& runtime_;
    rpc::RpcEndpoint& rpc_;
    std::string network_;
    OffersFor offers_for_;
    rt::TaskScope asking_;
};

}  // namespace selvage::node
