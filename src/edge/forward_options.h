// Options of the forwards: what a configuration says about each.
#pragma once

#include <vector>

#include "base/option_tree.h"
#include "edge/allow_list.h"
#include "edge/destination.h"

namespace selvage::edge {

struct ForwardOptions {
    Origin from = Origin::host;  // who may call: the mesh, or programs at an address of the host
    bool udp = false;
    Endpoint listen;  // the address counts for Origin::host only
    Destination to;
    AllowList allow;
    bool open_to_all = false;     // as the reference's port forwards are
    bool shadow_host = false;     // take the port of the mesh from a program of the host
    bool proxy_protocol = false;  // TCP: tell the target who calls, PROXY protocol version 2
};

// Reads the tables [[forward]] and the reference's [[port_forward]].
std::vector<ForwardOptions> read_forwards(OptionReader& document);

}  // namespace selvage::edge
