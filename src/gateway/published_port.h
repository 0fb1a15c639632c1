// A port of our virtual address that this process serves: the claim that takes its connections out
// of the packet pipeline and the listener that accepts them, taken and released together.
#pragma once

#include "dataplane/claim_table.h"
#include "netstack/sockets/overlay_sockets.h"
#include "rt/stream.h"

namespace selvage::gateway {

// Errors: in_use (another service of this node, or our stack, has the port).
Result<rt::AcceptorPtr> publish_tcp_port(
    dataplane::ClaimTable& claims, netstack::OverlaySockets& sockets, std::uint16_t port
);

// Likewise for datagrams; port 0 takes a free one of our stack's own range.
struct PublishedUdp {
    netstack::UdpSocketPtr socket;
    dataplane::Claim claim;  // destroyed first
};
Result<PublishedUdp> publish_udp_port(
    dataplane::ClaimTable& claims, netstack::OverlaySockets& sockets, std::uint16_t port
);

}  // namespace selvage::gateway
