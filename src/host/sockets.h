// The operating system's sockets as Selvage needs them. linux/ implements this with the kernel's,
// sim/ with simulated hosts. Everything is used on the loop only.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ip.h"
#include "packet/packet_buf.h"
#include "rt/stream.h"
#include "rt/task.h"

namespace selvage::host {

struct Datagram {
    packet::PacketBuf payload;  // with full headroom on receipt
    Endpoint remote;
};

class UdpSink {
public:
    virtual ~UdpSink() = default;
    // What arrived in one turn, at most PacketBatch::kCapacity; the sink takes what it wants.
    virtual void on_datagrams(std::span<Datagram> datagrams, TimePoint now) = 0;
};

struct UdpStats {
    std::uint64_t rx_datagrams = 0;
    std::uint64_t rx_too_large = 0;  // longer than a block; dropped
    std::uint64_t rx_no_buffer = 0;  // the pool was empty; dropped
    std::uint64_t rx_pauses = 0;     // turns that did not read because the pool was empty
    std::uint64_t tx_datagrams = 0;
    std::uint64_t tx_dropped = 0;
};

class UdpSocket {
public:
    virtual ~UdpSocket() = default;
    // Begins to read. `sink` must outlive the socket or its close().
    virtual void start(UdpSink& sink) = 0;
    // Sends in order without blocking and takes all payloads; what the kernel refuses is dropped.
    // Returns how many went out.
    virtual std::size_t send(std::span<Datagram> datagrams) = 0;
    virtual Endpoint local() const = 0;
    virtual UdpStats stats() const { return {}; }
    virtual void close() = 0;  // idempotent; nothing is delivered afterwards
};
using UdpSocketPtr = std::unique_ptr<UdpSocket>;

struct TcpListenOptions {
    bool reuse_address = true;
    bool v6_only = true;
    std::string device = {};  // only what comes through this one; empty: any
};

struct UdpOptions {
    std::size_t buffer_bytes = 4 * 1024 * 1024;  // asked of the kernel, which may give less
    bool reuse_address = false;
    bool v6_only = true;
    std::string device = {};  // as in TcpListenOptions
};

class Sockets {
public:
    virtual ~Sockets() = default;

    // TCP_NODELAY is set; no keep-alive, the mesh has its own pings.
    virtual rt::Task<Result<rt::StreamPtr>> connect_tcp(Endpoint remote) = 0;
    virtual Result<rt::AcceptorPtr> listen_tcp(Endpoint local, TcpListenOptions options) = 0;
    // Port 0: any free one; see UdpSocket::local().
    virtual Result<UdpSocketPtr> open_udp(Endpoint local, UdpOptions options) = 0;
    // Names to addresses, system order, without duplicates; at least one on success.
    virtual rt::Task<Result<std::vector<IpAddress>>> resolve(std::string name) = 0;

    // Stream sockets on this machine. listen_unix replaces a stale socket file, refuses one that
    // is in use, and lets only the owner connect (mode 0600).
    virtual rt::Task<Result<rt::StreamPtr>> connect_unix(std::string path) = 0;
    virtual Result<rt::AcceptorPtr> listen_unix(std::string path) = 0;
};

}  // namespace selvage::host
