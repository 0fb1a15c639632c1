// What an operator tells a running instance and asks of it: our own service "SelvageControlRpc"
// (proto/control_api.proto), and EasyTier's "ConfigRpc" as far as a running node takes patches.
#pragma once

#include "node/instance_view.h"
#include "rpc/service.h"

namespace selvage::node {

class ControlApi final : public rpc::Service {
public:
    explicit ControlApi(InstanceView& instance) : instance_(instance), config_(*this) {}

    void add_to(rpc::ServiceTable& services);
    rt::Task<Result<Bytes>> call(rpc::Caller caller, std::uint32_t method, Bytes request) override;

private:
    class Config final : public rpc::Service {
    public:
        explicit Config(ControlApi& api) : api_(api) {}
        rt::Task<Result<Bytes>> call(rpc::Caller, std::uint32_t method, Bytes request) override {
            if (method != 1) co_return Errc::unsupported;
            co_return api_.patch_config(request);
        }

    private:
        ControlApi& api_;
    };

    rt::Task<Result<Bytes>> reload();
    Result<Bytes> explain_route(ByteView request) const;
    Bytes list_connections() const;
    Result<Bytes> set_log_levels(ByteView request);
    Result<Bytes> patch_config(ByteView request);

    InstanceView& instance_;
    Config config_;
};

}  // namespace selvage::node
