// A listener's UDP port under fire: datagrams from a few addresses, in any order, with any content.
// The tables stay within their limits, no block is lost, and every session can still be ended.
#include <cstdint>
#include <cstdlib>

#include "rt/virtual_runtime.h"
#include "tunnel/udp_port.h"

namespace {

using namespace selvage;

constexpr std::size_t kSessions = 6;
constexpr std::size_t kHalfOpen = 4;

class Silence final : public host::UdpSocket {
public:
    void start(host::UdpSink&) override {}
    std::size_t send(std::span<host::Datagram> datagrams) override {
        for (host::Datagram& datagram : datagrams)
            datagram.payload = {};
        return datagrams.size();
    }
    Endpoint local() const override { return {IpAddress(), 1}; }
    void close() override {}
};

class SilentSockets final : public host::Sockets {
public:
    rt::Task<Result<rt::StreamPtr>> connect_tcp(Endpoint) override { co_return Errc::unsupported; }
    Result<rt::AcceptorPtr> listen_tcp(Endpoint, host::TcpListenOptions) override {
        return Errc::unsupported;
    }
    Result<host::UdpSocketPtr> open_udp(Endpoint, host::UdpOptions) override {
        return std::make_unique<Silence>();
    }
    rt::Task<Result<std::vector<IpAddress>>> resolve(std::string) override {
        co_return Errc::unsupported;
    }
    rt::Task<Result<rt::StreamPtr>> connect_unix(std::string) override {
        co_return Errc::unsupported;
    }
    Result<rt::AcceptorPtr> listen_unix(std::string) override { return Errc::unsupported; }
};

class Counter final : public tunnel::TunnelSink {
public:
    void on_packets(packet::PacketBatch&& batch) override {
        for (packet::PacketBuf& packet : batch)
            if (packet.size() < 16) std::abort();
    }
    void on_closed(const Error&) override { ++closed_; }
    int closed_ = 0;
};

rt::Task<> accept_all(
    std::shared_ptr<tunnel::UdpPort> port, Counter& counter, std::vector<tunnel::TunnelPtr>& out
) {
    for (;;) {
        auto accepted = co_await tunnel::UdpPort::accept(port);
        if (!accepted) co_return;
        (*accepted)->start(counter);
        out.push_back(std::move(*accepted));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    rt::VirtualRuntime runtime;
    packet::PacketPool pool(64);
    SilentSockets sockets;
    tunnel::TransportContext context{.runtime = runtime, .sockets = sockets, .pool = pool};
    context.options.udp_sessions_limit = kSessions;
    context.options.udp_half_open_limit = kHalfOpen;
    context.options.unstarted_packets = 4;
    rt::TaskScope tasks(runtime, Log());
    Counter counter;
    std::vector<tunnel::TunnelPtr> tunnels;
    auto port =
        tunnel::UdpPort::open(context, {}, tunnel::Url{.scheme = "udp", .host = "0.0.0.0"}).value();
    tasks.spawn("accept", accept_all(port, counter, tunnels));
    runtime.run_ready();

    // Records of: who sends (2 bits of it close a tunnel or let time pass), how long, what.
    Reader in({data, size});
    std::uint8_t control[2];
    ByteView bytes;
    while (in.left() >= 2) {
        if (!in.read_bytes(2, bytes)) std::abort();
        std::copy(bytes.begin(), bytes.end(), control);
        if (!in.read_bytes(std::min<std::size_t>(control[1], in.left()), bytes)) std::abort();
        std::vector<host::Datagram> batch;
        const Endpoint from{IpAddress::v4(control[0] & 3U), static_cast<std::uint16_t>(1)};
        if (auto payload = pool.copy(bytes)) batch.push_back({std::move(payload), from});
        port->on_datagrams(batch, runtime.now());
        if ((control[0] & 4) != 0) runtime.run_for(1s);
        if ((control[0] & 8) != 0 && !tunnels.empty()) tunnels.pop_back();
        if (port->session_count() > kSessions || port->half_open_count() > kHalfOpen) std::abort();
    }
    const std::size_t open = tunnels.size();
    for (const auto& tunnel : tunnels)
        tunnel->close();
    runtime.run_ready();
    if (std::cmp_not_equal(counter.closed_, open)) std::abort();
    tunnels.clear();
    port->stop_accepting();
    port.reset();
    runtime.run(tasks.close());
    runtime.run(context.tasks.close());
    runtime.run_ready();
    if (pool.in_use() != 0) std::abort();
    return 0;
}
