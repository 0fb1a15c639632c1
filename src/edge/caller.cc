// The text form of a caller.
#include "edge/caller.h"

#include "base/log.h"

namespace selvage::edge {

std::string Caller::to_string() const {
    if (origin == Origin::host) return fmt::format("host {}", address);
    const std::string name = host_name.empty() ? "?" : printable(host_name, 64);
    return fmt::format("{} (peer {}) {}", name, peer, address);
}

}  // namespace selvage::edge
