// Chooses our IPv4 address from what the routes show: nobody hands addresses out (4-gateway.md,
// section 2.5).
//
// There must be somebody else in the network: alone one would choose what others have, too. The
// network is the one that members use, or 10.126.126.0/24 where nobody has an address; the address
// is the first in it that nobody has. Two nodes that choose at the same moment choose the same.
// Stock nodes then both move; of two Selvage nodes the one with the smaller id keeps it. It keeps
// it for kPatience only, because the other may have a static address and never move.
#pragma once

#include <optional>

#include "base/ip.h"
#include "base/time.h"
#include "route/route_table.h"

namespace selvage::node {

class AutomaticAddress {
public:
    // Longer than a stock node takes to look again (9 s), and the way there and back.
    static constexpr Duration kPatience = std::chrono::seconds(12);
    // The pauses between two looks: while nobody is there, and after that, drawn at random between
    // the other two as stock nodes do.
    static constexpr Duration kAlonePause = std::chrono::seconds(1);
    static constexpr Duration kPauseMin = std::chrono::seconds(5);
    static constexpr Duration kPauseMax = std::chrono::seconds(9);

    // What our address should be from now on; none when no address of the network is free.
    std::optional<Prefix> choose(
        const route::RouteTable& table, const std::optional<Prefix>& current, TimePoint now
    );

private:
    // Whether to give way to those who have our address.
    bool gives_way(const route::RouteTable& table, const IpAddress& address, TimePoint now);

    std::optional<TimePoint> conflict_since_;
};

// Whether the table shows anybody but ourselves who can be reached.
bool is_alone(const route::RouteTable& table);

}  // namespace selvage::node
