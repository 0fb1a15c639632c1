// UDP sockets that work on trains of datagrams.
//
// Receiving: one recvmmsg a turn into a scratch area that all sockets of a loop share; with UDP_GRO
// one message of it may hold many datagrams. Each is copied once, into a block of the pool with
// full headroom. When the pool is empty nothing is read until blocks come back, so that the
// kernel's queue holds or loses the datagrams.
//
// Sending: runs of equal size to one destination leave as one message with UDP_SEGMENT, all
// messages of a call in one sendmmsg. Where a device cannot segment (EIO) the socket goes on
// without. What the kernel has no room for waits in a short backlog.
#pragma once

#include <memory>

#include "base/log.h"
#include "host/offloads.h"
#include "host/sockets.h"
#include "rt/runtime.h"

namespace selvage::host {

class UdpSocketFactory {
public:
    UdpSocketFactory(rt::Runtime& runtime, packet::PacketPool& pool, Log log, Offloads offloads);
    Result<UdpSocketPtr> open(Endpoint local, const UdpOptions& options);

    struct Scratch;

private:
    rt::Runtime& runtime_;
    packet::PacketPool& pool_;
    Log log_;
    Offloads offloads_;
    std::shared_ptr<Scratch> scratch_;
};

}  // namespace selvage::host
