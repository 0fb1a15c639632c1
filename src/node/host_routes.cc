// Keeping the host's routes.
#include "node/host_routes.h"

#include <algorithm>

namespace selvage::node {

std::set<Prefix> HostRoutes::wanted(
    const route::RouteTable& table, const NodeAddresses& own, const std::set<IpAddress>& tunnels
) const {
    std::set<Prefix> out;
    // Without an address of the family the kernel would send from one that is not of the mesh.
    if (manual_) {
        for (const Prefix& network : *manual_) {
            if (own.of_family(network.address)) out.insert(network);
        }
        return out;
    }
    for (const auto& [network, peer] : table.proxied_networks()) {
        if (!own.of_family(network.address)) continue;
        const bool swallows = std::ranges::any_of(tunnels, [&network](const IpAddress& remote) {
            return network.contains(remote);
        });
        if (!swallows) out.insert(network);
    }
    while (out.size() > kLimit)
        out.erase(std::prev(out.end()));
    return out;
}

bool HostRoutes::add(const Prefix& network) {
    const auto added = device_->add_route(network, kMetric);
    if (added) {
        refused_.erase(network);
        return true;
    }
    if (refused_.insert(network).second) {
        log_.warn(
            "no route for a network", "network={} reason=\"{}\"", network, added.error().message()
        );
    }
    return false;
}

void HostRoutes::follow(
    const route::RouteTable& table, const NodeAddresses& own, const std::set<IpAddress>& tunnels
) {
    if (device_ == nullptr) return;
    const std::set<Prefix> next = wanted(table, own, tunnels);
    std::erase_if(refused_, [&next](const Prefix& network) { return !next.contains(network); });
    std::erase_if(installed_, [this, &next](const Prefix& network) {
        if (next.contains(network)) return false;
        (void)device_->remove_route(network, kMetric);  // gone is gone, whoever removed it
        log_.info("route removed", "network={}", network);
        return true;
    });
    for (const Prefix& network : next) {
        if (installed_.contains(network) || !add(network)) continue;
        installed_.insert(network);
        log_.info("route added", "network={}", network);
    }
}

void HostRoutes::withdraw() {
    if (device_ == nullptr) return;
    for (const Prefix& network : installed_)
        (void)device_->remove_route(network, kMetric);
    installed_.clear();
}

}  // namespace selvage::node
