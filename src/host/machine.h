// Facts about the machine that we run on.
#pragma once

#include <string>
#include <vector>

#include "base/ip.h"

namespace selvage::host {

// The machine's own name, without its domain; "localhost" when it has none.
std::string machine_name();
// Addresses of all interfaces that are up, loopback included.
std::vector<IpAddress> machine_addresses();

}  // namespace selvage::host
