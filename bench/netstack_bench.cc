// Two stacks back to back in memory, on one core: bulk data and connections per second.
#include <benchmark/benchmark.h>

#include "netstack/core/stack.h"

namespace {

using namespace selvage;
using namespace selvage::netstack;

// Hands packets straight to the other stack.
class Wire final : public PacketOut {
public:
    void from_stack(packet::PacketBatch&& batch) override {
        if (trains) return to->input(std::move(batch));
        for (packet::PacketBuf& packet : batch)
            to->input(std::move(packet), batch.now());
    }
    Stack* to = nullptr;
    bool trains = false;
};

struct Pair {
    explicit Pair(StackOptions options) : left(options, pool, {}), right(options, pool, {}) {
        left.set_addresses({Prefix{IpAddress::v4(10, 0, 0, 1), 24}});
        right.set_addresses({Prefix{IpAddress::v4(10, 0, 0, 2), 24}});
        to_left.to = &left;
        to_right.to = &right;
        listener = *right.tcp_listen(80);
    }
    void turn() {
        now += 10us;
        left.poll(now, to_right);
        right.poll(now, to_left);
        while (left.next_event()) {
        }
        while (right.next_event()) {
        }
    }
    // Both ends of a new connection.
    std::pair<TcpId, TcpId> connect() {
        const TcpId client = *left.tcp_connect({IpAddress::v4(10, 0, 0, 2), 80}, now);
        for (;;) {
            turn();
            if (const auto server = right.tcp_accept(listener)) return {client, *server};
        }
    }
    packet::PacketPool pool;
    TimePoint now{std::chrono::hours(1)};
    Stack left;
    Stack right;
    Wire to_left;
    Wire to_right;
    ListenerId listener;
};

// One packet at a time (0) or in trains (1); with BBR, or with CUBIC (2).
void bulk(benchmark::State& state) {
    StackOptions options;
    options.mtu = 1420;  // packets of 1,420 bytes carry 1,380 of TCP
    if (state.range(0) == 2) options.congestion = CongestionAlgorithm::cubic;
    Pair pair(options);
    pair.to_left.trains = pair.to_right.trains = state.range(0) > 0;
    const auto [client, server] = pair.connect();
    Bytes data(64 * 1024);
    std::uint64_t total = 0;
    for (auto _ : state) {
        while (pair.left.tcp_write(client, data) > 0) {
        }
        pair.turn();
        while (const std::size_t got = pair.right.tcp_read(server, data))
            total += got;
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(total));
    state.counters["Gb/s"] =
        benchmark::Counter(static_cast<double>(total) * 8e-9, benchmark::Counter::kIsRate);
    pair.left.tcp_abort(client);
    pair.right.tcp_abort(server);
    for (int i = 0; i < 4; ++i)
        pair.turn();
}
BENCHMARK(bulk)->Arg(0)->Arg(1)->Arg(2);

void connections(benchmark::State& state) {
    StackOptions options;
    options.time_wait = 1ms;
    Pair pair(options);
    for (auto _ : state) {
        const auto [client, server] = pair.connect();
        pair.left.tcp_shutdown_write(client);
        pair.turn();
        pair.right.tcp_shutdown_write(server);
        pair.turn();
        pair.left.tcp_release(client);
        pair.right.tcp_release(server);
        pair.turn();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(connections);

}  // namespace
