// Where a stack's packets go.
#pragma once

#include "packet/packet_buf.h"

namespace selvage::netstack {

class PacketOut {
public:
    virtual ~PacketOut() = default;
    // Takes IP packets with full headroom. Must not poll the stack that calls.
    virtual void from_stack(packet::PacketBatch&& batch) = 0;
};

}  // namespace selvage::netstack
