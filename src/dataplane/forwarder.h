// The packet pipeline of a node. The order of its stages is the order of the code here.
//
//   from_peers:  parse -> relay? -> open -> admit -> classify -+-> stack
//                           |                                  +-> control (RPC)
//                           +-> next hop (hops + 1)            +-> NIC
//   from_nic:    parse -> admit -> note flow -> resolve -> seal -> emit
//   from_stack:  parse -> admit -> note flow -> resolve -> seal -> emit
//   send_rpc:                                     seal -> emit
//
// Which side gets a packet for our own address (classify), with a kernel behind the NIC:
//   TCP  SYN without ACK to a claimed port: a flow of the stack begins, unless the host itself
//        opened that very connection. Segments of a stack flow follow it. All else is the kernel's.
//   UDP  to a claimed port: the stack's, except answers to the host's own sockets.
//   Fragments follow the first one of their packet and wait for it (fragment_sides.h).
//   ICMP errors go where the flow that they quote belongs; all else is the kernel's.
// Without a kernel everything for our address is the stack's, which refuses what nobody serves.
//
// Packets move in batches and are never copied but for broadcasts. A drop is a counter.
#pragma once

#include <memory>
#include <variant>

#include "dataplane/acl.h"
#include "dataplane/claim_table.h"
#include "dataplane/drop_log.h"
#include "dataplane/flow_table.h"
#include "dataplane/fragment_sides.h"
#include "dataplane/options.h"
#include "dataplane/payload_codec.h"
#include "dataplane/ports.h"
#include "dataplane/tap.h"
#include "dataplane/verdict.h"
#include "peer/peer_table.h"
#include "route/route_table.h"
#include "rt/runtime.h"

namespace selvage::dataplane {

struct TrafficCounters {
    std::uint64_t rx_packets = 0, rx_bytes = 0;                // data for us
    std::uint64_t tx_packets = 0, tx_bytes = 0;                // data from us
    std::uint64_t forwarded_packets = 0, forwarded_bytes = 0;  // for others
    std::uint64_t rpc_rx_packets = 0, rpc_tx_packets = 0;
};

class Forwarder {
public:
    Forwarder(
        DataplaneOptions options, PayloadCodec codec, rt::Runtime& runtime, peer::PeerTable& peers
    );

    // Before the first packet; each outlives the Forwarder.
    void attach(StackPort& stack, NicPort& nic, ControlSink& control);
    // Without it packets of other networks are dropped. Outlives the Forwarder.
    void attach_foreign(ForeignSink& foreign) { foreign_ = &foreign; }
    void set_routes(std::shared_ptr<const route::RouteTable> routes);
    // Who may send what: at the start and on a reload. Holds for live flows, too. What our own
    // route record has to say afterwards is acl().groups().claims().
    void apply_acl(AclRules rules);

    // Our virtual addresses from now on. Flows of addresses that are gone age like others.
    void set_addresses(const NodeAddresses& addresses) { addresses_ = addresses; }
    const std::shared_ptr<const route::RouteTable>& routes() const { return routes_; }
    // Which way packets of this node take from now on.
    void set_latency_first(bool latency_first) { options_.latency_first = latency_first; }

    // Peer packets from a neighbour, header in front.
    void from_peers(packet::PacketBatch&& batch);
    // IP packets of this host, from the TUN device.
    void from_nic(packet::PacketBatch&& batch);
    // IP packets of our stack.
    void from_stack(packet::PacketBatch&& batch);
    // An RPC message to any node of the mesh, ourselves included.
    void send_rpc(PeerId to, packet::PacketType type, packet::PacketBuf&& message);
    // A wrapped packet of another network to the server that hosts it as well; `from` is our id in
    // that network.
    std::optional<DropReason> send_foreign(PeerId from, PeerId server, packet::PacketBuf&& wrapped);
    // Once a second: lets flows age.
    void sweep();

