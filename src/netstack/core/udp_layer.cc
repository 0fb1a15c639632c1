// UDP sockets (RFC 768).
#include "netstack/core/udp_layer.h"

#include <algorithm>

#include "packet/checksum.h"

namespace selvage::netstack {

namespace {
constexpr auto kUdp = packet::IpProtocol::udp;
}

UdpLayer::UdpLayer(
    const StackOptions& options, StackCounters& counters, IpOutput& output, PathMtu& path_mtu,
    EventQueue& events, SipKey port_key
)
    : options_(options),
      counters_(counters),
      output_(output),
      path_mtu_(path_mtu),
      events_(events),
      port_key_(port_key),
      sockets_(options.udp_sockets_max) {}

void UdpLayer::post(UdpId id, Socket& socket, SocketEvents events) {
    socket.events = static_cast<SocketEvents>(socket.events | events);
    if (!std::exchange(socket.event_queued, true)) events_.push(id);
}

bool UdpLayer::input(const IpAddress& source, const IpAddress& destination, ByteView transport) {
    Reader in(transport);
    packet::UdpHeader header;
    if (!in.read(header) || header.length < sizeof(header) || header.length > transport.size()) {
        ++counters_.udp_bad;
        return true;
    }
    const ByteView datagram = transport.first(header.length);
    // Without a checksum is allowed over IPv4 only (RFC 8200, section 8.1).
    const bool unchecked = header.checksum == 0 && source.is_v4();
    const std::uint16_t pseudo = packet::pseudo_header_sum(
        source, destination, static_cast<std::uint8_t>(kUdp), header.length
    );
    if (!unchecked && packet::checksum_add(datagram, pseudo) != 0xffff) {
        ++counters_.udp_bad;
        return true;
    }
    const auto known = ports_.find(header.destination_port);
    if (known == ports_.end()) return false;
    Socket& socket = *sockets_.find(known->second);
    const Endpoint from{source, header.source_port};
    if (socket.remote && *socket.remote != from) return false;

    const ByteView payload = datagram.subspan(sizeof(header));
    if (socket.queue.size() >= socket.options.queue_datagrams ||
        socket.queue_bytes + payload.size() > socket.options.queue_bytes) {
        ++counters_.udp_queue_full;
        return true;
    }
    socket.queue.push_back({from, destination, Bytes(payload.begin(), payload.end())});
    socket.queue_bytes += payload.size();
    ++counters_.udp_in;
    post(known->second, socket, socket_event::kReadable);
    return true;
}

void UdpLayer::on_icmp_error(const IcmpError& error, TimePoint now) {
    const FlowKey& flow = error.flow;
    const auto known = ports_.find(flow.local_port);
    Socket* socket = known == ports_.end() ? nullptr : sockets_.find(known->second);
    if (socket == nullptr || socket->remote != Endpoint{flow.remote, flow.remote_port}) {
        ++counters_.icmp_errors_invalid;
        return;
    }
    if (error.mtu) {
        ++counters_.icmp_too_big_in;
        path_mtu_.note(flow.remote, PathMtu::checked(flow.remote, *error.mtu), now);
        return;
    }
    ++counters_.icmp_errors_in;
    socket->error = error.reason == CloseReason::refused ? Errc::refused : Errc::unreachable;
    post(known->second, *socket, socket_event::kReadable);
}

std::optional<std::uint16_t> UdpLayer::choose_port() {
    const std::uint32_t range = options_.ephemeral_last - options_.ephemeral_first + 1U;
    for (std::uint32_t i = 0; i < range; ++i) {
        // Each try is as good as random to whoever does not have the key (RFC 6056, algorithm 1).
        const be32 counter(port_counter_++);
        const std::uint64_t hash = siphash24(port_key_, as_bytes_of(counter));
        const auto port = static_cast<std::uint16_t>(options_.ephemeral_first + hash % range);
        if (ports_.contains(port)) continue;
        if (options_.may_use_port && !options_.may_use_port(kUdp, port)) continue;
        return port;
    }
    return std::nullopt;
}

Result<UdpId> UdpLayer::bind(std::uint16_t port, const UdpOptions& options) {
    if (port == 0) {
        const auto chosen = choose_port();
        if (!chosen) return Error(Errc::in_use, "every local port of the range");
        port = *chosen;
    }
    if (ports_.contains(port)) return Error(Errc::in_use, fmt::format("udp port {}", port));
    auto made = std::make_unique<Socket>();
    made->port = port;
    made->options = options;
    const UdpId id = sockets_.add(std::move(made));
    if (!id) return Error(Errc::limit, "UDP sockets of the stack");
    ports_.emplace(port, id);
    return id;
}

Result<> UdpLayer::connect(UdpId id, const Endpoint& remote) {
    Socket* socket = sockets_.find(id);
    if (socket == nullptr) return Errc::closed;
    if (!output_.source_for(remote.address)) {
        return Error(Errc::unreachable, fmt::format("no address of ours to reach {}", remote));
    }
    socket->remote = remote;
    // What others sent before does not belong to the conversation.
    std::erase_if(socket->queue, [&](const Queued& q) { return q.from != remote; });
    socket->queue_bytes = 0;
    for (const Queued& q : socket->queue)
        socket->queue_bytes += q.payload.size();
    return {};
}

Result<> UdpLayer::send(
    UdpId id, const Endpoint& to, ByteView bytes, std::optional<IpAddress> from
) {
    Socket* socket = sockets_.find(id);
    if (socket == nullptr) return Errc::closed;
    if (from && (!output_.is_ours(*from) || from->is_v4() != to.address.is_v4())) from.reset();
    if (!from) from = output_.source_for(to.address);
    if (!from || to.port == 0) {
        return Error(Errc::unreachable, fmt::format("no address of ours to reach {}", to));
    }
    const std::size_t ip = from->is_v4() ? sizeof(packet::Ipv4Header) : sizeof(packet::Ipv6Header);
    const std::size_t most = path_mtu_.find(to.address, options_.mtu);
    if (bytes.size() + sizeof(packet::UdpHeader) + ip > most) {
        ++counters_.udp_too_large;
        return Error(Errc::bad_length, "datagram larger than the path's packets");
    }
    packet::PacketBuf packet = output_.take();
    if (!packet) return Error(Errc::limit, "packets of the stack");
    if (!packet.append(bytes)) {
        ++counters_.udp_too_large;
        return Error(Errc::bad_length, "datagram larger than a packet");
    }
    auto* header = packet.push_front<packet::UdpHeader>();
    header->source_port = socket->port;
    header->destination_port = to.port;
    header->length = static_cast<std::uint16_t>(packet.size());
    const std::uint16_t pseudo = packet::pseudo_header_sum(
        *from, to.address, static_cast<std::uint8_t>(kUdp), header->length
    );
    const std::uint16_t sum = packet::checksum_finish(packet::checksum_add(packet.bytes(), pseudo));
    header->checksum = sum == 0 ? std::uint16_t{0xffff} : sum;  // 0 would mean "none"
    output_.send(std::move(packet), *from, to.address, kUdp);
    ++counters_.udp_out;
    return {};
}

std::optional<Datagram> UdpLayer::receive(UdpId id, MutableByteView out) {
    Socket* socket = sockets_.find(id);
    if (socket == nullptr || socket->queue.empty()) return std::nullopt;
    const Queued oldest = std::move(socket->queue.front());
    socket->queue.pop_front();
    socket->queue_bytes -= oldest.payload.size();
    Datagram result{.from = oldest.from, .to = oldest.to};
    result.size = std::min(out.size(), oldest.payload.size());
    result.truncated = result.size < oldest.payload.size();
    if (result.size > 0) std::memcpy(out.data(), oldest.payload.data(), result.size);
    return result;
}

std::optional<Errc> UdpLayer::take_error(UdpId id) {
    Socket* socket = sockets_.find(id);
    if (socket == nullptr) return Errc::closed;
    return std::exchange(socket->error, std::nullopt);
}

void UdpLayer::close(UdpId id) {
    Socket* socket = sockets_.find(id);
    if (socket == nullptr) return;
    ports_.erase(socket->port);
    sockets_.remove(id.index);
}

std::uint16_t UdpLayer::port_of(UdpId id) const {
    const Socket* socket = sockets_.find(id);
    return socket == nullptr ? std::uint16_t{0} : socket->port;
}

SocketEvents UdpLayer::take_events(UdpId id) {
    Socket* socket = sockets_.find(id);
    if (socket == nullptr) return 0;
    socket->event_queued = false;
    return std::exchange(socket->events, SocketEvents{});
}

}  // namespace selvage::netstack
