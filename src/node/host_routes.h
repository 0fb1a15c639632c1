// The host's routes into the TUN device: one for each network that members announce and that we
// accept, or instead of all these the ones of the configuration.
//
// They have the metric of stock nodes on Linux, the highest that is usual, so that every route of
// the host's own to the same network wins. A learnt network that holds the address of one of our
// tunnels gets no route: the tunnel would go through itself and end. What the kernel refuses is
// asked for again with the next change.
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "base/log.h"
#include "base/node_addresses.h"
#include "host/tun.h"
#include "route/route_table.h"

namespace selvage::node {

class HostRoutes {
public:
    static constexpr unsigned kMetric = 65535;
    // Routes of the kernel that members together can make. Further networks, in the order of their
    // addresses, have none; the data path reaches them all the same.
    static constexpr std::size_t kLimit = 4096;

    // `manual`: instead of what members announce.
    HostRoutes(std::optional<std::vector<Prefix>> manual, Log log)
        : manual_(std::move(manual)), log_(std::move(log)) {}

    // None: there is no host to have routes. The device outlives its place here.
    void set_device(host::Tun* device) { device_ = device; }
    // Adds and removes what differs. `tunnels`: the addresses that our tunnels lead to.
    void follow(
        const route::RouteTable& table, const NodeAddresses& own, const std::set<IpAddress>& tunnels
    );
    // Removes all; follow() puts them back.
    void withdraw();

    const std::set<Prefix>& installed() const { return installed_; }

private:
    std::set<Prefix> wanted(
        const route::RouteTable& table, const NodeAddresses& own, const std::set<IpAddress>& tunnels
    ) const;
    bool add(const Prefix& network);

    std::optional<std::vector<Prefix>> manual_;
    Log log_;
    host::Tun* device_ = nullptr;
    std::set<Prefix> installed_;
    std::set<Prefix> refused_;  // by the kernel, and said so once; part of what is wanted
};

}  // namespace selvage::node
