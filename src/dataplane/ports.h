// The neighbours of the Forwarder: who takes what it delivers. The modules above implement them.
#pragma once

#include <optional>

#include "base/ids.h"
#include "base/ip.h"
#include "dataplane/verdict.h"
#include "packet/packet_buf.h"
#include "packet/peer_header.h"

namespace selvage::dataplane {

// Our own TCP/IP stack, seen from the pipeline.
class StackPort {
public:
    virtual ~StackPort() = default;
    // IP packets for our addresses, meta().ip filled, in order.
    virtual void deliver(packet::PacketBatch&& batch) = 0;
    // Whether the stack has this TCP connection, in any state but closed (TIME-WAIT counts).
    virtual bool has_tcp(const Endpoint& local, const Endpoint& remote) const = 0;
};

// Where local packets go that nothing in this process claims.
class NicPort {
public:
    virtual ~NicPort() = default;
    // False when there is no operating system behind it (no-TUN mode).
    virtual bool has_kernel() const = 0;
    virtual void send(packet::PacketBatch&& batch) = 0;
};

// No device: the stack answers for the whole address, so nothing arrives here.
class NullPort final : public NicPort {
public:
    bool has_kernel() const override { return false; }
    void send(packet::PacketBatch&&) override {}
};

// RPC packets for this node, clear. `payload` is the RPC message.
class ControlSink {
public:
    virtual ~ControlSink() = default;
    virtual void on_rpc_packet(PeerId from, packet::PacketType type, ByteView payload) = 0;
};

// Packets of type 10 for this node, sound, header in front: those of networks that it hosts.
class ForeignSink {
public:
    virtual ~ForeignSink() = default;
    virtual std::optional<DropReason> on_foreign_packet(packet::PacketBuf&& packet) = 0;
};

}  // namespace selvage::dataplane
