// SELVAGE_OFFLOADS_OFF: which offloads this process goes without (docs/performance.md).
#pragma once

#include <string_view>

#include "base/error.h"
#include "host/offloads.h"

namespace selvage::app {

// Words separated by commas or spaces: tun, udp-segment, udp-join, cipher, all.
Result<host::Offloads> parse_offloads_off(std::string_view text);

}  // namespace selvage::app
