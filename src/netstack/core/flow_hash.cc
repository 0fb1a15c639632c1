// One layout of bytes for every purpose.
#include "netstack/core/flow_hash.h"

namespace selvage::netstack {

std::uint64_t hash_flow(
    SipKey key, const FlowKey& flow, HashPurpose purpose, bool with_port, std::uint64_t more
) {
    std::uint8_t bytes[2 * 16 + 2 * 2 + 1 + 8];
    std::size_t at = 0;
    const auto put = [&](ByteView piece) {
        std::memcpy(bytes + at, piece.data(), piece.size());
        at += piece.size();
    };
    put(flow.local.bytes());
    put(flow.remote.bytes());
    put(as_bytes_of(be16(with_port ? flow.local_port : std::uint16_t{0})));
    put(as_bytes_of(be16(flow.remote_port)));
    bytes[at++] = static_cast<std::uint8_t>(purpose);
    if (more != 0) put(as_bytes_of(be64(more)));
    return siphash24(key, {bytes, at});
}

}  // namespace selvage::netstack
