// Connections that a service opens on behalf of a caller: resolved here, checked, then dialled.
//
// A name's addresses are tried as RFC 8305 has it: in turn, IPv6 and IPv4 alternating, each a
// quarter of a second after the one before or as soon as that one failed; the first that answers
// wins and the others are dropped. Destinations in the mesh are dialled through our own stack, all
// others from a socket of the host.
#pragma once

#include <vector>

#include "edge/destination.h"
#include "edge/node_view.h"
#include "rt/runtime.h"

namespace selvage::edge {

class Outbound {
public:
    // All outlive it.
    Outbound(
        rt::Runtime& runtime, const NodeView& node, Dialer& dialer, const DestinationPolicy& policy
    )
        : runtime_(runtime), node_(node), dialer_(dialer), policy_(policy) {}

    struct Connection {
        rt::StreamPtr stream;
        Destination to;  // with the address that was dialled
    };
    // Within kConnectLimit, resolving included. Errors: denied, not_found, timed_out, refused...
    rt::Task<Result<Connection>> connect(Caller caller, Destination to);
    // The addresses of `to` that the caller may use, at least one, at most kAddressesTried.
    rt::Task<Result<std::vector<IpAddress>>> find_addresses(Caller caller, Destination to);

    static constexpr Duration kConnectLimit = std::chrono::seconds(10);
    // A name with more addresses is either broken or a trap.
    static constexpr std::size_t kAddressesTried = 4;

private:
    struct Race;
    rt::Task<Result<Connection>> connect_now(Caller caller, Destination to);
    rt::Task<> attempt(Race& race, std::size_t index);
    rt::Task<Result<rt::StreamPtr>> dial(Endpoint to);

    rt::Runtime& runtime_;
    const NodeView& node_;
    Dialer& dialer_;
    const DestinationPolicy& policy_;
};

// IPv6 and IPv4 in turn, otherwise in the order given.
std::vector<IpAddress> interleave_families(const std::vector<IpAddress>& addresses);

}  // namespace selvage::edge
