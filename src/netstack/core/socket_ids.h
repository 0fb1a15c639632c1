// Names of sockets, what happens to them, and why connections end.
#pragma once

#include <cstdint>
#include <variant>

#include "base/ip.h"
#include "netstack/core/slot_table.h"

namespace selvage::netstack {

using TcpId = SocketHandle<struct TcpConnectionTag>;
using ListenerId = SocketHandle<struct TcpListenerTag>;
using UdpId = SocketHandle<struct UdpSocketTag>;

// What a socket has become since its last event. Bits; several may be set at once.
using SocketEvents = std::uint8_t;
namespace socket_event {
constexpr SocketEvents kConnected = 0x01;   // a dialled connection is established
constexpr SocketEvents kReadable = 0x02;    // data, a datagram or the end of the stream
constexpr SocketEvents kWritable = 0x04;    // there is room again after there was none
constexpr SocketEvents kAcceptable = 0x08;  // a listener has a connection to accept
constexpr SocketEvents kClosed = 0x10;      // the connection is over; ask for its reason
}  // namespace socket_event

struct StackEvent {
    std::variant<TcpId, ListenerId, UdpId> socket;
    SocketEvents events = 0;
};

// Why a connection is over.
enum class CloseReason : std::uint8_t {
    none,         // it is not
    finished,     // both sides said they were done, and all was acknowledged
    refused,      // the peer answered the SYN with a reset
    reset,        // the peer reset it
    timed_out,    // the peer did not answer for too long
    unreachable,  // the network said so, or our address is gone
    aborted,      // we reset it
};

// One flow as seen from here.
struct FlowKey {
    IpAddress local;
    IpAddress remote;
    std::uint16_t local_port = 0;
    std::uint16_t remote_port = 0;

    friend bool operator==(const FlowKey&, const FlowKey&) = default;
};

}  // namespace selvage::netstack
