// ICMP and ICMPv6 (RFC 792, RFC 4443): echo replies, errors about what we cannot deliver, and
// reading the errors that concern our own flows.
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
    ByteView transport;                // quoted, from the transport header on
    std::optional<std::uint32_t> mtu;  // the packet was larger than the path carries: this much
};

// Why we could not deliver a packet.
enum class Undeliverable : std::uint8_t { port, protocol, incomplete };

class IcmpLayer {
public:
    IcmpLayer(const StackOptions& options, StackCounters& counters, IpOutput& output);

    // `ip` describes `packet`. Answers an echo request; gives an error for the caller to pass on
    // to the flow that it quotes, borrowed from the packet.
    std::optional<IcmpError> input(ByteView packet, const packet::IpMeta& ip, TimePoint now);
    // Tells the sender of `packet`, of which `packet` may be only the beginning.
    void send_error(Undeliverable why, ByteView packet, const packet::IpMeta& ip, TimePoint now);

private:
    void answer_echo(ByteView request, const packet::IpMeta& ip, TimePoint now);

    StackCounters& counters_;
    IpOutput& output_;
    RateLimit echo_replies_;
    RateLimit unreachables_;
};

}  // namespace selvage::netstack
