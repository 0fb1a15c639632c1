// What the parts of the packet path cost: for one packet of 1,308 bytes of payload where nothing
// else is said. `items_per_second` counts packets.
#include <benchmark/benchmark.h>

#include "crypto/cipher.h"
#include "packet/checksum.h"
#include "packet/cutter.h"
#include "packet/joiner.h"
#include "packet/test_packets.h"

namespace {

using namespace selvage;
using namespace selvage::packet;

constexpr std::size_t kPayload = 1308;  // of TCP with time stamps in a device of MTU 1360
constexpr std::size_t kSegments = 46;
const Bytes kTimestamps = {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8};

void count_packets(benchmark::State& state, std::size_t packets) {
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(packets));
}

void checksum(benchmark::State& state) {
    const Bytes bytes = test_payload(kPayload);
    for (auto _ : state)
        benchmark::DoNotOptimize(checksum_add(bytes));
    count_packets(state, 1);
}
BENCHMARK(checksum);

void parse(benchmark::State& state) {
    const Bytes packet =
        TestPacket{.tcp_options = kTimestamps, .payload = test_payload(kPayload)}.build();
    for (auto _ : state)
        benchmark::DoNotOptimize(parse_ip(packet));
    count_packets(state, 1);
}
BENCHMARK(parse);

void cut(benchmark::State& state) {
    PacketPool pool;
    Offload offload{.kind = SuperKind::tcp4, .segment_bytes = kPayload};
    Bytes super =
        TestPacket{.tcp_options = kTimestamps, .payload = test_payload(kSegments * kPayload)}
            .build_open(offload);
    Cutter cutter;
    for (auto _ : state) {
        if (!cutter.begin(super, offload)) state.SkipWithError("not cut");
        while (!cutter.done())
            benchmark::DoNotOptimize(cutter.next(pool));
    }
    count_packets(state, kSegments);
}
BENCHMARK(cut);

void join(benchmark::State& state) {
    PacketPool pool;
    PacketBatch batch;
    TestPacket packet{.tcp_options = kTimestamps, .payload = test_payload(kPayload)};
    for (std::size_t i = 0; i < kSegments; ++i) {
        batch.push(pool.copy(packet.build()));
        packet.sequence += kPayload;
        ++packet.id;
    }
    Joiner joiner;
    for (auto _ : state)
        benchmark::DoNotOptimize(joiner.arrange(batch));
    count_packets(state, kSegments);
}
BENCHMARK(join);

crypto::PacketCipher make_cipher(const benchmark::State& state) {
    return crypto::PacketCipher::make(
               static_cast<crypto::CipherAlgorithm>(state.range(0)), crypto::SecretText("bench"),
               {}, static_cast<crypto::CipherCode>(state.range(1))
    )
        .value();
}

void seal(benchmark::State& state) {
    crypto::PacketCipher cipher = make_cipher(state);
    Bytes packet = test_payload(1360 + crypto::kCipherTailMax);
    for (auto _ : state)
        benchmark::DoNotOptimize(cipher.seal(packet));
    count_packets(state, 1);
}

void seal_and_open(benchmark::State& state) {
    crypto::PacketCipher cipher = make_cipher(state);
    Bytes packet = test_payload(1360 + crypto::kCipherTailMax);
    for (auto _ : state) {
        benchmark::DoNotOptimize(cipher.seal(packet));
        if (!cipher.open(packet)) state.SkipWithError("not opened");
    }
    count_packets(state, 1);
}

void each_cipher(benchmark::internal::Benchmark* bench) {
    bench->ArgNames({"algorithm", "code"});
    for (const auto algorithm :
         {crypto::CipherAlgorithm::aes_gcm, crypto::CipherAlgorithm::aes_256_gcm,
          crypto::CipherAlgorithm::chacha20}) {
        for (const auto code : {crypto::CipherCode::fastest, crypto::CipherCode::openssl})
            bench->Args({static_cast<int>(algorithm), static_cast<int>(code)});
    }
}
BENCHMARK(seal)->Apply(each_cipher);
BENCHMARK(seal_and_open)->Apply(each_cipher);

}  // namespace
