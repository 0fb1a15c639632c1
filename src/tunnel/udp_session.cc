// Sending and delivering on one UDP session. Nothing is queued here: the socket takes or drops.
#include "tunnel/udp_session.h"

#include "packet/peer_header.h"

namespace selvage::tunnel {

using packet::PacketBatch;
using packet::PacketBuf;

UdpSession::~UdpSession() {
    if (port_ != nullptr) port_->forget(key_);
}

void UdpSession::start(TunnelSink& sink) {
    sink_ = &sink;
    if (ended_) {
        report();
    } else if (!early_.empty()) {
        context_.runtime.post([self = shared_from_this()] { self->deliver_early(); });
    }
}

void UdpSession::deliver_early() {
    while (!early_.empty() && sink_ != nullptr && !ended_) {
        PacketBatch batch(context_.runtime.now());
        while (!early_.empty() && !batch.full()) {
            batch.push(std::move(early_.front()));
            early_.pop_front();
        }
        sink_->on_packets(std::move(batch));
    }
}

void UdpSession::receive(PacketBatch&& batch) {
    if (ended_) return;
    for (PacketBuf& packet : batch) {
        ++stats_.rx_packets;
        stats_.rx_bytes += packet.size();
    }
    if (sink_ != nullptr && early_.empty()) {
        sink_->on_packets(std::move(batch));
        return;
    }
    for (PacketBuf& packet : batch) {
        if (early_.size() < context_.options.unstarted_packets) {
            early_.push_back(std::move(packet));
        } else {
            ++stats_.rx_dropped;
        }
    }
}

void UdpSession::send(PacketBatch&& batch) {
    if (ended_) return;
    out_.clear();
    for (PacketBuf& packet : batch) {
        const bool fits = packet.size() >= sizeof(packet::PeerHeader) &&
                          packet.size() <= packet::kPeerPacketMax &&
                          packet.headroom() >= sizeof(UdpHeader);
        if (!fits) {
            ++stats_.tx_dropped;
            continue;
        }
        ++stats_.tx_packets;
        stats_.tx_bytes += packet.size();
        const UdpHeader header = build_udp_header(key_.conn_id, UdpType::data, packet.size());
        *packet.push_front<UdpHeader>() = header;
        out_.push_back({std::move(packet), key_.remote});
    }
    if (!out_.empty()) port_->transmit(out_);
    out_.clear();
}

void UdpSession::end(const Error& reason) {
    if (std::exchange(ended_, true)) return;
    reason_ = reason;
    early_.clear();
    port_->forget(key_);
    if (sink_ != nullptr) report();
    port_.reset();
}

void UdpSession::detach() {
    sink_ = nullptr;
    end(Errc::cancelled);
}

void UdpSession::report() {
    context_.runtime.post([self = shared_from_this()] {
        if (TunnelSink* sink = std::exchange(self->sink_, nullptr)) sink->on_closed(self->reason_);
    });
}

namespace {

class UdpTunnel final : public Tunnel {
public:
    explicit UdpTunnel(std::shared_ptr<UdpSession> session) : session_(std::move(session)) {}
    UdpTunnel(const UdpTunnel&) = delete;
    UdpTunnel& operator=(const UdpTunnel&) = delete;
    ~UdpTunnel() override { session_->detach(); }

    const TunnelInfo& info() const override { return session_->info(); }
    const TunnelStats& stats() const override { return session_->stats(); }
    void start(TunnelSink& sink) override { session_->start(sink); }
    void send(PacketBatch&& batch) override { session_->send(std::move(batch)); }
    void close() override { session_->end(Errc::closed); }

private:
    std::shared_ptr<UdpSession> session_;
};

}  // namespace

TunnelPtr make_udp_tunnel(std::shared_ptr<UdpSession> session) {
    return std::make_unique<UdpTunnel>(std::move(session));
}

}  // namespace selvage::tunnel
