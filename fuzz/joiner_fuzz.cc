// Packets of the mesh on their way to the kernel, joined and cut again: every packet is in exactly
// one train, a train cuts to what it was made of, and flows keep their order. Then the same bytes
// as what a kernel might hand to the Cutter.
//
// Input: packets, each two length bytes (little-endian) and its bytes.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "packet/checksum.h"
#include "packet/cutter.h"
#include "packet/ip_headers.h"
#include "packet/joiner.h"

namespace {

using namespace selvage;
using namespace selvage::packet;

// Checksums may be written in two ways, and an id means nothing with DF.
Bytes comparable(ByteView packet, const Joiner::Train& train) {
    Bytes out(packet.begin(), packet.end());
    const std::size_t field = train.kind == SuperKind::udp ? 6 : 16;
    std::fill_n(out.begin() + train.ip_bytes + static_cast<std::ptrdiff_t>(field), 2, 0);
    if (!train.is_v4) return out;
    std::fill_n(out.begin() + 10, 2, 0);
    if ((out[6] & 0x40) != 0) std::fill_n(out.begin() + 4, 2, 0);
    return out;
}

void check_train(const PacketBatch& batch, const Joiner& joiner, const Joiner::Train& train) {
    std::array<std::uint8_t, Joiner::kHeaderMax> header{};
    Offload offload;
    const std::size_t bytes = Joiner::build_header(batch, train, header, offload);
    Bytes super(header.data(), header.data() + bytes);
    std::uint8_t at = train.first;
    for (unsigned i = 0; i < train.count; ++i, at = joiner.next(at)) {
        const auto payload = batch[at].bytes().subspan(bytes);
        super.insert(super.end(), payload.begin(), payload.end());
    }
    if (super.size() > 65535) std::abort();
    PacketPool pool;
    Cutter cutter;
    if (!cutter.begin(super, offload) || cutter.left() != train.count) std::abort();
    at = train.first;
    for (unsigned i = 0; i < train.count; ++i, at = joiner.next(at)) {
        const PacketBuf again = cutter.next(pool);
        if (comparable(again.bytes(), train) != comparable(batch[at].bytes(), train)) std::abort();
    }
}

void join(const PacketBatch& batch) {
    Joiner joiner;
    std::array<int, PacketBatch::kCapacity> seen{};
    for (const Joiner::Train& train : joiner.arrange(batch)) {
        std::uint8_t at = train.first;
        for (unsigned i = 0; i < train.count; ++i) {
            ++seen[at];
            if (i + 1 < train.count) {
                if (joiner.next(at) <= at) std::abort();
                at = joiner.next(at);
            }
        }
        if (at != train.last) std::abort();
        if (train.count > 1) check_train(batch, joiner, train);
    }
    for (std::size_t i = 0; i < batch.size(); ++i) {
        if (seen[i] != 1) std::abort();
    }
}

void cut(ByteView input) {
    if (input.size() < 8) return;
    const Offload offload{
        .kind = static_cast<SuperKind>(input[0] % 4),
        .needs_checksum = (input[0] & 0x80) != 0,
        .segment_bytes = static_cast<std::uint16_t>(input[1] | input[2] << 8),
        .checksum_start = static_cast<std::uint16_t>(input[3] | input[4] << 8),
        .checksum_offset = static_cast<std::uint16_t>(input[5] | input[6] << 8)
    };
    Bytes bytes(input.begin() + 8, input.end());
    PacketPool pool(4);
    Cutter cutter;
    if (!cutter.begin(bytes, offload)) return;
    std::size_t payload = 0;
    while (!cutter.done()) {
        const PacketBuf packet = cutter.next(pool);
        if (!packet || packet.tailroom() < kTailroom) std::abort();
        payload += packet.size();
    }
    if (payload < bytes.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    PacketPool pool(PacketBatch::kCapacity);
    PacketBatch batch;
    Reader in(ByteView(data, size));
    le16 length;
    ByteView bytes;
    while (!batch.full() && in.read(length) &&
           in.read_bytes(std::min<std::size_t>(length, in.left()), bytes)) {
        if (PacketBuf packet = pool.copy(bytes)) batch.push(std::move(packet));
    }
    join(batch);
    cut(ByteView(data, size));
    return 0;
}
