// Looking through the members.
#include "node/find_node.h"

#include <charconv>

#include "base/log.h"

namespace selvage::node {

Result<NodeFacts> find_node(const InstanceView& instance, std::string_view target) {
    const auto address = IpAddress::parse(target);
    std::uint32_t id = 0;
    const auto [end, failed] = std::from_chars(target.data(), target.data() + target.size(), id);
    const bool is_id = failed == std::errc{} && end == target.data() + target.size();
    for (NodeFacts& node : instance.nodes()) {
        const bool same = (address && NodeAddresses{node.ipv4, node.ipv6}.has(*address)) ||
                          (is_id && node.peer.raw() == id) || node.host_name == target;
        if (same) return std::move(node);
    }
    return Error(Errc::not_found, fmt::format("no member is called {}", printable(target, 64)));
}

}  // namespace selvage::node
