// One-time tokens on the management channel: "SelvageTokenRpc", proto/selvage_token.proto.
#pragma once

#include "node/instance_view.h"
#include "rpc/service.h"

namespace selvage::node {

class TokenApi final : public rpc::Service {
public:
    explicit TokenApi(InstanceView& instance) : instance_(instance) {}

    void add_to(rpc::ServiceTable& services) { services.add("", "SelvageTokenRpc", *this); }
    rt::Task<Result<Bytes>> call(rpc::Caller caller, std::uint32_t method, Bytes request) override;

private:
    Result<Bytes> create(ByteView request);
    Bytes list();
    Result<Bytes> revoke(ByteView request);

    InstanceView& instance_;
};

}  // namespace selvage::node
