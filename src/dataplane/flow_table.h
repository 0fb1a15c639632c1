// FlowTable: whose a connection is, from its first packet to its last.
//
// Only flows that touch our services are entered: those whose first packet hit a claim, those that
// our stack opened, and those that the host opened from a port that a claim or our stack's own
// range covers (so that their answers are not mistaken for calls). Everything else is the kernel's
// without an entry.
//
//   stack   the packets go to our stack, as long as it knows the connection
//   kernel  the packets go to the NIC
//
// Bounded in total and per peer; a new flow beyond a bound is refused, an old one never evicted:
// a flood must not end what works. Entries age: a stack flow goes when the stack no longer has the
// connection, others after kIdleLimit without a packet.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "base/ids.h"
#include "base/ip.h"
#include "base/siphash.h"
#include "base/time.h"
#include "dataplane/ports.h"

namespace selvage::dataplane {

enum class FlowOwner : std::uint8_t { stack, kernel };

struct FlowKey {
    std::uint8_t protocol = 0;
    Endpoint local;
    Endpoint remote;
    friend bool operator==(const FlowKey&, const FlowKey&) = default;
};

struct Flow {
    FlowOwner owner = FlowOwner::kernel;
    PeerId peer;  // the caller, once known; none for flows that we opened and nobody answered yet
    TimePoint last_seen{};
};

class FlowTable {
public:
    static constexpr Duration kIdleLimit = std::chrono::seconds(180);
    // A TCP connection that the stack has just been given may not be in its tables yet.
    static constexpr Duration kStackGrace = std::chrono::seconds(2);

    struct Limits {
        std::size_t total = 65536;
        std::size_t per_peer = 8192;
    };

    // `hash_key` keeps strangers from choosing addresses that collide.
    explicit FlowTable(SipKey hash_key, Limits limits)
        : limits_(limits), flows_(16, Hash{hash_key}) {}

    // The live flow of this key, or nullptr. The pointer is valid until the table changes.
    Flow* find(const FlowKey& key);
    // False when a bound is reached.
    bool insert(const FlowKey& key, FlowOwner owner, PeerId peer, TimePoint now);
    // Notes who answers a flow that we opened ourselves.
    void bind_peer(Flow& flow, PeerId peer);
    void erase(const FlowKey& key);
    // Removes what has aged; call about once a second.
    void sweep(const StackPort& stack, TimePoint now);

    // Whether a flow of the kernel has this local port. Walks the table: for opening connections.
    bool kernel_uses(std::uint8_t protocol, std::uint16_t port) const;

    std::size_t size() const { return flows_.size(); }
    std::size_t size_of(PeerId peer) const;

private:
    struct Hash {
        SipKey key;
        std::size_t operator()(const FlowKey& flow) const;
    };
    using Map = std::unordered_map<FlowKey, Flow, Hash>;
    Map::iterator erase(Map::iterator at);

    Limits limits_;
    Map flows_;
    std::unordered_map<PeerId, std::size_t> per_peer_;
};

}  // namespace selvage::dataplane
