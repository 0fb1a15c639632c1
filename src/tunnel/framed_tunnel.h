// Tunnels over streams of bytes (tcp, unix; later quic): what every such transport shares.
#pragma once

#include "rt/stream.h"
#include "tunnel/framing.h"
#include "tunnel/transport.h"

namespace selvage::tunnel {

// Longer packets are dropped when they are sent and end the tunnel when they are announced.
TunnelPtr make_framed_tunnel(
    TransportContext& context, rt::StreamPtr stream, TunnelInfo info,
    std::size_t packet_limit = kTcpFrameMax
);

// Every accepted stream becomes a framed tunnel. `url` is the listener's, with the bound port.
TunnelAcceptorPtr make_framed_acceptor(
    TransportContext& context, rt::AcceptorPtr acceptor, Url url,
    std::size_t packet_limit = kTcpFrameMax
);

}  // namespace selvage::tunnel
