// unix: peers on one machine over a UNIX stream socket, framed like tcp.
#include "tunnel/framed_tunnel.h"

namespace selvage::tunnel {
namespace {

rt::Task<Result<TunnelPtr>> connect(TransportContext& context, Url url, IpAddress) {
    auto stream = co_await context.sockets.connect_unix(url.path);
    if (!stream) co_return std::move(stream).error().with("connect " + url.to_string());
    TunnelInfo info{
        .scheme = url.scheme,
        .local = "",
        .remote = url.to_string(),
        .resolved_remote = url.to_string()
    };
    co_return make_framed_tunnel(context, std::move(*stream), std::move(info), kUnixFrameMax);
}

Result<TunnelAcceptorPtr> listen(TransportContext& context, Url url) {
    auto acceptor = context.sockets.listen_unix(url.path);
    if (!acceptor) return std::move(acceptor).error().with("listen " + url.to_string());
    return make_framed_acceptor(context, std::move(*acceptor), std::move(url), kUnixFrameMax);
}

}  // namespace

extern const TransportSpec unix_transport;
const TransportSpec unix_transport{
    .scheme = "unix",
    .summary = "UNIX stream socket on this machine",
    .traits = {.reliable = true, .ordered = true},
    .connect = connect,
    .listen = listen,
};

}  // namespace selvage::tunnel
