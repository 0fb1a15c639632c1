// Waiting for datagrams, and sending them.
#include "node/datagrams.h"

#include <algorithm>

namespace selvage::node {
namespace {

// Datagrams of one socket that wait; about a quarter of a megabyte at the usual size.
constexpr std::size_t kInboxMax = 256;
// Sockets that services open by the dozen must not take what the tunnels need.
constexpr std::size_t kBufferBytes = 256 * 1024;

}  // namespace

rt::Task<Result<edge::DatagramSocket::Received>> MeshDatagrams::receive(MutableByteView buffer) {
    auto got = co_await socket_->recv_from(buffer);
    if (!got) co_return got.error();
    co_return Received{.from = got->from, .size = got->size};
}

rt::Task<Result<>> MeshDatagrams::send(Endpoint to, ByteView bytes) {
    co_return co_await socket_->send_to(to, bytes, std::nullopt);
}

void MeshDatagrams::close() {
    claim_ = dataplane::Claim();
    socket_->close();
}

struct HostDatagrams::Inbox final : host::UdpSink {
    explicit Inbox(rt::Runtime& runtime) : changed(runtime) {}
    void on_datagrams(std::span<host::Datagram> datagrams, TimePoint) override {
        for (host::Datagram& each : datagrams) {
            if (waiting.size() >= kInboxMax) return;
            const ByteView payload = each.payload.bytes();
            waiting.push_back({each.remote, Bytes(payload.begin(), payload.end())});
        }
        changed.notify();
    }
    struct Entry {
        Endpoint from;
        Bytes payload;  // a copy: blocks of the pool must not wait for a slow service
    };
    std::deque<Entry> waiting;
    bool closed = false;
    rt::Event changed;
};

Result<edge::DatagramSocketPtr> HostDatagrams::open(
    rt::Runtime& runtime, packet::PacketPool& pool, host::Sockets& sockets, Endpoint local
) {
    auto socket = sockets.open_udp(local, {.buffer_bytes = kBufferBytes});
    if (!socket) return std::move(socket).error();
    auto inbox = std::make_shared<Inbox>(runtime);
    (*socket)->start(*inbox);
    return edge::DatagramSocketPtr(new HostDatagrams(pool, std::move(*socket), std::move(inbox)));
}

rt::Task<Result<edge::DatagramSocket::Received>> HostDatagrams::receive(MutableByteView buffer) {
    const auto inbox = inbox_;
    while (inbox->waiting.empty() && !inbox->closed)
        co_await inbox->changed.wait();
    if (inbox->closed) co_return Errc::closed;
    const Inbox::Entry entry = std::move(inbox->waiting.front());
    inbox->waiting.pop_front();
    const std::size_t size = std::min(buffer.size(), entry.payload.size());
    std::copy_n(entry.payload.begin(), size, buffer.begin());
    co_return Received{.from = entry.from, .size = size};
}

rt::Task<Result<>> HostDatagrams::send(Endpoint to, ByteView bytes) {
    if (inbox_->closed) co_return Errc::closed;
    host::Datagram datagram{.payload = pool_.copy(bytes), .remote = to};
    if (!datagram.payload) co_return Errc::limit;
    socket_->send(std::span(&datagram, 1));
    co_return Result<>{};
}

void HostDatagrams::close() {
    if (std::exchange(inbox_->closed, true)) return;
    socket_->close();
    inbox_->changed.notify();
}

}  // namespace selvage::node
