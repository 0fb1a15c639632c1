// Which ports the services and forwards of a configuration listen on: the reference's socks5_proxy
// as our proxy, and ports that two of them want.
#pragma once

#include "base/option_tree.h"
#include "config/options.h"

namespace selvage::config {

// Reads `socks5_proxy`: the proxy service at an address of the host, open to whoever reaches it.
// Precondition: the services are read.
void read_socks5_proxy(OptionReader& document, NodeOptions& options);

// Reports each port that two services or forwards have, naming both. Precondition: both are read.
void check_ports(OptionReader& document, const NodeOptions& options);

}  // namespace selvage::config
