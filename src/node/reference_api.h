// EasyTier's management services, as far as they only read: peers, routes, connectors, counters and
// the list of instances. Source: protocol document 5-management.md sections 4.3 to 4.9.
#pragma once

#include "node/instance_view.h"
#include "rpc/service.h"

namespace selvage::node {

class ReferenceApi {
public:
    explicit ReferenceApi(InstanceView& instance);

    void add_to(rpc::ServiceTable& services);

private:
    // One RPC service whose methods are a function of (method, request).
    class Door final : public rpc::Service {
    public:
        using Handler = Result<Bytes> (ReferenceApi::*)(std::uint32_t, ByteView) const;
        Door(const ReferenceApi& api, Handler handler) : api_(api), handler_(handler) {}
        rt::Task<Result<Bytes>> call(rpc::Caller, std::uint32_t method, Bytes request) override {
            co_return (api_.*handler_)(method, request);
        }

    private:
        const ReferenceApi& api_;
        Handler handler_;
    };

    Result<Bytes> peer_manage(std::uint32_t method, ByteView request) const;
    Result<Bytes> connector_manage(std::uint32_t method, ByteView request) const;
    Result<Bytes> stats(std::uint32_t method, ByteView request) const;
    Result<Bytes> acl_manage(std::uint32_t method, ByteView request) const;
    Result<Bytes> web_client(std::uint32_t method, ByteView request) const;
    Bytes list_peers() const;
    Bytes list_routes() const;
    Bytes show_node_info() const;
    Bytes list_foreign_networks() const;
    Bytes list_global_foreign_networks() const;
    Bytes foreign_network_summary() const;
    Bytes get_stats() const;
    Bytes get_prometheus_stats() const;
    Result<Bytes> list_metas(ByteView request) const;
    // Whether the request's selector means this instance: by id, by name, or by saying nothing.
    template <class Request>
    Result<> selected(ByteView request) const;

    InstanceView& instance_;
    Door peer_manage_;
    Door connector_manage_;
    Door stats_;
    Door acl_manage_;
    Door web_client_;
};

}  // namespace selvage::node
