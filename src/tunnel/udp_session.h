// One session on a UdpPort, and its handle as a Tunnel.
#pragma once

#include <deque>
#include <memory>

#include "tunnel/udp_port.h"

namespace selvage::tunnel {

class UdpSession : public std::enable_shared_from_this<UdpSession> {
public:
    UdpSession(
        TransportContext& context, std::shared_ptr<UdpPort> port, UdpSessionKey key, TunnelInfo info
    )
        : context_(context), port_(std::move(port)), key_(key), info_(std::move(info)) {}
    UdpSession(const UdpSession&) = delete;
    UdpSession& operator=(const UdpSession&) = delete;
    ~UdpSession();

    void start(TunnelSink& sink);
    void send(packet::PacketBatch&& batch);
    void end(const Error& reason);
    // The handle goes: nothing is reported any more.
    void detach();
    // Peer packets without the tunnel header.
    void receive(packet::PacketBatch&& batch);

    const TunnelInfo& info() const { return info_; }
    const TunnelStats& stats() const { return stats_; }

private:
    void report();
    void deliver_early();

    TransportContext& context_;
    std::shared_ptr<UdpPort> port_;  // until the end
    UdpSessionKey key_;
    TunnelInfo info_;
    TunnelStats stats_;
    TunnelSink* sink_ = nullptr;
    std::deque<packet::PacketBuf> early_;  // before start(): unstarted_packets
    std::vector<host::Datagram> out_;      // at most a batch, within one send()
    bool ended_ = false;
    Error reason_ = Errc::closed;
};

TunnelPtr make_udp_tunnel(std::shared_ptr<UdpSession> session);

}  // namespace selvage::tunnel
