// The choice of an address.
#include "node/automatic_address.h"

#include <algorithm>
#include <map>
#include <set>

namespace selvage::node {
namespace {

constexpr Prefix kDefaultNetwork{IpAddress::v4(10, 126, 126, 0), 24};
// Networks of a member that make sense to join: a wider one is a mistake, a narrower one has no
// room.
constexpr std::uint8_t kShortestPrefix = 8;
constexpr std::uint8_t kLongestPrefix = 30;

bool is_other(const route::RouteTable& table, const route::RouteEntry& entry) {
    return entry.peer() != table.self() && entry.least_hop;
}

// The networks of the others, with the number of those who are in each.
std::map<Prefix, std::size_t> networks_in_use(const route::RouteTable& table) {
    std::map<Prefix, std::size_t> out;
    for (const route::RouteEntry& entry : table.entries()) {
        const auto& address = entry.record->ipv4;
        if (!is_other(table, entry) || !address) continue;
        if (address->length < kShortestPrefix || address->length > kLongestPrefix) continue;
        ++out[Prefix{address->network(), address->length}];
    }
    return out;
}

// Stock nodes join the network of whomever they see first. Where members are in several, the one
// with the most is the better guess, and all who guess come to the same one.
Prefix network_to_join(
    const std::map<Prefix, std::size_t>& networks, const std::optional<Prefix>& current
) {
    if (current) {
        const Prefix ours{current->network(), current->length};
        if (networks.empty() || networks.contains(ours)) return ours;
    }
    const auto most =
        std::ranges::max_element(networks, {}, [](const auto& network) { return network.second; });
    return most == networks.end() ? kDefaultNetwork : most->first;
}

std::optional<Prefix> first_free(const Prefix& network, const std::set<IpAddress>& taken) {
    const std::uint32_t last = network.last().v4_value();
    for (std::uint32_t value = network.address.v4_value() + 1; value < last; ++value) {
        if (!taken.contains(IpAddress::v4(value))) {
            return Prefix{IpAddress::v4(value), network.length};
        }
    }
    return std::nullopt;
}

}  // namespace

bool is_alone(const route::RouteTable& table) {
    return std::ranges::none_of(table.entries(), [&table](const route::RouteEntry& entry) {
        return is_other(table, entry);
    });
}

bool AutomaticAddress::gives_way(
    const route::RouteTable& table, const IpAddress& address, TimePoint now
) {
    std::optional<PeerId> rival;  // the one with the smallest id: entries are in their order
    for (const route::RouteEntry& entry : table.entries()) {
        const auto& theirs = entry.record->ipv4;
        if (!rival && is_other(table, entry) && theirs && theirs->address == address) {
            rival = entry.peer();
        }
    }
    if (!rival) {
        conflict_since_.reset();
        return false;
    }
    if (!conflict_since_) conflict_since_ = now;
    return *rival < table.self() || now - *conflict_since_ >= kPatience;
}

std::optional<Prefix> AutomaticAddress::choose(
    const route::RouteTable& table, const std::optional<Prefix>& current, TimePoint now
) {
    if (is_alone(table)) return current;
    const Prefix network = network_to_join(networks_in_use(table), current);
    const bool stays = current && current->network() == network.address &&
                       current->length == network.length &&
                       !gives_way(table, current->address, now);
    if (stays) return current;
    conflict_since_.reset();
    // Those who cannot be reached now may come back with what they have.
    std::set<IpAddress> taken;
    for (const route::RouteEntry& entry : table.entries()) {
        if (entry.peer() != table.self() && entry.record->ipv4) {
            taken.insert(entry.record->ipv4->address);
        }
    }
    return first_free(network, taken);
}

}  // namespace selvage::node
