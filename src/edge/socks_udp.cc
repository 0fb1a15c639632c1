// The relay of UDP ASSOCIATE.
#include "edge/socks_udp.h"

#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "rt/with_timeout.h"

namespace selvage::edge {
namespace {

constexpr std::uint8_t kAddressV4 = 1;
constexpr std::uint8_t kAddressName = 3;
constexpr std::uint8_t kAddressV6 = 4;

// Destinations of one association that are remembered. A client with more is looking for them.
constexpr std::size_t kDestinations = 256;
constexpr std::size_t kDatagramMax = 65'535;
// The client's later datagrams wait behind one whose name is looked up.
constexpr Duration kResolveLimit = std::chrono::seconds(3);

}  // namespace

Result<SocksDatagram> parse_socks_datagram(ByteView bytes) {
    struct Head {
        be16 reserved;
        std::uint8_t fragment;
        std::uint8_t address_type;
    } head{};
    Reader in(bytes);
    if (!in.read(head)) return Errc::truncated;
    if (head.fragment != 0) return Error(Errc::unsupported, "a fragment");
    ByteView address;
    std::uint8_t size = head.address_type == kAddressV6 ? 16 : 4;
    if (head.address_type == kAddressName) {
        if (!in.read(size)) return Errc::truncated;
    } else if (head.address_type != kAddressV4 && head.address_type != kAddressV6) {
        return Error(Errc::unsupported, "unknown address type");
    }
    be16 port;
    if (!in.read_bytes(size, address) || !in.read(port)) return Errc::truncated;
    SocksDatagram out{.to = {.name = {}, .address = {}, .port = port}, .payload = in.rest()};
    if (port == 0) return Error(Errc::malformed, "port 0");
    if (head.address_type != kAddressName) {
        auto parsed = IpAddress::from_bytes(address);
        if (!parsed) return parsed.error();
        out.to.address = *parsed;
    } else if (auto numeric = IpAddress::parse(as_text(address))) {
        out.to.address = *numeric;
    } else if (is_resolvable_name(as_text(address))) {
        out.to.name = std::string(as_text(address));
    } else {
        return Error(Errc::malformed, "not a host name");
    }
    return out;
}

Bytes build_socks_datagram_header(const Endpoint& from) {
    const IpAddress address = from.address.unmapped();
    Bytes out{0, 0, 0, address.is_v4() ? kAddressV4 : kAddressV6};
    const ByteView bytes = address.bytes();
    out.insert(out.end(), bytes.begin(), bytes.end());
    const be16 port = from.port;
    const ByteView port_bytes = as_bytes_of(port);
    out.insert(out.end(), port_bytes.begin(), port_bytes.end());
    return out;
}

SocksUdpRelay::SocksUdpRelay(
    Parts parts, Caller caller, DatagramSocketPtr near, std::uint16_t client_port
)
    : parts_(parts),
      caller_(std::move(caller)),
      near_(std::move(near)),
      client_{caller_.address.address.unmapped(), client_port},
      opened_(parts.runtime) {}

rt::Task<Result<>> SocksUdpRelay::run(rt::Stream& control) {
    using namespace boost::asio::experimental::awaitable_operators;
    co_await (
        watch(control) || from_client() || from_world(kMesh) || from_world(kHostV4) ||
        from_world(kHostV6)
    );
    co_return Result<>{};
}

// The connection carries nothing any more; its end is the association's end.
rt::Task<> SocksUdpRelay::watch(rt::Stream& control) {
    std::array<std::uint8_t, 256> ignored;
    for (;;) {
        auto got = co_await control.read_some(ignored);
        if (!got || *got == 0) co_return;
    }
}

rt::Task<> SocksUdpRelay::from_client() {
    Bytes buffer(kDatagramMax);
    for (;;) {
        auto got = co_await near_->receive(buffer);
        if (!got) co_return;
        const bool known_port = client_.port == 0 || got->from.port == client_.port;
        if (got->from.address.unmapped() != client_.address || !known_port) {
            ++counters_.strangers;
            continue;
        }
        auto datagram = parse_socks_datagram(ByteView(buffer).first(got->size));
        if (!datagram) {
            ++(datagram.error().is(Errc::unsupported) ? counters_.fragments : counters_.malformed);
            continue;
        }
        client_.port = got->from.port;
        parts_.sessions.moved(caller_.session, got->size, 0);
        co_await pass_on(std::move(*datagram));
    }
}

rt::Task<> SocksUdpRelay::pass_on(SocksDatagram datagram) {
    auto to = co_await rt::with_timeout(parts_.runtime, kResolveLimit, checked(datagram.to));
    if (!to) {
        ++counters_.refused;
        co_return;
    }
    DatagramSocket* const socket = socket_for(*to);
    if (socket == nullptr) co_return;
    if (written_to_.size() >= kDestinations) written_to_.clear();
    written_to_[*to] = true;
    static_cast<void>(co_await socket->send(*to, datagram.payload));
}

rt::Task<Result<Endpoint>> SocksUdpRelay::checked(const Destination& to) {
    const std::string key = to.to_string();
    if (const auto found = checked_.find(key); found != checked_.end()) co_return found->second;
    auto addresses = co_await parts_.outbound.find_addresses(caller_, to);
    if (!addresses) co_return addresses.error();
    const Endpoint target{addresses->front(), to.port};
    if (checked_.size() >= kDestinations) checked_.clear();
    checked_[key] = target;
    co_return target;
}

DatagramSocket* SocksUdpRelay::socket_for(const Endpoint& to) {
    const bool mesh = parts_.node.in_mesh(to.address);
    const Side side = mesh ? kMesh : to.address.is_v4() ? kHostV4 : kHostV6;
    DatagramSocketPtr& socket = far_[side];
    if (!socket) {
        auto opened = mesh ? parts_.dialer.open_mesh_datagrams()
                           : parts_.dialer.open_host_datagrams(to.address);
        if (!opened) return nullptr;
        socket = std::move(*opened);
        opened_.notify();
    }
    return socket.get();
}

rt::Task<> SocksUdpRelay::from_world(Side side) {
    while (!far_[side])
        co_await opened_.wait();
    Bytes buffer(kDatagramMax);
    for (;;) {
        auto got = co_await far_[side]->receive(buffer);
        if (!got) co_return;
        const Endpoint from{got->from.address.unmapped(), got->from.port};
        if (client_.port == 0 || !written_to_.contains(from)) {
            ++counters_.strangers;
            continue;
        }
        Bytes out = build_socks_datagram_header(from);
        out.insert(
            out.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(got->size)
        );
        parts_.sessions.moved(caller_.session, 0, out.size());
        static_cast<void>(co_await near_->send(client_, out));
    }
}

}  // namespace selvage::edge
