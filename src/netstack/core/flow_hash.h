// Keyed hashes of a flow: for tables, initial sequence numbers, timestamp offsets, local ports and
// SYN cookies.
#pragma once

#include "base/siphash.h"
#include "netstack/core/socket_ids.h"

namespace selvage::netstack {

// Keeps the uses of one key apart.
enum class HashPurpose : std::uint8_t { table, sequence, timestamp, port, cookie };

// `more` is hashed as well; without `with_port` our own port is left out.
std::uint64_t hash_flow(
    SipKey key, const FlowKey& flow, HashPurpose purpose, bool with_port = true,
    std::uint64_t more = 0
);

}  // namespace selvage::netstack
