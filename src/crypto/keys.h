// Keys and digests that all nodes of a network derive from its name and secret.
// Source: protocol document 1-link.md, sections 2.2 and 2.6.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "crypto/secret.h"

namespace selvage::crypto {

using Key128 = Secret<16>;
using Key256 = Secret<32>;

// What a handshake shows to prove the network. Not a secret in the strict sense, since every
// server that we dial sees it; compare it in constant time all the same.
using NetworkDigest = std::array<std::uint8_t, 32>;

// From the secret alone; the network's name is not part of them.
Key128 derive_key128(const SecretText& network_secret);
Key256 derive_key256(const SecretText& network_secret);

NetworkDigest network_digest(std::string_view network_name, const SecretText& network_secret);

// How a node shows that it knows the secret of an ACL group (4-gateway.md section 8.4):
// HMAC-SHA256 over the group's name, a zero byte and the node's peer id, big-endian.
using GroupProof = std::array<std::uint8_t, 32>;
GroupProof group_proof(std::string_view group, const SecretText& secret, std::uint32_t peer_id);

}  // namespace selvage::crypto
