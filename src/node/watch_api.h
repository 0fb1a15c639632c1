// Our management service "SelvageWatchRpc": what passes this node and what does not. The messages
// are in proto/selvage_watch.proto, the page is docs/management.md.
#pragma once

#include "node/instance_view.h"
#include "rpc/service.h"
#include "rt/runtime.h"

namespace selvage::node {

class WatchApi final : public rpc::Service {
public:
    WatchApi(rt::Runtime& runtime, InstanceView& instance)
        : runtime_(runtime), instance_(instance) {}

    void add_to(rpc::ServiceTable& services) { services.add("", "SelvageWatchRpc", *this); }
    rt::Task<Result<Bytes>> call(rpc::Caller caller, std::uint32_t method, Bytes request) override;

private:
    Bytes list_acl() const;
    Bytes list_drops() const;
    Result<Bytes> capture(rpc::Caller caller, ByteView request);

    rt::Runtime& runtime_;
    InstanceView& instance_;
};

}  // namespace selvage::node
