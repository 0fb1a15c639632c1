// Binding and accepting.
#include "connect/listeners.h"

namespace selvage::connect {

Listeners::Listeners(
    const ConnectOptions& options, tunnel::TransportContext& transports, peer::PeerTable& peers,
    std::function<bool(const IpAddress&)> refuse, Log log
)
    : options_(options),
      transports_(transports),
      peers_(peers),
      refuse_(std::move(refuse)),
      log_(std::move(log)),
      scope_(transports.runtime, log_) {}

Result<> Listeners::start() {
    for (const tunnel::Url& url : options_.listeners) {
        if (auto bound = listen(url); !bound) {
            acceptors_.clear();
            return std::move(bound).error().with("listen on " + url.to_string());
        }
        if (!options_.enable_ipv6 || url.host != "0.0.0.0") continue;
        tunnel::Url twin = acceptors_.back()->url();  // the same port, also when it was 0
        twin.host = "::";
        if (auto bound = listen(twin); !bound) {
            log_.debug(
                "no IPv6 twin", "url={} reason=\"{}\"", twin.to_string(), bound.error().message()
            );
        }
    }
    for (auto& acceptor : acceptors_) {
        log_.info("listening", "url={}", acceptor->url().to_string());
        scope_.spawn("accept " + acceptor->url().to_string(), accept_from(*acceptor));
    }
    return {};
}

Result<> Listeners::listen(const tunnel::Url& url) {
    const tunnel::TransportSpec* transport = tunnel::find_transport(url.scheme);
    if (transport == nullptr) return Error(Errc::unsupported, "no transport of this name");
    auto acceptor = transport->listen(transports_, url);
    if (!acceptor) return std::move(acceptor).error();
    acceptors_.push_back(std::move(*acceptor));
    return {};
}

rt::Task<> Listeners::accept_from(tunnel::TunnelAcceptor& acceptor) {
    for (;;) {
        auto tunnel = co_await acceptor.accept();
        if (!tunnel) {
            if (tunnel.error().is(Errc::closed)) co_return;
            log_.warn(
                "accept failed", "url={} reason=\"{}\"", acceptor.url().to_string(),
                tunnel.error().message()
            );
            co_await rt::sleep_for(transports_.runtime, std::chrono::seconds(1));
            continue;
        }
        const auto remote = tunnel::Url::parse((*tunnel)->info().remote);
        const auto address =
            remote ? IpAddress::parse(remote->host) : Result<IpAddress>(Errc::malformed);
        if (address && refuse_(address->unmapped())) {
            log_.warn("tunnel through the mesh refused", "remote={}", (*tunnel)->info().remote);
            continue;
        }
        peers_.add(std::move(*tunnel), peer::Role::server);
    }
}

std::vector<tunnel::Url> Listeners::urls() const {
    std::vector<tunnel::Url> out;
    for (const auto& acceptor : acceptors_)
        out.push_back(acceptor->url());
    return out;
}

rt::Task<> Listeners::close() {
    for (auto& acceptor : acceptors_)
        acceptor->close();
    co_await scope_.close();
    acceptors_.clear();
}

}  // namespace selvage::connect
