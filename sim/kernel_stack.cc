// The kernel's side of mesh connections.
#include "sim/kernel_stack.h"

namespace selvage::sim {

netstack::StackSeeds stack_seeds(Host& host) {
    rt::Rng& rng = host.runtime().rng();
    return {{rng.next(), rng.next()}, {rng.next(), rng.next()}};
}

KernelStack::KernelStack(Host& host)
    : host_(host), stack_({}, pool_, stack_seeds(host)), sockets_(host.runtime(), stack_, *this) {
    host_.tun().set_user(this);
    on_address_change();
}

KernelStack::~KernelStack() {
    host_.tun().set_user(nullptr);
}

void KernelStack::on_address_change() {
    const auto& addresses = host_.tun().addresses();
    sockets_.set_addresses({addresses.begin(), addresses.end()});
}

void KernelStack::on_packet(ByteView packet) {
    packet::PacketBatch batch(host_.runtime().now());
    if (auto buffer = pool_.copy(packet)) batch.push(std::move(buffer));
    if (!batch.empty()) sockets_.input(std::move(batch));
}

void KernelStack::from_stack(packet::PacketBatch&& batch) {
    for (packet::PacketBuf& packet : batch)
        host_.tun().send(packet.bytes());
    batch.clear();
}

}  // namespace selvage::sim
