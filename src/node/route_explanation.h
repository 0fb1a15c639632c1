// Which route takes packets to an address, and why: `selvage routes --to ADDR`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/ip.h"
#include "route/route_table.h"

namespace selvage::node {

enum class RouteReason : std::uint8_t {
    own_address,     // it is ours
    member_address,  // it is that member's own address
    member_network,  // it lies in a network that the member announces
    subnet_unused,   // it lies in our virtual network, and nobody has it
    not_in_mesh,     // nobody has it or announces a network with it
};

struct RouteExplanation {
    struct Way {
        PeerId next_hop;
        std::string next_hop_name;
        std::uint32_t hops = 0;
        std::uint32_t latency_ms = 0;
    };
    // Another member that could be meant, and why it is not asked.
    struct Other {
        PeerId peer;
        std::string host_name;
        Prefix network;
        std::string why_not;
    };
    IpAddress address;
    RouteReason reason = RouteReason::not_in_mesh;
    PeerId peer;
    std::string host_name;          // as the member says: untrusted
    std::optional<Prefix> network;  // what matched
    std::optional<Way> least_hop;
    std::optional<Way> least_cost;
    bool latency_first = false;  // which of the two our packets take
    std::vector<Other> others;   // at most kOthersMax
    static constexpr std::size_t kOthersMax = 16;
};

RouteExplanation explain_route(
    const route::RouteTable& routes, const IpAddress& address,
    const std::vector<Prefix>& own_addresses, bool latency_first
);

// One sentence: "in 192.168.7.0/24, which laptop announces".
std::string to_sentence(const RouteExplanation& explanation);

}  // namespace selvage::node
