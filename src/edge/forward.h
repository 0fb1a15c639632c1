// Ports that lead somewhere fixed: of the virtual address to a place of the host's network, or of
// the host to a place in the mesh. Set by the configuration alone.
//
//   TCP  accept -> allowed? -> dial (10 s) -> [PROXY header] -> copy both ways
//   UDP  each sender has a socket of its own towards the target; it goes after 60 s of silence.
//        While the target is looked up, its first few datagrams wait, and nobody else's do.
//
// A forward carries 512 connections or senders at once, a member of the mesh 128 of them, so that
// it takes more than one to keep the others out. The target is the configuration's, so no rules for
// destinations apply to it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "edge/forward_options.h"
#include "edge/node_view.h"
#include "rt/runtime.h"
#include "rt/scope.h"

namespace selvage::edge {

// The header of PROXY protocol version 2 for a TCP connection from `from` to `to`.
Bytes build_proxy_header(const Endpoint& from, const Endpoint& to);

struct ForwardInfo {
    ForwardOptions options;
    std::size_t live = 0;
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;  // not allowed, or too many
    std::uint64_t failed = 0;   // the target could not be reached
    std::string error;          // why it is not listening
};

class Forwards {
public:
    struct Parts {
        rt::Runtime& runtime;
        Log log;
        const NodeView& node;
        Dialer& dialer;
        PortPublisher& ports;
        HostListener& host_listener;
    };
    Forwards(Parts parts, std::vector<ForwardOptions> options);
    ~Forwards();  // Precondition: never started, or stopped

    // The first failure is returned; the other forwards run.
    Result<> start();
    rt::Task<> stop();
    std::vector<ForwardInfo> list() const;

private:
    struct Running;
    class Place;

    Result<> start_one(Running& forward);
    rt::Task<> accept_loop(Running& forward, rt::AcceptorPtr acceptor);
    // Who it is that may use the forward now; no peer for a program of the host.
    std::optional<PeerId> admit(
        const Running& forward, const Endpoint& remote, const Endpoint& local
    ) const;
    rt::Task<> run_stream(Place place, rt::StreamPtr stream);
    rt::Task<Result<Endpoint>> find_target(Destination to);
    rt::Task<Result<rt::StreamPtr>> dial(Destination to);
    rt::Task<> receive_loop(Running& forward);
    rt::Task<> run_flow(Place place, Endpoint client);
    Result<DatagramSocketPtr> open_far(const Endpoint& target);

    Parts parts_;
    std::vector<std::unique_ptr<Running>> running_;  // as many as are configured
    rt::TaskScope scope_;
};

}  // namespace selvage::edge
