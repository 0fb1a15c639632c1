// The virtual addresses of a node: at most one of each family, each with its network. They change
// while a node runs when they are given automatically.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"

namespace selvage {

struct NodeAddresses {
    std::optional<Prefix> ipv4;
    std::optional<Prefix> ipv6;

    bool any() const { return ipv4 || ipv6; }
    const std::optional<Prefix>& of_family(const IpAddress& like) const {
        return like.is_v4() ? ipv4 : ipv6;
    }
    // Whether this is one of our addresses.
    bool has(const IpAddress& address) const {
        const auto& own = of_family(address);
        return own && own->address == address;
    }
    // Whether this address lies in one of our networks.
    bool covers(const IpAddress& address) const {
        const auto& own = of_family(address);
        return own && own->contains(address);
    }
    std::vector<Prefix> list() const {
        std::vector<Prefix> out;
        if (ipv4) out.push_back(*ipv4);
        if (ipv6) out.push_back(*ipv6);
        return out;
    }
    std::string to_string() const {
        return any() ? fmt::format("{}", fmt::join(list(), " ")) : "none";
    }

    friend bool operator==(const NodeAddresses&, const NodeAddresses&) = default;
};

}  // namespace selvage
