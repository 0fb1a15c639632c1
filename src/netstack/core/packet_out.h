// Where a stack's packets go.
#pragma once

#include "base/ip.h"
#include "packet/packet_buf.h"

namespace selvage::netstack {

class PacketOut {
public:
    virtual ~PacketOut() = default;
    // Takes IP packets with full headroom. Must not poll the stack that calls.
    virtual void from_stack(packet::PacketBatch&& batch) = 0;
    // Whether the queue on the way to `destination` is so full that more would be lost. Streams
    // then keep what they have and ask again a little later.
    virtual bool congested(const IpAddress& destination) const {
        (void)destination;
        return false;
    }
};

}  // namespace selvage::netstack
