// A stranger's packets into a connection that waits for a handshake, then into an open one.
//
// Input: first byte even = we are the server; then packets, each a length byte and its bytes.
#include <cstdlib>

#include "peer/peer_table.h"
#include "rt/virtual_runtime.h"
#include "tunnel/test_tunnel.h"

namespace {

using namespace selvage;

struct Events final : peer::PeerEvents {
    void on_peer_up(PeerId) override {}
    void on_peer_down(PeerId) override {}
    void on_peer_packets(PeerId, packet::PacketBatch&&) override {}
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    rt::VirtualRuntime runtime;
    packet::PacketPool pool;
    Events events;
    peer::PeerOptions options{.my_id = PeerId(1), .network_name = "n1"};
    options.network_digest = crypto::network_digest("n1", crypto::SecretText("s1"));
    peer::PeerTable table(options, runtime, pool, events, Log());
    auto [far, near] = tunnel::TestTunnel::pair(runtime);
    tunnel::TestTunnel* inlet = near.get();
    const auto role = data[0] % 2 == 0 ? peer::Role::server : peer::Role::client;
    const ConnId conn = table.add(std::move(near), role);

    Reader in(ByteView(data + 1, size - 1));
    for (std::uint8_t length = 0; in.read(length);) {
        ByteView bytes;
        if (!in.read_bytes(std::min<std::size_t>(length, in.left()), bytes)) break;
        if (table.state(conn) == peer::PeerTable::ConnState::none) break;
        if (auto packet = pool.copy(bytes)) inlet->receive(std::move(packet));
        runtime.run_for(std::chrono::milliseconds(length % 16));
    }
    runtime.run_for(std::chrono::seconds(1));
    runtime.run(table.close());
    if (pool.in_use() != 0) std::abort();
    return 0;
}
