// Datagrams of a simulated host.
#include "sim/udp_layer.h"

#include <algorithm>
#include <deque>

namespace selvage::sim {

// What a socket and its layer share.
struct UdpState {
    UdpLayer* layer = nullptr;  // null: closed, or the host is gone
    Endpoint local;
    host::UdpOptions options;
    host::UdpSink* sink = nullptr;
    struct Waiting {
        Bytes payload;
        Endpoint remote;
    };
    std::deque<Waiting> waiting;  // at most options.buffer_bytes; more is lost
    std::size_t waiting_bytes = 0;
    bool flush_posted = false;

    bool transmit(const host::Datagram& datagram);
};

namespace {

class SimUdpSocket final : public host::UdpSocket {
public:
    explicit SimUdpSocket(std::shared_ptr<UdpState> state) : state_(std::move(state)) {}
    ~SimUdpSocket() override { close(); }

    void start(host::UdpSink& sink) override {
        state_->sink = &sink;
        if (state_->layer) state_->layer->schedule(state_);
    }
    std::size_t send(std::span<host::Datagram> datagrams) override {
        std::size_t sent = 0;
        for (host::Datagram& datagram : datagrams) {
            if (datagram.payload && state_->transmit(datagram)) ++sent;
            datagram.payload = {};
        }
        return sent;
    }
    Endpoint local() const override { return state_->local; }
    void close() override {
        state_->layer = nullptr;
        state_->sink = nullptr;
        state_->waiting.clear();
        state_->waiting_bytes = 0;
    }

private:
    std::shared_ptr<UdpState> state_;
};

}  // namespace

bool UdpState::transmit(const host::Datagram& datagram) {
    if (!layer) return false;
    const IpAddress to = datagram.remote.address.unmapped();
    if (to.is_v4() && local.address.is_v6() && options.v6_only) return false;
    if (to.is_v6() && local.address.is_v4()) return false;
    std::optional<IpAddress> from = local.address;
    if (local.address.is_unspecified()) from = layer->hooks_.source(to);
    if (!from) return false;
    Frame frame{.from = {*from, local.port}, .to = {to, datagram.remote.port}};
    frame.payload.assign(datagram.payload.bytes().begin(), datagram.payload.bytes().end());
    layer->hooks_.transmit(std::move(frame));
    return true;
}

bool UdpLayer::port_taken(const Endpoint& local) const {
    for (const auto& [bound, state] : sockets_) {
        if (!state->layer || bound.port != local.port) continue;
        if (bound.address == local.address) return true;
        const bool wide = bound.address.is_unspecified() || local.address.is_unspecified();
        if (wide && bound.address.is_v4() == local.address.is_v4()) return true;
    }
    return false;
}

host::UdpSocketPtr UdpLayer::open(Endpoint local, host::UdpOptions options) {
    auto state = std::make_shared<UdpState>();
    state->layer = this;
    state->local = local;
    state->options = options;
    sockets_[local] = state;
    return std::make_unique<SimUdpSocket>(state);
}

void UdpLayer::on_frame(Frame&& frame) {
    const Endpoint& to = frame.to;
    const IpAddress any6 = IpAddress::v6({});
    const IpAddress candidates[] = {to.address, to.address.is_v4() ? IpAddress() : any6, any6};
    std::shared_ptr<UdpState> socket;
    for (const IpAddress& address : candidates) {
        const auto found = sockets_.find({address, to.port});
        if (found == sockets_.end()) continue;
        if (!found->second->layer) {
            sockets_.erase(found);
            continue;
        }
        if (to.address.is_v4() && address.is_v6() && found->second->options.v6_only) continue;
        socket = found->second;
        break;
    }
    if (!socket) return;
    if (socket->waiting_bytes + frame.payload.size() > socket->options.buffer_bytes) {
        ++dropped_;
        return;
    }
    socket->waiting_bytes += frame.payload.size();
    Endpoint remote = frame.from;
    if (remote.address.is_v4() && socket->local.address.is_v6()) {
        std::array<std::uint8_t, 16> mapped{};
        mapped[10] = mapped[11] = 0xff;
        std::copy_n(remote.address.raw().begin(), 4, mapped.begin() + 12);
        remote.address = IpAddress::v6(mapped);
    }
    socket->waiting.push_back({std::move(frame.payload), remote});
    schedule(std::move(socket));
}

void UdpLayer::schedule(std::shared_ptr<UdpState> socket) {
    if (!socket->sink || std::exchange(socket->flush_posted, true)) return;
    loop_.post([this, socket = std::move(socket)] {
        socket->flush_posted = false;
        if (socket->layer == this) flush(*socket);
    });
}

void UdpLayer::flush(UdpState& socket) {
    while (socket.sink && !socket.waiting.empty()) {
        std::vector<host::Datagram> batch;
        while (!socket.waiting.empty() && batch.size() < packet::PacketBatch::kCapacity) {
            UdpState::Waiting& first = socket.waiting.front();
            socket.waiting_bytes -= first.payload.size();
            packet::PacketBuf payload = pool_.copy(first.payload);
            if (payload) {
                batch.push_back({std::move(payload), first.remote});
            } else {
                ++dropped_;
            }
            socket.waiting.pop_front();
        }
        if (!batch.empty()) socket.sink->on_datagrams(batch, loop_.now());
    }
}

void UdpLayer::vanish() {
    for (const auto& [local, socket] : sockets_) {
        socket->layer = nullptr;
        socket->waiting.clear();
    }
    sockets_.clear();
}

std::size_t UdpLayer::socket_count() const {
    std::size_t count = 0;
    for (const auto& [local, socket] : sockets_) {
        if (socket->layer) ++count;
    }
    return count;
}

}  // namespace selvage::sim
