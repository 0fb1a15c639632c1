// Listeners accept tunnels on every configured URL and hand them to the peer table.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "connect/options.h"
#include "peer/peer_table.h"
#include "rt/scope.h"
#include "tunnel/transport.h"

namespace selvage::connect {

class Listeners {
public:
    // `refuse` tells whether a tunnel from this address must not be accepted: a node that dials us
    // through the mesh itself would make a tunnel inside a tunnel.
    Listeners(
        const ConnectOptions& options, tunnel::TransportContext& transports, peer::PeerTable& peers,
        std::function<bool(const IpAddress&)> refuse, Log log
    );

    // Binds all configured listeners, and their [::] twins where that works. An error names the
    // listener that could not be bound; nothing listens then.
    Result<> start();
    // Listens on these from now on. What is new is bound first; if one of them cannot be bound,
    // nothing changes. Tunnels that were accepted by a listener that goes live on. Precondition:
    // started.
    Result<> configure(const std::vector<tunnel::Url>& urls);
    // What is listened on, with the ports that were really bound.
    std::vector<tunnel::Url> urls() const;
    rt::Task<> close();

private:
    // One URL of the configuration. The accepting coroutines share the acceptors: they still hold
    // theirs when a reload has closed and forgotten it.
    using AcceptorShared = std::shared_ptr<tunnel::TunnelAcceptor>;
    struct Listener {
        tunnel::Url configured;
        std::vector<AcceptorShared> acceptors;  // and its [::] twin
    };

    Result<Listener> bind(const tunnel::Url& url);
    Result<AcceptorShared> listen(const tunnel::Url& url);
    Result<std::vector<Listener>> bind_all(const std::vector<tunnel::Url>& urls);
    void accept_on(Listener listener);
    rt::Task<> accept_from(AcceptorShared acceptor);

    const ConnectOptions& options_;
    tunnel::TransportContext& transports_;
    peer::PeerTable& peers_;
    std::function<bool(const IpAddress&)> refuse_;
    Log log_;
    std::vector<Listener> listeners_;
    rt::TaskScope scope_;
};

}  // namespace selvage::connect