    ClaimTable& claims() { return claims_; }
    const FlowTable& flows() const { return flows_; }
    const Acl& acl() const { return acl_; }
    const DropCounters& drops() const { return drops_; }
    Taps& taps() { return taps_; }
    const DropLog& drop_log() const { return drop_log_; }
    const TrafficCounters& traffic() const { return traffic_; }
    // Whether a connection of the host itself uses this port of our address, as far as it concerns
    // us (see note_local_flow).
    bool kernel_uses(packet::IpProtocol protocol, std::uint16_t port) const {
        return flows_.kernel_uses(static_cast<std::uint8_t>(protocol), port);
    }
    // Who opened the connection that a service sees; none when it is gone.
    PeerId peer_of_flow(std::uint8_t protocol, const Endpoint& local, const Endpoint& remote);

private:
    // What one batch turns into, handed over when the batch is done, so that trains stay together.
    struct Outbox;
    struct Waits {};  // a fragment that cannot be placed before the first one of its packet
    using Placed = std::variant<Side, DropReason, Waits>;

    // Counts a drop and keeps what it was about.
    void note_drop(
        DropReason reason, const Arrival& arrival, const packet::PacketBuf& packet, TimePoint now
    );
    std::optional<DropReason> on_peer_packet(packet::PacketBuf& packet, Outbox& out);
    std::optional<DropReason> relay(packet::PacketBuf& packet, Outbox& out);
    std::optional<DropReason> deliver(packet::PacketBuf& packet, Outbox& out);
    std::optional<DropReason> deliver_data(packet::PacketBuf& packet, Outbox& out);
    std::optional<DropReason> admit_in(PeerId from, const packet::IpMeta& ip, TimePoint now);
    std::optional<DropReason> admit_out(const packet::IpMeta& ip, TimePoint now);
    // Whether the inner source address belongs to the node that the packet says it is from.
    bool may_send_from(PeerId peer, const IpAddress& source);
    Placed classify(const packet::IpMeta& ip, ByteView bytes, PeerId from, TimePoint now);
    Placed classify_ports(const packet::IpMeta& ip, PeerId from, TimePoint now);
    Placed classify_tcp(const packet::IpMeta& ip, PeerId from, TimePoint now);
    Side classify_udp(const packet::IpMeta& ip, TimePoint now);
    Placed classify_icmp(const packet::IpMeta& ip, ByteView bytes, PeerId from);
    // Whether anything but the kernel could take a packet for our address.
    bool shares_address() const { return claims_.size() != 0 || flows_.size() != 0; }
    void hand_over(packet::PacketBuf&& packet, Side side, Outbox& out);

    std::optional<DropReason> on_local_packet(packet::PacketBuf& packet, Side side, Outbox& out);
    void note_local_flow(const packet::IpMeta& ip, Side side, TimePoint now);
    std::optional<DropReason> emit_ip(packet::PacketBuf& packet, Outbox& out);
    std::optional<DropReason> broadcast(packet::PacketBuf& packet, Outbox& out);
    std::optional<DropReason> emit(packet::PacketBuf& packet, Outbox& out);
    std::optional<PeerId> next_hop(const packet::PeerHeader& header) const;
    // The exit node that carries traffic to and from this address; none for what is in the mesh.
    std::optional<PeerId> exit_node_for(const IpAddress& outside) const;
    // Whether everybody gets what is sent there.
    bool is_broadcast(const IpAddress& destination) const;
    bool is_ours(const IpAddress& address) const { return addresses_.has(address); }
    void flush(Outbox& out);
    void loop_to_stack(packet::PacketBuf&& packet);

    DataplaneOptions options_;
    NodeAddresses addresses_;
    PayloadCodec codec_;
    rt::Runtime& runtime_;
    peer::PeerTable& peers_;
    StackPort* stack_ = nullptr;
    NicPort* nic_ = nullptr;
    ControlSink* control_ = nullptr;
    ForeignSink* foreign_ = nullptr;
    std::shared_ptr<const route::RouteTable> routes_;
    struct {
        PeerId peer;
        IpAddress address;
        std::uint64_t generation = 0;
    } last_source_;
    Acl acl_;
    ClaimTable claims_;
    FlowTable flows_;
    FragmentSides fragments_;
    DropCounters drops_;
    DropLog drop_log_;
    Taps taps_;
    TrafficCounters traffic_;
};

}  // namespace selvage::dataplane
