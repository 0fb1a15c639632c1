// Joins modules that do not know each other: each class hands calls of one module's interface to
// another module, and decides nothing.
#pragma once

#include "dataplane/forwarder.h"
#include "netstack/sockets/overlay_sockets.h"
#include "node/node.h"
#include "route/route_service.h"
#include "rpc/endpoint.h"

namespace selvage::node {

// Neighbours come and go: route is told. Their packets: the pipeline takes them.
class Node::PeerPlumbing final : public peer::PeerEvents {
public:
    explicit PeerPlumbing(Node& node) : node_(node) {}
    void on_peer_up(PeerId peer) override {
        node_.routes_.neighbour_up(peer, {.own_network = node_.peers_.is_member(peer)});
    }
    void on_peer_down(PeerId peer) override { node_.routes_.neighbour_down(peer); }
    void on_peer_packets(PeerId, packet::PacketBatch&& batch) override {
        node_.forwarder_.from_peers(std::move(batch));
    }

private:
    Node& node_;
};

// RPC messages into the pipeline and out of it.
class Node::RpcPlumbing final : public rpc::PacketPort, public dataplane::ControlSink {
public:
    explicit RpcPlumbing(Node& node) : node_(node) {}
    void send(PeerId to, packet::PacketType type, packet::PacketBuf&& message) override {
        node_.forwarder_.send_rpc(to, type, std::move(message));
    }
    void on_rpc_packet(PeerId from, packet::PacketType type, ByteView payload) override {
        node_.rpc_.on_packet(from, type, payload);
    }

private:
    Node& node_;
};

// Packets of our own stack into the pipeline and out of it.
class Node::StackPlumbing final : public netstack::PacketOut, public dataplane::StackPort {
public:
    explicit StackPlumbing(Node& node) : node_(node) {}
    void from_stack(packet::PacketBatch&& batch) override {
        node_.forwarder_.from_stack(std::move(batch));
    }
    void deliver(packet::PacketBatch&& batch) override { node_.overlay_.input(std::move(batch)); }
    bool has_tcp(const Endpoint& local, const Endpoint& remote) const override {
        return node_.stack_.has_tcp(local, remote);
    }

private:
    Node& node_;
};

}  // namespace selvage::node
