// The table of tracked flows.
#include "dataplane/flow_table.h"

#include <algorithm>

namespace selvage::dataplane {

std::size_t FlowTable::Hash::operator()(const FlowKey& flow) const {
    struct Packed {
        std::array<std::uint8_t, 16> local, remote;
        be16 local_port, remote_port;
        std::uint8_t protocol;
    } packed{
        flow.local.address.raw(), flow.remote.address.raw(), flow.local.port, flow.remote.port,
        flow.protocol
    };
    return siphash13(key, as_bytes_of(packed));
}

Flow* FlowTable::find(const FlowKey& key) {
    const auto found = flows_.find(key);
    return found == flows_.end() ? nullptr : &found->second;
}

bool FlowTable::insert(const FlowKey& key, FlowOwner owner, PeerId peer, TimePoint now) {
    if (Flow* flow = find(key)) {
        flow->last_seen = now;
        return true;
    }
    if (flows_.size() >= limits_.total) return false;
    if (peer) {
        std::size_t& count = per_peer_[peer];
        if (count >= limits_.per_peer) return false;
        ++count;
    }
    flows_.emplace(key, Flow{owner, peer, now});
    return true;
}

void FlowTable::bind_peer(Flow& flow, PeerId peer) {
    if (flow.peer || !peer) return;
    flow.peer = peer;
    ++per_peer_[peer];
}

FlowTable::Map::iterator FlowTable::erase(Map::iterator at) {
    if (const PeerId peer = at->second.peer) {
        const auto count = per_peer_.find(peer);
        if (--count->second == 0) per_peer_.erase(count);
    }
    return flows_.erase(at);
}

void FlowTable::erase(const FlowKey& key) {
    if (const auto found = flows_.find(key); found != flows_.end()) erase(found);
}

void FlowTable::sweep(const StackPort& stack, TimePoint now) {
    constexpr auto kTcp = static_cast<std::uint8_t>(packet::IpProtocol::tcp);
    for (auto it = flows_.begin(); it != flows_.end();) {
        const Flow& flow = it->second;
        const Duration idle = now - flow.last_seen;
        const bool stack_tcp = flow.owner == FlowOwner::stack && it->first.protocol == kTcp;
        const bool gone =
            stack_tcp ? idle > kStackGrace && !stack.has_tcp(it->first.local, it->first.remote)
                      : idle > kIdleLimit;
        it = gone ? erase(it) : std::next(it);
    }
}

bool FlowTable::kernel_uses(std::uint8_t protocol, std::uint16_t port) const {
    return std::ranges::any_of(flows_, [&](const auto& entry) {
        const auto& [key, flow] = entry;
        return flow.owner == FlowOwner::kernel && key.protocol == protocol &&
               key.local.port == port;
    });
}

std::size_t FlowTable::size_of(PeerId peer) const {
    const auto found = per_peer_.find(peer);
    return found == per_peer_.end() ? 0 : found->second;
}

}  // namespace selvage::dataplane
