// A Forwarder with real neighbours and routes around it, and packets for it.
//
//   us     peer 1, 10.0.0.1/24
//   near   peer 2, 10.0.0.2, our neighbour
//   far    peer 3, 10.0.0.3, behind near
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "dataplane/forwarder.h"
#include "packet/checksum.h"
#include "packet/ip_headers.h"
#include "route/link_state.h"
#include "rt/virtual_runtime.h"
#include "tunnel/test_tunnel.h"

namespace selvage::dataplane {

constexpr PeerId kUs(1);
constexpr PeerId kNear(2);
constexpr PeerId kFar(3);
const IpAddress kOurIp = IpAddress::v4(10, 0, 0, 1);
const IpAddress kNearIp = IpAddress::v4(10, 0, 0, 2);
const IpAddress kFarIp = IpAddress::v4(10, 0, 0, 3);

// One IP packet. Checksums are left out: the pipeline does not look at them.
inline packet::PacketBuf ip_packet(
    packet::PacketPool& pool, const Endpoint& from, const Endpoint& to, packet::IpProtocol protocol,
    std::uint8_t tcp_flags = 0
) {
    packet::PacketBuf out = pool.take();
    const bool tcp = protocol == packet::IpProtocol::tcp;
    const std::size_t transport = tcp ? sizeof(packet::TcpHeader) : sizeof(packet::UdpHeader);
    if (from.address.is_v4()) {
        auto* ip = new (out.push_back(sizeof(packet::Ipv4Header))) packet::Ipv4Header;
        ip->total_length = static_cast<std::uint16_t>(sizeof(packet::Ipv4Header) + transport);
        ip->protocol = static_cast<std::uint8_t>(protocol);
        ip->source = from.address.v4_value();
        ip->destination = to.address.v4_value();
    } else {
        auto* ip = new (out.push_back(sizeof(packet::Ipv6Header))) packet::Ipv6Header;
        ip->payload_length = static_cast<std::uint16_t>(transport);
        ip->next_header = static_cast<std::uint8_t>(protocol);
        ip->source = from.address.raw();
        ip->destination = to.address.raw();
    }
    if (tcp) {
        auto* header = new (out.push_back(transport)) packet::TcpHeader;
        header->source_port = from.port;
        header->destination_port = to.port;
        header->flags = tcp_flags;
    } else {
        auto* header = new (out.push_back(transport)) packet::UdpHeader;
        header->source_port = from.port;
        header->destination_port = to.port;
        header->length = static_cast<std::uint16_t>(transport);
    }
    return out;
}

struct World : peer::PeerEvents, StackPort, NicPort, ControlSink {
    explicit World(bool with_kernel = true, bool encrypt = false, DataplaneOptions options = {})
        : kernel(with_kernel),
          table(peer_options(kUs), runtime, pool, *this, Log()),
          near_table(peer_options(kNear), runtime, pool, near_events, Log()),
          codec(make_codec(encrypt)),
          forwarder(complete(std::move(options)), make_codec(encrypt), runtime, table) {
        forwarder.attach(*this, *this, *this);
        forwarder.set_routes(make_routes());
        auto [ours, theirs] = tunnel::TestTunnel::pair(runtime);
        to_near = ours.get();
        near_table.add(std::move(theirs), peer::Role::server);
        table.add(std::move(ours), peer::Role::client);
        runtime.run_for(std::chrono::seconds(1));
        (void)take_log();  // the handshake
    }
    ~World() override {
        runtime.run(table.close());
        runtime.run(near_table.close());
    }

    static DataplaneOptions complete(DataplaneOptions options) {
        options.my_id = kUs;
        options.addresses.ipv4 = Prefix{kOurIp, 24};
        return options;
    }
    static peer::PeerOptions peer_options(PeerId id) {
        return {
            .my_id = id,
            .network_name = "n1",
            .network_digest = crypto::network_digest("n1", crypto::SecretText("s1"))
        };
    }
    PayloadCodec make_codec(bool encrypt) {
        const auto algorithm =
            encrypt ? crypto::CipherAlgorithm::aes_gcm : crypto::CipherAlgorithm::none;
        return {crypto::PacketCipher::make(algorithm, crypto::SecretText("s1")).value(), pool};
    }
    std::shared_ptr<const route::RouteTable> make_routes() {
        route::RouteOptions own{.self = kUs, .network_name = "n1"};
        own.own.ipv4 = Prefix{kOurIp, 24};
        route::LinkState links(own, 1, runtime.now(), runtime.wall_now());
        links.set_neighbours({kNear}, runtime.now());
        const std::map<PeerId, IpAddress> others{{kNear, kNearIp}, {kFar, kFarIp}};
        for (const auto& [peer, address] : others) {
            route::RouteOptions options{.self = peer, .network_name = "n1"};
            options.own.ipv4 = Prefix{address, 24};
            options.own.hostname = fmt::format("host{}", peer);
            links.add_record(
                route::build_own_record(options, 7, 1, runtime.wall_now()), runtime.now()
            );
        }
        links.add_row({.peer = {kNear, 1}, .connected = {kUs, kFar}}, runtime.now());
        links.add_row({.peer = {kFar, 1}, .connected = {kNear}}, runtime.now());
        return std::make_shared<route::RouteTable>(
            links, route::EdgeLatencies{}, std::map<PeerId, route::NeighbourInfo>{{kNear, {}}}, 1
        );
    }

