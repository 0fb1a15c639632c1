// TCP and UDP of a simulated kernel behind its TUN device: an instance of our own stack, with the
// device's addresses, for the programs of the host that use the mesh through it.
//
//   KernelStack kernel(host);
//   auto stream = co_await kernel.sockets().dial_tcp({peer_virtual_ip, 1080}, 10s);
#pragma once

#include "netstack/sockets/overlay_sockets.h"
#include "sim/host.h"

namespace selvage::sim {

class KernelStack final : private TunUser, private netstack::PacketOut {
public:
    // `host` outlives this; it takes over what arrives through the host's TUN device.
    explicit KernelStack(Host& host);
    ~KernelStack() override;

    netstack::OverlaySockets& sockets() { return sockets_; }
    const netstack::Stack& stack() const { return stack_; }

private:
    void on_packet(ByteView packet) override;
    void on_address_change() override;
    void from_stack(packet::PacketBatch&& batch) override;

    Host& host_;
    packet::PacketPool pool_;
    netstack::Stack stack_;
    netstack::OverlaySockets sockets_;
};

// Seeds for a stack on this host, repeatable.
netstack::StackSeeds stack_seeds(Host& host);

}  // namespace selvage::sim
