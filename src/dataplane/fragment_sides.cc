// Remembering first fragments and keeping those that came before them.
#include "dataplane/fragment_sides.h"

#include <algorithm>

namespace selvage::dataplane {
namespace {

// What the pieces of one packet have in common (RFC 791, RFC 8200). The id takes the place of the
// ports, which a later piece does not have.
FlowCacheKey key_of(const packet::IpMeta& ip) {
    FlowCacheKey key;
    key.source = ip.source.raw();
    key.destination = ip.destination.raw();
    key.source_groups = ip.fragment_id;
    key.protocol = ip.protocol;
    return key;
}

}  // namespace

std::optional<Side> FragmentSides::find(const packet::IpMeta& later, TimePoint now) {
    const Side* side = notes_.find(key_of(later), now, kLife);
    return side == nullptr ? std::nullopt : std::optional(*side);
}

std::size_t FragmentSides::hold(packet::PacketBuf&& later, TimePoint now) {
    const std::size_t dropped = make_room(later.meta().from_peer);
    const FlowCacheKey key = key_of(*later.meta().ip);
    waiting_.push_back({.key = key, .packet = std::move(later), .until = now + kPatience});
    return dropped;
}

std::size_t FragmentSides::make_room(PeerId peer) {
    const auto of_peer = [peer](const Waiting& each) {
        return each.packet.meta().from_peer == peer;
    };
    const auto share = static_cast<std::size_t>(std::ranges::count_if(waiting_, of_peer));
    if (share >= kWaitingPerPeer) {
        waiting_.erase(std::ranges::find_if(waiting_, of_peer));
        return 1;
    }
    if (waiting_.size() < kWaitingMax) return 0;
    waiting_.pop_front();
    return 1;
}

std::vector<packet::PacketBuf> FragmentSides::note_first(
    const packet::PacketMeta& first, Side side, TimePoint now
) {
    if (!reserved_) notes_.reserve();
    reserved_ = true;
    const FlowCacheKey key = key_of(*first.ip);
    // An id comes round again before its note is old: the newer packet counts.
    if (Side* known = notes_.find(key, now, kLife)) {
        *known = side;
    } else {
        notes_.put(key, side, now);
    }
    std::vector<packet::PacketBuf> out;
    for (auto it = waiting_.begin(); it != waiting_.end();) {
        if (it->key == key) {
            out.push_back(std::move(it->packet));
            it = waiting_.erase(it);
        } else {
            ++it;
        }
    }
    return out;
}

std::size_t FragmentSides::sweep(TimePoint now) {
    std::size_t dropped = 0;
    for (; !waiting_.empty() && waiting_.front().until <= now; ++dropped)
        waiting_.pop_front();
    return dropped;
}

}  // namespace selvage::dataplane
