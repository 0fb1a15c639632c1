// tcp: peer packets framed by their length on a TCP connection.
#include "tunnel/framed_tunnel.h"

namespace selvage::tunnel {
namespace {

rt::Task<Result<TunnelPtr>> connect(TransportContext& context, Url url, IpAddress address) {
    const Endpoint remote{address, url.port};
    auto stream = co_await context.sockets.connect_tcp(remote);
    if (!stream) co_return std::move(stream).error().with("connect " + url.to_string());
    TunnelInfo info{
        .scheme = url.scheme,
        .local = endpoint_url(url.scheme, (*stream)->local()),
        .remote = url.to_string(),
        .resolved_remote = endpoint_url(url.scheme, remote)
    };
    co_return make_framed_tunnel(context, std::move(*stream), std::move(info));
}

Result<TunnelAcceptorPtr> listen(TransportContext& context, Url url) {
    const auto local = listen_endpoint(url);
    if (!local) return local.error();
    auto acceptor = context.sockets.listen_tcp(*local, {.device = listen_device(url)});
    if (!acceptor) return std::move(acceptor).error().with("listen " + url.to_string());
    url.port = (*acceptor)->local().port;
    url.port_given = true;
    return make_framed_acceptor(context, std::move(*acceptor), std::move(url));
}

}  // namespace

extern const TransportSpec tcp_transport;
const TransportSpec tcp_transport{
    .scheme = "tcp",
    .summary = "TCP connection",
    .traits = {.reliable = true, .ordered = true},
    .connect = connect,
    .listen = listen,
};

}  // namespace selvage::tunnel
