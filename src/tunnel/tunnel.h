// A Tunnel is a connected pipe of whole peer packets (16-byte header and payload).
//
// Two bounded queues stand behind send(): control packets (packet::is_control) may not be lost, so
// a full control queue closes the tunnel with a reason; data packets may, so a full data queue
// drops the oldest of whoever has the most there. Control goes out first, data in fair turns.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "packet/packet_buf.h"

namespace selvage::tunnel {

struct TunnelInfo {
    std::string scheme;           // "tcp"
    std::string local;            // our end as a URL; on the accepting side the listener's
    std::string remote;           // the other end as configured or, when accepted, as seen
    std::string resolved_remote;  // the other end as an address URL
};

struct TunnelStats {
    std::uint64_t rx_packets = 0;
    std::uint64_t rx_bytes = 0;  // peer packets, without the transport's own header
    std::uint64_t tx_packets = 0;
    std::uint64_t tx_bytes = 0;
    std::uint64_t tx_dropped = 0;  // data packets that waited too long, or found no room
    std::uint64_t rx_dropped = 0;  // packets that were too large for a block, or came too early
};

class TunnelSink {
public:
    virtual ~TunnelSink() = default;
    // Whole peer packets, each at least a header long. May call Tunnel::send and close from inside.
    virtual void on_packets(packet::PacketBatch&& batch) = 0;
    // Exactly once, last, never from inside send() or close(). The tunnel may be destroyed in it.
    virtual void on_closed(const Error& reason) = 0;
};

class Tunnel {
public:
    virtual ~Tunnel() = default;
    virtual const TunnelInfo& info() const = 0;
    virtual const TunnelStats& stats() const = 0;
    // Begins to deliver. `sink` outlives the tunnel or its on_closed.
    virtual void start(TunnelSink& sink) = 0;
    // Takes the batch; never blocks, never throws. Packets beyond the transport's limit are
    // dropped. Also before start().
    virtual void send(packet::PacketBatch&& batch) = 0;
    // Idempotent; on_closed still follows when start() was called.
    virtual void close() = 0;
};
using TunnelPtr = std::unique_ptr<Tunnel>;

}  // namespace selvage::tunnel
