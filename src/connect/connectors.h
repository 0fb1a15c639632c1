// Connectors keep a connection to every peer URL of the configuration, and to those that were
// added while the node runs.
//
//   idle --> connecting --handshake done--> connected --connection lost--> connecting ...
//               |    ^
//               +----+ after a pause that grows from 1 s to 5 s
//
// Nothing on a datagram transport tells that the other side was started again, or that a NAT on the
// way forgot us. So when the neighbour falls silent, the URL is dialled again beside the
// connection: if that succeeds, the old one is asked once more and closed unless it answers within
// about a second.
//
// Names are resolved again at every attempt. IPv4 addresses are tried before IPv6 ones, each family
// with a time limit of its own; one address of a family is chosen at random. A connector that is
// removed dials no more; the connection that it made stays as long as it lives.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/log.h"
#include "connect/options.h"
#include "peer/peer_table.h"
#include "rt/scope.h"
#include "tunnel/transport.h"

namespace selvage::connect {

enum class ConnectorState : std::uint8_t { connecting, connected, waiting };

struct ConnectorStatus {
    std::string url;
    ConnectorState state = ConnectorState::waiting;
    std::string last_error;  // of the latest failed attempt; empty when none failed yet
    bool configured = true;  // false: added while running, and forgotten at the next start
};

class Connectors {
public:
    // Beyond it nothing is added; each costs a coroutine and an attempt every few seconds.
    static constexpr std::size_t kAddedMax = 256;

    Connectors(
        const ConnectOptions& options, tunnel::TransportContext& transports, peer::PeerTable& peers,
        Log log
    );

    void start();
    // These are configured from now on: new ones are dialled, missing ones given up. Those that
    // were added while running stay. Precondition: started.
    void configure(const std::vector<tunnel::Url>& urls);
    // Errc::exists for one that is there, Errc::limit beyond kAddedMax.
    Result<> add(const tunnel::Url& url);
    // Also one of the configuration, until the next start or reload. False when there is none.
    bool remove(const tunnel::Url& url);

    std::vector<ConnectorStatus> status() const;  // configured ones first, each in its order
    rt::Task<> close() { return scope_.close(); }

private:
    using Key = std::uint64_t;
    struct Connector {
        tunnel::Url url;
        bool configured = true;
        ConnectorState state = ConnectorState::waiting;
        std::string last_error;
        std::uint64_t task = 0;
    };

    Key insert(const tunnel::Url& url, bool configured);
    void launch(Key key);
    Connector* find(Key key);
    void give_up(Key key);
    std::map<Key, Connector>::iterator find_url(const tunnel::Url& url);
    rt::Task<> keep_connected(Key key, tunnel::Url url);
    rt::Task<> follow(Key key, ConnId conn, tunnel::Url url);
    // The connection once its handshake is done.
    rt::Task<Result<ConnId>> attempt(tunnel::Url url);
    rt::Task<Result<ConnId>> attempt_address(
        const tunnel::TransportSpec& transport, tunnel::Url url, IpAddress address
    );
    rt::Task<Result<ConnId>> finish_handshake(ConnId id);
    void note_failure(Connector& connector, const Error& error);

    const ConnectOptions& options_;
    tunnel::TransportContext& transports_;
    peer::PeerTable& peers_;
    Log log_;
    Key next_key_ = 1;
    std::map<Key, Connector> connectors_;  // as many as configured, and kAddedMax
    rt::TaskScope scope_;
};

}  // namespace selvage::connect
