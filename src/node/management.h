// The management channel of an instance: a unix socket that only its owner may open, and TCP where
// the configuration says so.
//
// Both speak EasyTier's management RPC; our own calls are one more service on it. Over TCP only
// programs of this host are served, as with the reference's default whitelist: there is no
// authentication on this channel.
#pragma once

#include <optional>
#include <string>

#include "base/log.h"
#include "host/sockets.h"
#include "node/control_api.h"
#include "node/reference_api.h"
#include "node/selvage_api.h"
#include "node/token_api.h"
#include "node/watch_api.h"
#include "packet/packet_buf.h"
#include "rt/runtime.h"
#include "rt/scope.h"

namespace selvage::node {

struct ManagementOptions {
    std::string socket_path;         // empty: no unix socket
    std::optional<Endpoint> portal;  // port 0: the first free one from 15888 to 15899
    // Connections at a time; a further one is closed at once.
    std::size_t connections_limit = 64;
};

class Management {
public:
    Management(
        rt::Runtime& runtime, packet::PacketPool& pool, host::Sockets& sockets,
        InstanceView& instance, ManagementOptions options, Log log
    );

    Result<> start();
    rt::Task<> stop();
    // Where the portal listens.
    std::optional<Endpoint> portal() const;
    // For connections that come from elsewhere, such as tests.
    void serve(rt::StreamPtr stream) { serve(std::move(stream), owner_services_); }

private:
    void serve(rt::StreamPtr stream, rpc::ServiceTable& services);
    Result<rt::AcceptorPtr> listen_portal();
    rt::Task<> accept_from(rt::Acceptor& acceptor, bool only_this_host);
    rt::Task<> run_session(rt::StreamPtr stream, rpc::ServiceTable& services);

    rt::Runtime& runtime_;
    packet::PacketPool& pool_;
    host::Sockets& sockets_;
    ManagementOptions options_;
    Log log_;
    ReferenceApi reference_api_;
    SelvageApi selvage_api_;
    WatchApi watch_api_;
    WatchApi owner_watch_api_;
    ControlApi control_api_;
    TokenApi token_api_;
    rpc::ServiceTable services_;
    rpc::ServiceTable owner_services_;  // with what only the owner of the unix socket may do
    rt::AcceptorPtr unix_;
    rt::AcceptorPtr tcp_;
    rt::TaskScope accepting_;
    rt::TaskScope sessions_;
};

}  // namespace selvage::node
