// "9100" or "127.0.0.1:9100": where something is offered that is for this host unless said
// otherwise.
#pragma once

#include <optional>
#include <string_view>

#include "base/ip.h"

namespace selvage::config {

// A port alone is on loopback. None when it is neither.
std::optional<Endpoint> parse_local_endpoint(std::string_view text);

}  // namespace selvage::config
