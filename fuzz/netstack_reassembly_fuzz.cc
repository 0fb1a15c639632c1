// Reassembly: fragments as the input wants them, of a few packets, in any order. What comes out is
// a packet, the bounds hold, and everything is gone when its time is over.
#include <cstdint>

#include "netstack/core/reassembly.h"
#include "packet/ip_headers.h"

namespace {

using namespace selvage;
using namespace selvage::netstack;

// How the input describes the next fragment.
struct Step {
    std::uint8_t source = 0;
    std::uint8_t id = 0;
    be16 fragment;  // as in the IPv4 header
    std::uint8_t protocol = 0;
    std::uint8_t bytes = 0;    // in units of four
    std::uint8_t seconds = 0;  // that pass before
};

Bytes build(const Step& step, ByteView payload) {
    packet::Ipv4Header header;
    header.total_length = static_cast<std::uint16_t>(sizeof(header) + payload.size());
    header.id = step.id % 8;
    header.fragment = step.fragment.value();
    header.protocol = step.protocol % 20;
    header.source = 0x0a000000U + step.source;
    header.destination = 0x0a0000ffU;
    Bytes out(sizeof(header) + payload.size());
    std::memcpy(out.data(), &header, sizeof(header));
    if (!payload.empty()) std::memcpy(out.data() + sizeof(header), payload.data(), payload.size());
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    StackCounters counters;
    Reassembly reassembly(counters);
    TimePoint now{std::chrono::hours(1)};
    Reader in({data, size});
    Step step;
    while (in.read(step)) {
        now += std::chrono::seconds(step.seconds % 4);
        ByteView payload;
        if (!in.read_bytes(std::min<std::size_t>(step.bytes * 4U, in.left()), payload)) break;
        // Half of the input is taken as whole packets of either family.
        const bool raw = step.seconds >= 128;
        const Bytes bytes = raw ? Bytes(payload.begin(), payload.end()) : build(step, payload);
        const auto meta = packet::parse_ip(bytes);
        if (!meta || !meta->is_fragment) continue;
        if (const auto whole = reassembly.add(bytes, *meta, now)) {
            const auto again = packet::parse_ip(*whole);
            if (again && again->total_length != whole->size()) __builtin_trap();
        }
        if (reassembly.packet_count() > Reassembly::kPacketsMax) __builtin_trap();
        // The packet that has just grown is never the one that gives way.
        if (reassembly.bytes() > Reassembly::kBytesMax + 0xffff) __builtin_trap();
    }
    now += Reassembly::kTimeout;
    while (reassembly.expire(now)) {
    }
    if (reassembly.packet_count() != 0 || reassembly.bytes() != 0) __builtin_trap();
    return 0;
}
