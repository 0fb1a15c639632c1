// A datagram socket on the mesh.
#pragma once

#include <memory>
#include <optional>

#include "netstack/core/udp_layer.h"
#include "rt/task.h"

namespace selvage::netstack {

class UdpSocket {
public:
    virtual ~UdpSocket() = default;

    // The next datagram; what does not fit into `buffer` is cut off. Errors: closed; on a connected
    // socket also refused and unreachable, each once per report.
    virtual rt::Task<Result<Datagram>> recv_from(MutableByteView buffer) = 0;
    // Errors: closed, unreachable, bad_length (larger than the overlay's packets), limit (the
    // datagram was dropped). `from` is one of our addresses, for answers.
    virtual rt::Task<Result<>> send_to(
        Endpoint to, ByteView bytes, std::optional<IpAddress> from = std::nullopt
    ) = 0;
    // From then on only datagrams from `remote` are received, and its errors are reported.
    virtual Result<> connect(Endpoint remote) = 0;
    virtual std::uint16_t port() const = 0;
    virtual void close() = 0;
};
using UdpSocketPtr = std::unique_ptr<UdpSocket>;

}  // namespace selvage::netstack
