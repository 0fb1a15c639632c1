// FragmentSides: pieces of IP packets for our address go where the first piece went.
//
// With a kernel behind the NIC only the first fragment of a packet tells its ports, and with them
// whether the stack or the kernel gets it. The others follow it. One that overtakes the first
// waits here, because half a packet is of no use to either side.
//
//   first comes          its side is remembered for kLife, and who waited for it goes along
//   later, first known   goes where the first went
//   later, first unknown waits for kPatience, then it is dropped
//
// Bounds: kNotes sides are remembered; a new one takes the place of the one in its set that was
// unused for the longest time. kWaitingMax pieces wait, kWaitingPerPeer of one node; beyond that
// the oldest goes, of the same node first, so that a flood of fragments takes its own place.
#pragma once

#include <list>
#include <optional>
#include <vector>

#include "base/siphash.h"
#include "dataplane/flow_cache.h"
#include "packet/packet_buf.h"

namespace selvage::dataplane {

// Who takes packets for our address.
enum class Side : std::uint8_t { stack, nic };

class FragmentSides {
public:
    static constexpr Duration kLife = 30s;  // Linux keeps half a packet as long
    static constexpr Duration kPatience = 3s;
    static constexpr std::size_t kWaitingMax = 64;
    static constexpr std::size_t kWaitingPerPeer = 16;

    // `hash_key` keeps strangers from choosing packets that displace a certain one.
    explicit FragmentSides(SipKey hash_key) : notes_(hash_key) {}

    // Where the first piece of this packet went, if it came.
    std::optional<Side> find(const packet::IpMeta& later, TimePoint now);
    // Takes a later piece, meta data filled, until its first one comes. Says how many others, or
    // this one, had to go for it.
    std::size_t hold(packet::PacketBuf&& later, TimePoint now);
    // Remembers a first piece; gives those that waited for it, in the order they came.
    std::vector<packet::PacketBuf> note_first(
        const packet::PacketMeta& first, Side side, TimePoint now
    );
    // Drops who has waited long enough; says how many.
    std::size_t sweep(TimePoint now);

    std::size_t waiting() const { return waiting_.size(); }

private:
    static constexpr std::size_t kSets = 64;
    static constexpr std::size_t kWays = 4;
    struct Waiting {
        FlowCacheKey key;
        packet::PacketBuf packet;
        TimePoint until;
    };

    std::size_t make_room(PeerId peer);

    FlowCache<Side, kSets, kWays> notes_;  // its memory is taken with the first fragment
    bool reserved_ = false;
    std::list<Waiting> waiting_;  // oldest first
};

}  // namespace selvage::dataplane
