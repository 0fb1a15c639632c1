// The node's virtual addresses while it runs, and the one place where they change: device, stack,
// pipeline and route record are told together.
#pragma once

#include "base/error.h"
#include "base/log.h"
#include "base/node_addresses.h"
#include "dataplane/forwarder.h"
#include "host/tun.h"
#include "netstack/sockets/overlay_sockets.h"
#include "route/route_service.h"

namespace selvage::node {

class OwnAddresses {
public:
    OwnAddresses(
        dataplane::Forwarder& forwarder, netstack::OverlaySockets& overlay,
        route::RouteService& routes, Log log
    )
        : forwarder_(forwarder), overlay_(overlay), routes_(routes), log_(std::move(log)) {}

    const NodeAddresses& current() const { return current_; }
    // The device that carries the addresses from now on; nullptr in no-TUN mode. It has none yet.
    void set_device(host::Tun* device) { device_ = device; }

    // Connections of an address that goes end with `unreachable`. Removing a device's address
    // removes the host's routes through it, too: put them back afterwards. On an error of the
    // device everything is as the device has it now.
    Result<> change(const NodeAddresses& next);

private:
    Result<> change_on_device(std::optional<Prefix>& held, const std::optional<Prefix>& next);
    void tell_all();

    dataplane::Forwarder& forwarder_;
    netstack::OverlaySockets& overlay_;
    route::RouteService& routes_;
    Log log_;
    host::Tun* device_ = nullptr;
    NodeAddresses current_;
};

}  // namespace selvage::node
