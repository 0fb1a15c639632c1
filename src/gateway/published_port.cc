// An acceptor that owns its claim.
#include "gateway/published_port.h"

namespace selvage::gateway {
namespace {

class PublishedPort final : public rt::Acceptor {
public:
    PublishedPort(dataplane::Claim claim, rt::AcceptorPtr inner)
        : claim_(std::move(claim)), inner_(std::move(inner)) {}

    rt::Task<Result<rt::StreamPtr>> accept() override { return inner_->accept(); }
    Endpoint local() const override { return inner_->local(); }
    void close() override {
        // The claim goes first: a connection that nobody will accept must not begin.
        claim_ = dataplane::Claim();
        inner_->close();
    }

private:
    dataplane::Claim claim_;
    rt::AcceptorPtr inner_;
};

}  // namespace

Result<rt::AcceptorPtr> publish_tcp_port(
    dataplane::ClaimTable& claims, netstack::OverlaySockets& sockets, std::uint16_t port
) {
    auto claim = claims.claim(packet::IpProtocol::tcp, port);
    if (!claim) return std::move(claim).error();
    auto listener = sockets.listen_tcp(port);
    if (!listener) return std::move(listener).error();
    return std::make_unique<PublishedPort>(std::move(*claim), std::move(*listener));
}

Result<PublishedUdp> publish_udp_port(
    dataplane::ClaimTable& claims, netstack::OverlaySockets& sockets, std::uint16_t port
) {
    // The claim comes first where the port is known: a taken one is then told from a full table.
    dataplane::Claim claim;
    if (port != 0) {
        auto taken = claims.claim(packet::IpProtocol::udp, port);
        if (!taken) return std::move(taken).error();
        claim = std::move(*taken);
    }
    auto socket = sockets.open_udp(port);
    if (!socket) return std::move(socket).error();
    if (port == 0) {
        auto taken = claims.claim(packet::IpProtocol::udp, (*socket)->port());
        if (!taken) return std::move(taken).error();
        claim = std::move(*taken);
    }
    return PublishedUdp{std::move(*socket), std::move(claim)};
}

}  // namespace selvage::gateway
