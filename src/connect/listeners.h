// Listeners accept tunnels on every configured URL and hand them to the peer table.
#pragma once

#include <functional>
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
    // What is listened on, with the ports that were really bound.
    std::vector<tunnel::Url> urls() const;
    rt::Task<> close();

private:
    Result<> listen(const tunnel::Url& url);
    rt::Task<> accept_from(tunnel::TunnelAcceptor& acceptor);

    const ConnectOptions& options_;
    tunnel::TransportContext& transports_;
    peer::PeerTable& peers_;
    std::function<bool(const IpAddress&)> refuse_;
    Log log_;
    std::vector<tunnel::TunnelAcceptorPtr> acceptors_;
    rt::TaskScope scope_;
};

}  // namespace selvage::connect
