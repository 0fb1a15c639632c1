// udp: one peer packet per datagram behind EasyTier's 8-byte header.
#include "tunnel/udp_port.h"

namespace selvage::tunnel {
namespace {

rt::Task<Result<TunnelPtr>> connect(TransportContext& context, Url url, IpAddress address) {
    const Endpoint any{address.is_v4() ? IpAddress() : IpAddress::v6({}), 0};
    auto port = UdpPort::open(context, any, std::nullopt);
    if (!port) co_return std::move(port).error().with("connect " + url.to_string());
    auto tunnel =
        co_await UdpPort::connect(std::move(*port), Endpoint{address, url.port}, url.to_string());
    if (!tunnel) co_return std::move(tunnel).error().with("connect " + url.to_string());
    co_return std::move(*tunnel);
}

class UdpAcceptor final : public TunnelAcceptor {
public:
    explicit UdpAcceptor(std::shared_ptr<UdpPort> port) : port_(std::move(port)) {}
    UdpAcceptor(const UdpAcceptor&) = delete;
    UdpAcceptor& operator=(const UdpAcceptor&) = delete;
    ~UdpAcceptor() override { port_->stop_accepting(); }

    rt::Task<Result<TunnelPtr>> accept() override { return UdpPort::accept(port_); }
    const Url& url() const override { return port_->listener(); }
    void close() override { port_->stop_accepting(); }

private:
    std::shared_ptr<UdpPort> port_;
};

Result<TunnelAcceptorPtr> listen(TransportContext& context, Url url) {
    const auto local = listen_endpoint(url);
    if (!local) return local.error();
    auto port = UdpPort::open(context, *local, url);
    if (!port) return std::move(port).error().with("listen " + url.to_string());
    return std::make_unique<UdpAcceptor>(std::move(*port));
}

}  // namespace

extern const TransportSpec udp_transport;
const TransportSpec udp_transport{
    .scheme = "udp",
    .summary = "UDP, a session per connection",
    .traits = {.reliable = false, .ordered = false},
    .connect = connect,
    .listen = listen,
};

}  // namespace selvage::tunnel
