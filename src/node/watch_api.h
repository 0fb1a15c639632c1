// Our management service "SelvageWatchRpc": what passes this node and what does not. The messages
// are in proto/selvage_watch.proto, the page is docs/management.md.
#pragma once

#include "node/instance_view.h"
#include "rpc/service.h"
#include "rt/runtime.h"

namespace selvage::node {

class WatchApi final : public rpc::Service {
public:
    // Clear packets are for the owner of the unix socket alone.
    enum class Captures : std::uint8_t { refused, allowed };
    WatchApi(rt::Runtime& runtime, InstanceView& instance, Captures captures)
        : runtime_(runtime), instance_(instance), captures_(captures) {}

    void add_to(rpc::ServiceTable& services) { services.add("", "SelvageWatchRpc", *this); }
    rt::Task<Result<Bytes>> call(rpc::Caller caller, std::uint32_t method, Bytes request) override;

private:
    Bytes list_acl() const;
    Bytes list_drops() const;
    Result<Bytes> capture(rpc::Caller caller, ByteView request);

    rt::Runtime& runtime_;
    InstanceView& instance_;
    Captures captures_;
};

}  // namespace selvage::node
