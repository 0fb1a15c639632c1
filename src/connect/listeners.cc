// Binding and accepting.
#include "connect/listeners.h"

#include <algorithm>

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
    return configure(options_.listeners);
}

Result<> Listeners::configure(const std::vector<tunnel::Url>& urls) {
    std::vector<tunnel::Url> added;
    for (const tunnel::Url& url : urls) {
        const bool known =
            std::ranges::find(listeners_, url, &Listener::configured) != listeners_.end();
        if (!known) added.push_back(url);
    }
    auto bound = bind_all(added);
    if (!bound) return std::move(bound).error();
    std::erase_if(listeners_, [&](const Listener& listener) {
        if (std::ranges::find(urls, listener.configured) != urls.end()) return false;
        for (const AcceptorShared& acceptor : listener.acceptors) {
            log_.info("no longer listening", "url={}", acceptor->url().to_string());
            acceptor->close();
        }
        return true;
    });
    for (Listener& listener : *bound)
        accept_on(std::move(listener));
    return {};
}

Result<std::vector<Listeners::Listener>> Listeners::bind_all(const std::vector<tunnel::Url>& urls) {
    std::vector<Listener> out;
    for (const tunnel::Url& url : urls) {
        auto listener = bind(url);
        if (!listener) return std::move(listener).error().with("listen on " + url.to_string());
        out.push_back(std::move(*listener));
    }
    return out;
}

Result<Listeners::Listener> Listeners::bind(const tunnel::Url& url) {
    auto acceptor = listen(url);
    if (!acceptor) return std::move(acceptor).error();
    Listener out{.configured = url, .acceptors = {std::move(*acceptor)}};
    if (!options_.enable_ipv6 || url.host != "0.0.0.0") return out;
    tunnel::Url twin = out.acceptors.front()->url();  // the same port, also when it was 0
    twin.host = "::";
    if (auto bound = listen(twin)) {
        out.acceptors.push_back(std::move(*bound));
    } else {
        log_.debug(
            "no IPv6 twin", "url={} reason=\"{}\"", twin.to_string(), bound.error().message()
        );
    }
    return out;
}

Result<Listeners::AcceptorShared> Listeners::listen(const tunnel::Url& url) {
    const tunnel::TransportSpec* transport = tunnel::find_transport(url.scheme);
    if (transport == nullptr) return Error(Errc::unsupported, "no transport of this name");
    auto acceptor = transport->listen(transports_, url);
    if (!acceptor) return std::move(acceptor).error();
    return AcceptorShared(std::move(*acceptor));
}

void Listeners::accept_on(Listener listener) {
    for (const AcceptorShared& acceptor : listener.acceptors) {
        log_.info("listening", "url={}", acceptor->url().to_string());
        scope_.spawn("accept " + acceptor->url().to_string(), accept_from(acceptor));
    }
    listeners_.push_back(std::move(listener));
}

rt::Task<> Listeners::accept_from(AcceptorShared acceptor) {
    for (;;) {
        auto tunnel = co_await acceptor->accept();
        if (!tunnel) {
            if (tunnel.error().is(Errc::closed)) co_return;
            log_.warn(
                "accept failed", "url={} reason=\"{}\"", acceptor->url().to_string(),
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
    for (const Listener& listener : listeners_) {
        for (const AcceptorShared& acceptor : listener.acceptors)
            out.push_back(acceptor->url());
    }
    return out;
}

rt::Task<> Listeners::close() {
    for (const Listener& listener : listeners_) {
        for (const AcceptorShared& acceptor : listener.acceptors)
            acceptor->close();
    }
    co_await scope_.close();
    listeners_.clear();
}

}  // namespace selvage::connect
