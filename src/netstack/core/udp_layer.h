// All UDP of one stack: sockets with bounded queues.
#pragma once

#include <deque>
#include <optional>
#include <unordered_map>

#include "netstack/core/event_queue.h"
#include "netstack/core/icmp_layer.h"
#include "netstack/core/ip_output.h"
#include "netstack/core/path_mtu.h"
#include "netstack/core/stack_options.h"

namespace selvage::netstack {

struct Datagram {
    Endpoint from;
    IpAddress to;          // which of our addresses it was sent to
    std::size_t size = 0;  // what was written to the buffer
    bool truncated = false;
};

class UdpLayer {
public:
    UdpLayer(
        const StackOptions& options, StackCounters& counters, IpOutput& output, PathMtu& path_mtu,
        EventQueue& events, SipKey port_key
    );

    // False when no socket has the port: the sender is to be told.
    bool input(const IpAddress& source, const IpAddress& destination, ByteView transport);
    // An ICMP error quoted a datagram of ours; a connected socket learns of it.
    void on_icmp_error(const IcmpError& error, TimePoint now);

    // Port 0 chooses one of the ephemeral range.
    Result<UdpId> bind(std::uint16_t port, const UdpOptions& options);
    // From then on only datagrams from `remote` are received, and errors are reported.
    Result<> connect(UdpId id, const Endpoint& remote);
    // `from` is the address to speak from; by default the one that is nearest to `to`.
    Result<> send(
        UdpId id, const Endpoint& to, ByteView bytes, std::optional<IpAddress> from = std::nullopt
    );
    // The oldest datagram; what does not fit into `out` is cut off.
    std::optional<Datagram> receive(UdpId id, MutableByteView out);
    // An error that ICMP has reported on a connected socket since the last call.
    std::optional<Errc> take_error(UdpId id);
    void close(UdpId id);
    std::uint16_t port_of(UdpId id) const;
    SocketEvents take_events(UdpId id);

private:
    struct Queued {
        Endpoint from;
        IpAddress to;
        Bytes payload;
    };
    struct Socket {
        std::uint16_t port = 0;
        UdpOptions options;
        std::optional<Endpoint> remote;
        std::deque<Queued> queue;
        std::size_t queue_bytes = 0;
        std::optional<Errc> error;
        SocketEvents events = 0;
        bool event_queued = false;
    };
    void post(UdpId id, Socket& socket, SocketEvents events);
    std::optional<std::uint16_t> choose_port();

    const StackOptions& options_;
    StackCounters& counters_;
    IpOutput& output_;
    PathMtu& path_mtu_;
    EventQueue& events_;
    SipKey port_key_;
    std::uint32_t port_counter_ = 0;
    SlotTable<Socket, UdpId> sockets_;
    std::unordered_map<std::uint16_t, UdpId> ports_;
};

}  // namespace selvage::netstack
