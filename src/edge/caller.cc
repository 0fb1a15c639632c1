// The text form of a caller.
#include "edge/caller.h"

#include "base/log.h"

namespace selvage::edge {

std::string_view to_text(AuthLevel level) {
    switch (level) {
        case AuthLevel::none:
            return "none";
        case AuthLevel::network_secret:
            return "network secret";
    }
    return "";
}

std::string_view to_text(PathKind path) {
    switch (path) {
        case PathKind::direct:
            return "direct";
        case PathKind::relayed:
            return "relayed";
    }
    return "";
}

std::string Caller::to_string() const {
    if (origin == Origin::host) return fmt::format("host {}", address);
    const std::string name = host_name.empty() ? "?" : printable(host_name, 64);
    return fmt::format("{} (peer {}) {}", name, peer, address);
}

}  // namespace selvage::edge
