// What services may know and do outside themselves. The node implements these; tests fake them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/ip.h"
#include "base/time.h"
#include "base/uuid.h"
#include "edge/caller.h"
#include "rt/stream.h"
#include "rt/task.h"

namespace selvage::edge {

struct MemberInfo {
    PeerId peer;
    std::string host_name;
    Uuid instance;
    std::string network;
    std::optional<IpAddress> virtual_address;
    AuthLevel auth = AuthLevel::none;
    PathKind path = PathKind::relayed;
};

// Read-only facts about the node and its mesh.
class NodeView {
public:
    virtual ~NodeView() = default;
    // Who opened the connection remote -> local on the mesh: the member whose packets carry it.
    // Nothing when that cannot be said; such a caller is refused.
    virtual std::optional<MemberInfo> who_is(const Endpoint& remote, const Endpoint& local)
        const = 0;
    // The member whose address this is, or to whose subnet it belongs; packets from it are that
    // member's. For datagrams, which open nothing.
    virtual std::optional<MemberInfo> member_at(const IpAddress& address) const = 0;
    // Our addresses: the virtual one and those of the host's interfaces.
    virtual std::vector<IpAddress> own_addresses() const = 0;
    // Where this node itself listens (underlay, management, edge ports); an unspecified address
    // stands for all of own_addresses() and loopback.
    virtual std::vector<Endpoint> own_listeners() const = 0;
    // Whether packets to this address go into the mesh: in our virtual network or a known route.
    virtual bool in_mesh(const IpAddress& address) const = 0;
};

// Datagrams, on the mesh or on a socket of the host.
class DatagramSocket {
public:
    struct Received {
        Endpoint from;
        std::size_t size = 0;  // what was written to the buffer
    };
    virtual ~DatagramSocket() = default;
    // The next datagram; what does not fit is cut off. Errors: closed.
    virtual rt::Task<Result<Received>> receive(MutableByteView buffer) = 0;
    // A datagram that cannot be sent is lost, as datagrams are. Errors: closed, unreachable...
    virtual rt::Task<Result<>> send(Endpoint to, ByteView bytes) = 0;
    // With an unspecified address when it is bound to all that we have.
    virtual Endpoint local() const = 0;
    virtual void close() = 0;
};
using DatagramSocketPtr = std::unique_ptr<DatagramSocket>;

// Opens connections on behalf of a caller. Policy is the caller's business, not the dialer's.
class Dialer {
public:
    virtual ~Dialer() = default;
    // From our virtual address, through our own stack.
    virtual rt::Task<Result<rt::StreamPtr>> dial_mesh(Endpoint to) = 0;
    // From a socket of the host.
    virtual rt::Task<Result<rt::StreamPtr>> dial_host(Endpoint to) = 0;
    // From a port of our virtual address that is free.
    virtual Result<DatagramSocketPtr> open_mesh_datagrams() = 0;
    // From a socket of the host, of the family of `to`.
    virtual Result<DatagramSocketPtr> open_host_datagrams(const IpAddress& to) = 0;
    // As the host's resolver, and the host names of the mesh. Errc::not_found when there is none.
    virtual rt::Task<Result<std::vector<IpAddress>>> resolve(std::string name) = 0;
};

struct PortRequest {
    std::uint16_t port = 0;  // 0 chooses a free one
    // Take the port from a program of the host that waits there; without it that is an error.
    bool shadow_host = false;
};

// Takes ports of the virtual address; the claim lives as long as the acceptor or socket.
class PortPublisher {
public:
    virtual ~PortPublisher() = default;
    virtual Result<rt::AcceptorPtr> publish(PortRequest request) = 0;
    virtual Result<DatagramSocketPtr> publish_datagrams(PortRequest request) = 0;
    // Whether a program of the host waits for calls at this TCP port of the virtual address, too.
    virtual bool host_listens(std::uint16_t port) const = 0;
};

// Listens on a socket of the host, for listen_host and the like.
class HostListener {
public:
    virtual ~HostListener() = default;
    virtual Result<rt::AcceptorPtr> listen(Endpoint at) = 0;
    virtual Result<DatagramSocketPtr> listen_datagrams(Endpoint at) = 0;
};

}  // namespace selvage::edge
