// Connectors keep a connection to every configured peer URL.
//
//   idle --> connecting --handshake done--> connected --connection lost--> connecting ...
//               |    ^
//               +----+ after a pause that grows from 1 s to 5 s
//
// Names are resolved again at every attempt. IPv4 addresses are tried before IPv6 ones, each family
// with a time limit of its own; one address of a family is chosen at random.
#pragma once

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
};

class Connectors {
public:
    Connectors(
        const ConnectOptions& options, tunnel::TransportContext& transports, peer::PeerTable& peers,
        Log log
    );

    void start();
    std::vector<ConnectorStatus> status() const;
    rt::Task<> close() { return scope_.close(); }

private:
    struct Connector {
        tunnel::Url url;
        ConnectorState state = ConnectorState::waiting;
        std::string last_error;
    };

    rt::Task<> keep_connected(std::size_t index);
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
    std::vector<Connector> connectors_;  // as many as configured
    rt::TaskScope scope_;
};

}  // namespace selvage::connect
