// ICMP and ICMPv6 (RFC 792, RFC 4443): echo replies, port unreachable, and reading the errors that
// concern our own flows.
#pragma once

#include <optional>

#include "netstack/core/ip_output.h"
#include "netstack/core/rate_limit.h"
#include "netstack/core/socket_ids.h"
#include "netstack/core/stack_options.h"

namespace selvage::netstack {

// What an error message says about a packet that we have sent, or are said to have sent.
struct IcmpError {
    FlowKey flow;
    std::uint8_t protocol = 0;
    CloseReason reason = CloseReason::unreachable;
    ByteView transport;  // quoted, from the transport header on
};

class IcmpLayer {
public:
    IcmpLayer(const StackOptions& options, StackCounters& counters, IpOutput& output);

    // `ip` describes `packet`. Answers an echo request; gives an error for the caller to pass on
    // to the flow that it quotes, borrowed from the packet.
    std::optional<IcmpError> input(
        const packet::PacketBuf& packet, const packet::IpMeta& ip, TimePoint now
    );
    // Tells the sender of `packet` that nobody listens on that port.
    void send_port_unreachable(
        const packet::PacketBuf& packet, const packet::IpMeta& ip, TimePoint now
    );

private:
    void answer_echo(ByteView request, const packet::IpMeta& ip, TimePoint now);

    StackCounters& counters_;
    IpOutput& output_;
    RateLimit echo_replies_;
    RateLimit unreachables_;
};

}  // namespace selvage::netstack
