// TunPort: the NIC side of the pipeline when there is a TUN device.
#pragma once

#include <functional>

#include "base/log.h"
#include "dataplane/forwarder.h"
#include "dataplane/ports.h"
#include "host/tun.h"

namespace selvage::dataplane {

class TunPort final : public NicPort, private host::TunSink {
public:
    // `on_lost` is called once when the device goes away by itself.
    TunPort(
        host::TunPtr tun, Forwarder& forwarder, std::function<void(const Error&)> on_lost, Log log
    )
        : tun_(std::move(tun)),
          forwarder_(forwarder),
          on_lost_(std::move(on_lost)),
          log_(std::move(log)) {}

    void start() { tun_->start(*this); }
    bool has_kernel() const override { return true; }
    void send(packet::PacketBatch&& batch) override { tun_->send(std::move(batch)); }
    host::Tun& device() { return *tun_; }

private:
    void from_tun(packet::PacketBatch&& batch) override { forwarder_.from_nic(std::move(batch)); }
    void on_tun_closed(const Error& reason) override {
        log_.error("TUN device lost", "name={} reason=\"{}\"", tun_->name(), reason.message());
        on_lost_(reason);
    }

    host::TunPtr tun_;
    Forwarder& forwarder_;
    std::function<void(const Error&)> on_lost_;
    Log log_;
};

}  // namespace selvage::dataplane
