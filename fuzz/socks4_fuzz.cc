// SOCKS4 requests and SOCKS5 datagrams from strangers.
#include <cstddef>
#include <cstdint>

#include "edge/socks4.h"
#include "edge/socks_udp.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace selvage;
    const ByteView bytes(data, size);
    auto request = edge::parse_socks4(bytes);
    if (request && *request) {
        const edge::Socks4Request& got = **request;
        if (got.size > size || got.to.name.size() > 255) __builtin_trap();
        // A request ends where it ends, whatever follows.
        auto again = edge::parse_socks4(bytes.first(got.size));
        if (!again || !*again || (*again)->size != got.size) __builtin_trap();
        auto part = edge::parse_socks4(bytes.first(got.size - 1));
        if (!part || *part) __builtin_trap();
    }
    auto datagram = edge::parse_socks_datagram(bytes);
    if (datagram && (datagram->to.port == 0 || datagram->payload.size() >= size)) __builtin_trap();
    return 0;
}
