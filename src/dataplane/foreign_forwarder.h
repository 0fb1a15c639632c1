// ForeignForwarder: the pipeline inside a network that we host and do not belong to. It has no key,
// so everything but the calls of our own route service goes on as it came.
//
//   from_peers:   sound? -> for us: a call -> RPC
//                           for others: data allowed? within the rate? -> direct | wrapped
//   from_server:  the same, but only to direct connections: what was wrapped once is not wrapped
//                 again, so that two servers never play a packet back and forth
//
// As in stock nodes, the hop count is neither looked at nor raised here.
// Source: protocol document 2-control.md, sections 6.5 and 6.6.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/byte_budget.h"
#include "dataplane/ports.h"
#include "dataplane/verdict.h"
#include "peer/peer_table.h"
#include "route/route_table.h"
#include "rt/runtime.h"

namespace selvage::dataplane {

struct ForeignOptions {
    PeerId my_id;  // in that network
    std::string network_name;
    bool relays_data = true;  // false: only calls and other control packets are carried
    // Payload of data packets; more is dropped. None: no limit.
    std::optional<std::uint64_t> bytes_per_second;
};

// Of all networks that are or were hosted.
struct ForeignCounters {
    std::uint64_t forwarded_packets = 0, forwarded_bytes = 0;  // to a direct connection
    std::uint64_t wrapped_packets = 0;                         // to another server
    std::uint64_t unwrapped_packets = 0;                       // from another server
    std::uint64_t rpc_rx_packets = 0, rpc_tx_packets = 0;
};

// The way to the other servers of the network.
class ForeignLink {
public:
    virtual ~ForeignLink() = default;
    // `via` is a server by its id in the network; `wrapped` the payload of a packet of type 10.
    virtual std::optional<DropReason> send_wrapped(PeerId via, packet::PacketBuf&& wrapped) = 0;
};

class ForeignForwarder {
public:
    // Everything by reference outlives it.
    ForeignForwarder(
        ForeignOptions options, rt::Runtime& runtime, packet::PacketPool& pool,
        peer::PeerTable& peers, ForeignLink& link, ControlSink& control, ForeignCounters& counters,
        DropCounters& drops
    );

    void set_routes(std::shared_ptr<const route::RouteTable> routes) {
        routes_ = std::move(routes);
    }
    void set_relays_data(bool relays) { options_.relays_data = relays; }

    // Peer packets of a direct client.
    void from_peers(packet::PacketBatch&& batch);
    // The inner packet of one that another server wrapped for `to`.
    void from_server(PeerId to, packet::PacketBuf&& packet);
    // A message of our own route service.
    void send_rpc(PeerId to, packet::PacketType type, packet::PacketBuf&& message);

private:
    // Packets that go to one connection in a row.
    struct Run {
        PeerId neighbour;
        packet::PacketBatch batch;
    };
    enum class Wrap : std::uint8_t { yes, no };

    std::optional<DropReason> on_packet(packet::PacketBuf& packet, Wrap wrap, Run& run);
    std::optional<DropReason> deliver(const packet::PacketBuf& packet);
    std::optional<DropReason> check_data(const packet::PacketBuf& packet, TimePoint now);
    std::optional<DropReason> emit(packet::PacketBuf& packet, PeerId to, Wrap wrap, Run& run);
    void flush(Run& run);

    ForeignOptions options_;
    rt::Runtime& runtime_;
    packet::PacketPool& pool_;
    peer::PeerTable& peers_;
    ForeignLink& link_;
    ControlSink& control_;
    ForeignCounters& counters_;
    DropCounters& drops_;
    std::optional<ByteBudget> budget_;
    std::shared_ptr<const route::RouteTable> routes_;
};

}  // namespace selvage::dataplane
