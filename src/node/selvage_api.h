// Our own management service, "SelvageRpc": what EasyTier's calls have no word for. The messages
// are in proto/selvage_api.proto, the page is docs/management.md.
#pragma once

#include "node/instance_view.h"
#include "rpc/service.h"
#include "rt/runtime.h"

namespace selvage::node {

class SelvageApi final : public rpc::Service {
public:
    SelvageApi(rt::Runtime& runtime, InstanceView& instance)
        : runtime_(runtime), instance_(instance) {}

    void add_to(rpc::ServiceTable& services) { services.add("", "SelvageRpc", *this); }
    rt::Task<Result<Bytes>> call(rpc::Caller caller, std::uint32_t method, Bytes request) override;

private:
    Bytes status() const;
    Bytes stats() const;
    Bytes list_services() const;
    Bytes list_forwards() const;
    Bytes list_sessions() const;
    rt::Task<Result<Bytes>> ping(Bytes request);
    rt::Task<Result<Bytes>> list_offers(Bytes request);
    rt::Task<Result<Bytes>> open_stream(rpc::Caller caller, Bytes request);
    rt::Task<Result<rt::StreamPtr>> dial(std::string target);
    Result<Bytes> kill_session(ByteView request);
    Result<Bytes> who_is(ByteView request) const;

    rt::Runtime& runtime_;
    InstanceView& instance_;
};

}  // namespace selvage::node