    // Puts a peer header in front and gives the packet to the pipeline, as if near had sent it.
    void arrive(
        packet::PacketBuf payload, PeerId from, PeerId to,
        packet::PacketType type = packet::PacketType::data, std::uint8_t hops = 1,
        std::uint8_t flags = 0
    ) {
        const auto size = static_cast<std::uint32_t>(payload.size());
        auto* header = payload.push_front<packet::PeerHeader>();
        header->from_peer = from.raw();
        header->to_peer = to.raw();
        header->type = static_cast<std::uint8_t>(type);
        header->flags = flags;
        header->hops = hops;
        header->payload_len = size;
        arrive_raw(std::move(payload));
    }
    void arrive_raw(packet::PacketBuf packet) {
        packet::PacketBatch batch(runtime.now());
        batch.push(std::move(packet));
        forwarder.from_peers(std::move(batch));
    }
    // A TCP segment from near to one of our ports.
    void segment(
        std::uint16_t from_port, std::uint16_t to_port, std::uint8_t flags, PeerId from = kNear
    ) {
        arrive(
            ip_packet(
                pool, {kNearIp, from_port}, {kOurIp, to_port}, packet::IpProtocol::tcp, flags
            ),
            from, kUs
        );
    }
    // near says that it could not deliver our packet, or another that it quotes.
    void unreachable(
        const Endpoint& from, const Endpoint& to,
        packet::IpProtocol protocol = packet::IpProtocol::udp
    ) {
        auto quote = ip_packet(pool, from, to, protocol);
        *quote.push_front<packet::IcmpHeader>() = {.type = 3, .code = 3};
        auto* ip = quote.push_front<packet::Ipv4Header>();
        ip->total_length = static_cast<std::uint16_t>(quote.size());
        ip->protocol = 1;
        ip->source = kNearIp.v4_value();
        ip->destination = kOurIp.v4_value();
        arrive(std::move(quote), kNear, kUs);
    }
    // Piece `number` of a datagram in pieces of 8 bytes, of which more follow.
    void fragment(
        const Endpoint& from, const Endpoint& to, std::uint16_t id, std::uint16_t number,
        PeerId peer = kNear
    ) {
        auto piece = ip_packet(pool, from, to, packet::IpProtocol::udp);
        auto* ip = piece.header<packet::Ipv4Header>();
        ip->id = id;
        ip->fragment = static_cast<std::uint16_t>(packet::kIpv4MoreFragments | number);
        // What stands in place of the ports is data.
        if (number != 0) std::fill_n(piece.data() + sizeof(*ip), 8, std::uint8_t{0xee});
        arrive(std::move(piece), peer, kUs);
    }
    void send_from_nic(packet::PacketBuf packet) {
        packet::PacketBatch batch(runtime.now());
        batch.push(std::move(packet));
        forwarder.from_nic(std::move(batch));
    }
    void send_from_stack(packet::PacketBuf packet) {
        packet::PacketBatch batch(runtime.now());
        batch.push(std::move(packet));
        forwarder.from_stack(std::move(batch));
    }
    // What happened since the last call: S to the stack, K to the kernel, R an RPC message, and
    // "> peer (hops)" for what went out.
    std::string take_log() {
        for (const std::string& hex : std::exchange(to_near->sent, {})) {
            const Bytes bytes = from_hex(hex).value();
            const auto* header = reinterpret_cast<const packet::PeerHeader*>(bytes.data());
            if (header->packet_type() == packet::PacketType::ping ||
                header->packet_type() == packet::PacketType::pong) {
                continue;
            }
            log += fmt::format(">{}({})", header->to(), header->hops);
        }
        return std::exchange(log, {});
    }
    std::uint64_t dropped(DropReason reason) const { return forwarder.drops()[reason]; }

    void on_peer_up(PeerId) override {}
    void on_peer_down(PeerId) override {}
    void on_peer_packets(PeerId, packet::PacketBatch&&) override {}
    void deliver(packet::PacketBatch&& batch) override { log.append(batch.size(), 'S'); }
    bool has_tcp(const Endpoint&, const Endpoint&) const override { return stack_has_connection; }
    bool has_kernel() const override { return kernel; }
    void send(packet::PacketBatch&& batch) override { log.append(batch.size(), 'K'); }
    void on_rpc_packet(PeerId from, packet::PacketType, ByteView payload) override {
        log += fmt::format("R{}:{}", from, as_text(payload));
    }

    struct Silent final : peer::PeerEvents {
        void on_peer_up(PeerId) override {}
        void on_peer_down(PeerId) override {}
        void on_peer_packets(PeerId, packet::PacketBatch&&) override {}
    };

    bool kernel;
    bool stack_has_connection = true;
    std::string log;
    rt::VirtualRuntime runtime;
    packet::PacketPool pool;
    Silent near_events;
    peer::PeerTable table;
    peer::PeerTable near_table;
    PayloadCodec codec;  // as every node of the network has it
    Forwarder forwarder;
    tunnel::TestTunnel* to_near = nullptr;
};

}  // namespace selvage::dataplane
