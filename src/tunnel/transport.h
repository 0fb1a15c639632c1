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
#include "rt/scope.h"
#include "tunnel/options.h"
#include "tunnel/tunnel.h"
#include "tunnel/url.h"

namespace selvage::tunnel {

class MemoryHub;

// What strangers tried. The sums over all tunnels and listeners of a context.
struct TransportStats {
    std::uint64_t bad_frames = 0;           // stream transports: a length that cannot be; closed
    std::uint64_t udp_malformed = 0;        // no header, wrong length, or a SYN of another size
    std::uint64_t udp_unknown_session = 0;  // DATA or SACK that nobody waits for
    std::uint64_t udp_ignored_type = 0;     // types that mean nothing to us
    std::uint64_t udp_refused = 0;          // new sessions beyond a limit
};

// What transports use; outlives every tunnel and acceptor made with it. Before it goes, and after
// the tunnels went: co_await context.tasks.close().
struct TransportContext {
    rt::Runtime& runtime;
    host::Sockets& sockets;
    packet::PacketPool& pool;
    TunnelOptions options;
    Log log;
    MemoryHub* memory = nullptr;  // where mem:// names are looked up; without it there are none
    TransportStats stats = {};
    rt::TaskScope tasks{runtime, log};  // the readers and writers of tunnels on streams
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

// For transports on addresses: where a listener's URL says to bind, the device that its path names
// (empty: any), and an endpoint as a URL.
Result<Endpoint> listen_endpoint(const Url& url);
std::string listen_device(const Url& url);
std::string endpoint_url(std::string_view scheme, const Endpoint& endpoint);

}  // namespace selvage::tunnel
