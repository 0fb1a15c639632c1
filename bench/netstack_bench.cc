// Two stacks back to back in memory, on one core: bulk data, connections per second, and what a
// connection costs that says nothing. Rates are per second of CPU time, so that a machine that
// others use disturbs them little.
#include <benchmark/benchmark.h>
#include <malloc.h>

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
    // Lets time pass in which only timers run.
    void wait(Duration time) {
        for (const TimePoint end = now + time; now < end; now += 10ms)
            turn();
    }
    // What the heap has given to both stacks, its own overhead included, without what the pools
    // keep for the next burst.
    std::size_t heap_bytes() const {
        return ::mallinfo2().uordblks - left.kept_bytes() - right.kept_bytes();
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
    options.mtu = 1380;  // with headers
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

// Bytes of heap for one end of a connection that has moved range(0) bytes each way and then said
// nothing for range(1) seconds. Time is of no interest here.
void idle(benchmark::State& state) {
    constexpr std::size_t kConnections = 4000;
    for (auto _ : state) {
        Pair pair({});
        {
            // The blocks of packets are the pool's; all that it may need are made now.
            std::vector<packet::PacketBuf> blocks;
            while (pair.pool.available() > 0)
                blocks.push_back(pair.pool.take());
        }
        std::vector<std::pair<TcpId, TcpId>> ends;
        ends.reserve(kConnections);
        Bytes data(64 * 1024);
        const std::size_t before = pair.heap_bytes();
        for (std::size_t i = 0; i < kConnections; ++i) {
            ends.push_back(pair.connect());
            const auto [client, server] = ends.back();
            const auto most = static_cast<std::size_t>(state.range(0));
            std::size_t to_right = 0;
            std::size_t to_left = 0;
            for (std::size_t read = 0; read < 2 * most;) {
                const auto piece = [&](std::size_t done) {
                    return ByteView(data).first(std::min(data.size(), most - done));
                };
                to_right += pair.left.tcp_write(client, piece(to_right));
                to_left += pair.right.tcp_write(server, piece(to_left));
                pair.turn();
                read += pair.right.tcp_read(server, data) + pair.left.tcp_read(client, data);
            }
        }
        pair.wait(std::chrono::seconds(state.range(1)));
        const auto used = static_cast<double>(pair.heap_bytes() - before);
        state.counters["bytes"] = used / (2 * kConnections);
        for (const auto& [client, server] : ends) {
            pair.left.tcp_abort(client);
            pair.right.tcp_abort(server);
        }
        pair.turn();
    }
}
BENCHMARK(idle)->Args({1000, 1})->Args({1000, 30})->Args({1 << 20, 30})->Iterations(1);

}  // namespace
