// Datagram sockets as edge wants them, over those of our stack and those of the host.
#pragma once

#include <deque>
#include <memory>

#include "dataplane/claim_table.h"
#include "edge/node_view.h"
#include "host/sockets.h"
#include "netstack/sockets/udp_socket.h"
#include "packet/packet_buf.h"
#include "rt/event.h"

namespace selvage::node {

// On the mesh, from our virtual addresses; holds the claim of its port, if it has one.
class MeshDatagrams final : public edge::DatagramSocket {
public:
    MeshDatagrams(netstack::UdpSocketPtr socket, dataplane::Claim claim)
        : socket_(std::move(socket)), claim_(std::move(claim)) {}

    rt::Task<Result<Received>> receive(MutableByteView buffer) override;
    rt::Task<Result<>> send(Endpoint to, ByteView bytes) override;
    Endpoint local() const override { return {IpAddress(), socket_->port()}; }
    void close() override;

private:
    netstack::UdpSocketPtr socket_;
    dataplane::Claim claim_;
};

// On a socket of the host. What nobody takes in time is dropped, the newest first.
class HostDatagrams final : public edge::DatagramSocket {
public:
    static Result<edge::DatagramSocketPtr> open(
        rt::Runtime& runtime, packet::PacketPool& pool, host::Sockets& sockets, Endpoint local
    );
    ~HostDatagrams() override { close(); }

    rt::Task<Result<Received>> receive(MutableByteView buffer) override;
    rt::Task<Result<>> send(Endpoint to, ByteView bytes) override;
    Endpoint local() const override { return socket_->local(); }
    void close() override;

private:
    // The socket's sink and the coroutine that waits for datagrams share it.
    struct Inbox;
    HostDatagrams(packet::PacketPool& pool, host::UdpSocketPtr socket, std::shared_ptr<Inbox> inbox)
        : pool_(pool), socket_(std::move(socket)), inbox_(std::move(inbox)) {}

    packet::PacketPool& pool_;
    host::UdpSocketPtr socket_;
    std::shared_ptr<Inbox> inbox_;
};

}  // namespace selvage::node
