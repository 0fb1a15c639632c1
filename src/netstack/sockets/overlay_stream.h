// The handles that OverlaySockets gives out.
#pragma once

#include "netstack/sockets/socket_state.h"

namespace selvage::netstack {

// Destroying it ends the connection gracefully after shutdown_write(), and with a reset otherwise;
// a graceful end goes on in the stack.
class OverlayStream final : public rt::Stream {
public:
    OverlayStream(std::shared_ptr<OverlaySockets::TcpSocketState> state, const FlowKey& flow);
    ~OverlayStream() override { end(false); }

    rt::Task<Result<std::size_t>> read_some(MutableByteView buffer) override;
    rt::Task<Result<std::size_t>> write_some(ByteView bytes) override;
    Result<> shutdown_write() override;
    void close() override { end(false); }
    void reset() override { end(true); }
    Endpoint local() const override { return {flow_.local, flow_.local_port}; }
    Endpoint remote() const override { return {flow_.remote, flow_.remote_port}; }

private:
    void end(bool abruptly);

    std::shared_ptr<OverlaySockets::TcpSocketState> state_;
    FlowKey flow_;
};

class OverlayAcceptor final : public rt::Acceptor {
public:
    OverlayAcceptor(std::shared_ptr<OverlaySockets::ListenerState> state, Endpoint local)
        : state_(std::move(state)), local_(local) {}
    ~OverlayAcceptor() override { close(); }

    rt::Task<Result<rt::StreamPtr>> accept() override;
    Endpoint local() const override { return local_; }
    void close() override;

private:
    std::shared_ptr<OverlaySockets::ListenerState> state_;
    Endpoint local_;
};

class OverlayUdpSocket final : public UdpSocket {
public:
    OverlayUdpSocket(std::shared_ptr<OverlaySockets::UdpState> state, std::uint16_t port)
        : state_(std::move(state)), port_(port) {}
    ~OverlayUdpSocket() override { close(); }

    rt::Task<Result<Datagram>> recv_from(MutableByteView buffer) override;
    rt::Task<Result<>> send_to(Endpoint to, ByteView bytes, std::optional<IpAddress> from) override;
    Result<> connect(Endpoint remote) override;
    std::uint16_t port() const override { return port_; }
    void close() override;

private:
    std::shared_ptr<OverlaySockets::UdpState> state_;
    std::uint16_t port_;
};

// What a connection that is over for this reason tells its user.
Error error_of(CloseReason reason);

}  // namespace selvage::netstack
