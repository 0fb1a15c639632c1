// A transport connects and listens for one URL scheme; one file each in transports/.
//
// The build makes a table of them: transports/tcp.cc defines `tcp_transport`. See
// docs/architecture.md for how to add one.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "base/log.h"
#include "host/sockets.h"
#include "rt/runtime.h"
#include "tunnel/options.h"
#include "tunnel/tunnel.h"
#include "tunnel/url.h"

namespace selvage::tunnel {

// What transports use; outlives every tunnel and acceptor made with it.
struct TransportContext {
    rt::Runtime& runtime;
    host::Sockets& sockets;
    packet::PacketPool& pool;
    TunnelOptions options;
    Log log;
};

class TunnelAcceptor {
public:
    virtual ~TunnelAcceptor() = default;
    virtual rt::Task<Result<TunnelPtr>> accept() = 0;  // Errc::closed after close()
    virtual const Url& url() const = 0;                // with the port that was really bound
    virtual void close() = 0;
};
using TunnelAcceptorPtr = std::unique_ptr<TunnelAcceptor>;

struct TransportTraits {
    bool reliable = false;
    bool ordered = false;
};

struct TransportSpec {
    std::string_view scheme;
    std::string_view summary;
    TransportTraits traits;
    // `address` is the resolved host of `url` (unused where the scheme has none).
    rt::Task<Result<TunnelPtr>> (*connect)(TransportContext& context, Url url, IpAddress address);
    Result<TunnelAcceptorPtr> (*listen)(TransportContext& context, Url url);
};

// All transports of this build, in alphabetical order.
std::span<const TransportSpec* const> transports();
const TransportSpec* find_transport(std::string_view scheme);

}  // namespace selvage::tunnel
