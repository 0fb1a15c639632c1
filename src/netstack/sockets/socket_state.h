// What a handle and the coroutines that wait on it share. The handle may be destroyed while a
// coroutine is between its wake-up and its next step; the state then says so.
#pragma once

#include "netstack/sockets/overlay_sockets.h"
#include "rt/event.h"

namespace selvage::netstack {

struct OverlaySockets::TcpSocketState {
    TcpSocketState(OverlaySockets& sockets, TcpId tcp)
        : owner(&sockets), id(tcp), readable(sockets.runtime_), writable(sockets.runtime_) {}
    OverlaySockets* owner;  // nullptr once closed, or when the sockets are gone
    TcpId id;
    rt::Event readable;
    rt::Event writable;  // also: connected

    void detach() {
        owner = nullptr;
        readable.notify();
        writable.notify();
    }
};

struct OverlaySockets::ListenerState {
    ListenerState(OverlaySockets& sockets, ListenerId listener)
        : owner(&sockets), id(listener), acceptable(sockets.runtime_) {}
    OverlaySockets* owner;
    ListenerId id;
    rt::Event acceptable;

    void detach() {
        owner = nullptr;
        acceptable.notify();
    }
};

struct OverlaySockets::UdpState {
    UdpState(OverlaySockets& sockets, UdpId udp)
        : owner(&sockets), id(udp), readable(sockets.runtime_), writable(sockets.runtime_) {}
    OverlaySockets* owner;
    UdpId id;
    rt::Event readable;
    rt::Event writable;  // the stack was polled

    void detach() {
        owner = nullptr;
        readable.notify();
        writable.notify();
    }
};

}  // namespace selvage::netstack
