// Who we are to our neighbours, and the limits of what they can cost us.
#pragma once

#include <cstddef>
#include <string>

#include "base/ids.h"
#include "base/time.h"
#include "crypto/keys.h"

namespace selvage::peer {

struct PeerOptions {
    PeerId my_id;  // random, drawn at every start
    std::string network_name;
    crypto::NetworkDigest network_digest{};

    // The other side has this long to say who it is; the same limit stands on both sides.
    Duration handshake_limit = std::chrono::seconds(5);
    // Strangers: connections that have not finished their handshake. More are closed at once.
    std::size_t handshakes_max = 256;
    // Neighbours of the own network, and connections to one of them. More are refused.
    std::size_t peers_max = 4096;
    std::size_t conns_per_peer_max = 16;
};

}  // namespace selvage::peer
