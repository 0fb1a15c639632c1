// Packets of a hosted network's client, and wrapped ones of another server, into the pipeline of
// that network. What it passes on must not be what ends stock nodes.
//
// Input: a byte of switches, then packets, each a byte (0: from the client, else the payload of a
// wrapped one), two length bytes and its bytes.
#include <cstdlib>

#include "dataplane/foreign_forwarder.h"
#include "dataplane/relay_checks.h"
#include "packet/foreign_packet.h"
#include "rt/virtual_runtime.h"
#include "tunnel/test_tunnel.h"

namespace {

using namespace selvage;
using packet::PacketBuf;
using packet::PacketType;
using packet::PeerHeader;

constexpr PeerId kServer(70);
constexpr PeerId kClient(1);

void expect_harmless(const PacketBuf& packet) {
    const auto* header = packet.header<PeerHeader>();
    if (header == nullptr || dataplane::would_harm_stock_node(packet)) std::abort();
    if (header->packet_type() == PacketType::foreign_network &&
        !packet::parse_foreign_packet(packet.bytes().subspan(sizeof(PeerHeader)))) {
        std::abort();
    }
}

struct Hosted final : peer::PeerEvents, dataplane::ControlSink, dataplane::ForeignLink {
    Hosted() {
        auto [ours, theirs] = tunnel::TestTunnel::pair(runtime);
        to_client = ours.get();
        client_table.add(std::move(theirs), peer::Role::server);
        table.add(std::move(ours), peer::Role::client);
        runtime.run_for(std::chrono::seconds(1));
        to_client->sent.clear();
    }
    ~Hosted() override {
        runtime.run(table.close());
        runtime.run(client_table.close());
    }
    static peer::PeerOptions peer_options(PeerId id) {
        return {.my_id = id, .network_name = "n1", .network_digest = {}};
    }
    void check_sent() {
        for (const std::string& hex : std::exchange(to_client->sent, {}))
            expect_harmless(pool.copy(from_hex(hex).value()));
    }
    void on_peer_up(PeerId) override {}
    void on_peer_down(PeerId) override {}
    void on_peer_packets(PeerId, packet::PacketBatch&&) override {}
    void on_rpc_packet(PeerId, PacketType, ByteView) override {}
    std::optional<dataplane::DropReason> send_wrapped(PeerId, PacketBuf&& wrapped) override {
        const auto parsed = packet::parse_foreign_packet(wrapped.bytes());
        if (!parsed || parsed->network_name != "n1") std::abort();
        expect_harmless(pool.copy(parsed->inner));
        return std::nullopt;
    }

    rt::VirtualRuntime runtime;
    packet::PacketPool pool;
    peer::PeerTable table{peer_options(kServer), runtime, pool, *this, Log()};
    peer::PeerTable client_table{peer_options(kClient), runtime, pool, *this, Log()};
    dataplane::ForeignCounters counters;
    dataplane::DropCounters drops;
    tunnel::TestTunnel* to_client = nullptr;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    Hosted world;
    dataplane::ForeignForwarder forwarder(
        {.my_id = kServer, .network_name = "n1", .relays_data = (data[0] & 1) != 0}, world.runtime,
        world.pool, world.table, world, world, world.counters, world.drops
    );
    Reader in(ByteView(data + 1, size - 1));
    std::uint8_t wrapped = 0;
    le16 length;
    ByteView bytes;
    while (in.read(wrapped) && in.read(length) &&
           in.read_bytes(std::min<std::size_t>(length, in.left()), bytes)) {
        PacketBuf packet = world.pool.copy(bytes);
        if (!packet) continue;
        if (wrapped == 0) {
            packet::PacketBatch batch(world.runtime.now());
            batch.push(std::move(packet));
            forwarder.from_peers(std::move(batch));
        } else if (const auto parsed = packet::parse_foreign_packet(bytes)) {
            forwarder.from_server(parsed->to, world.pool.copy(parsed->inner));
        }
        world.check_sent();
    }
    return 0;
}
