// What the packet pipeline is told at the start.
#pragma once

#include <vector>

#include "base/ids.h"
#include "base/node_addresses.h"
#include "dataplane/flow_table.h"

namespace selvage::dataplane {

// TCP and UDP ports that our stack uses for connections that it opens itself. Above the range from
// which Linux takes its own (net.ipv4.ip_local_port_range, 32768 to 60999), so that with a TUN
// device two connections never share a 4-tuple.
constexpr std::uint16_t kStackPortFirst = 61000;
constexpr std::uint16_t kStackPortLast = 65535;

struct DataplaneOptions {
    PeerId my_id;
    NodeAddresses addresses;  // at the start; see Forwarder::set_addresses
    bool latency_first = false;
    // Virtual addresses of nodes that get what no member has; the first of the packet's family
    // that can be reached counts.
    std::vector<IpAddress> exit_nodes;
    bool relays_data = true;  // false: packets of users for other nodes are dropped, RPC is not
    SipKey hash_key;          // random, from the OS
    FlowTable::Limits flow_limits;
};

}  // namespace selvage::dataplane
