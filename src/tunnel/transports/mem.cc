// mem: inside one process, between contexts that share a MemoryHub; for tests and simulations.
#include "tunnel/framed_tunnel.h"
#include "tunnel/memory_hub.h"

namespace selvage::tunnel {
namespace {

Error no_hub(const Url& url) {
    return Error(Errc::unsupported, url.to_string() + ": mem names exist inside tests only");
}

rt::Task<Result<TunnelPtr>> connect(TransportContext& context, Url url, IpAddress) {
    if (context.memory == nullptr) co_return no_hub(url);
    auto stream = context.memory->connect(context.runtime, url.host);
    if (!stream) co_return std::move(stream).error().with("connect " + url.to_string());
    TunnelInfo info{
        .scheme = url.scheme,
        .local = "",
        .remote = url.to_string(),
        .resolved_remote = url.to_string()
    };
    co_return make_framed_tunnel(context, std::move(*stream), std::move(info));
}

Result<TunnelAcceptorPtr> listen(TransportContext& context, Url url) {
    if (context.memory == nullptr) return no_hub(url);
    auto acceptor = context.memory->listen(context.runtime, url.host);
    if (!acceptor) return std::move(acceptor).error().with("listen " + url.to_string());
    return make_framed_acceptor(context, std::move(*acceptor), std::move(url));
}

}  // namespace

extern const TransportSpec mem_transport;
const TransportSpec mem_transport{
    .scheme = "mem",
    .summary = "inside one process",
    .traits = {.reliable = true, .ordered = true},
    .connect = connect,
    .listen = listen,
};

}  // namespace selvage::tunnel
