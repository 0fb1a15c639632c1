// Who is at the other end of a service's stream, as far as the node knows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/ip.h"
#include "base/uuid.h"

namespace selvage::edge {

using SessionId = Id<struct SessionTag, std::uint64_t>;

// mesh: came to the virtual address from another node. host: a program on this machine, through
// listen_host; it has no mesh identity.
enum class Origin : std::uint8_t { mesh, host };

// What vouches for a member. none: the network has no secret, or does not encrypt, so packets of
// anybody who reaches us would pass. network_secret: whoever sent them holds the secret.
enum class AuthLevel : std::uint8_t { none, network_secret };
std::string_view to_text(AuthLevel level);

// direct: the member is our neighbour. relayed: other members pass its packets on.
enum class PathKind : std::uint8_t { direct, relayed };
std::string_view to_text(PathKind path);

struct Caller {
    Origin origin = Origin::mesh;
    PeerId peer;            // 0 for host callers
    std::string host_name;  // as the peer announces it; unique only if the members are honest
    Uuid instance;          // zero when unknown
    std::string network;
    std::optional<IpAddress> virtual_address;  // the member's own; not where a subnet's host calls
    AuthLevel auth = AuthLevel::none;
    PathKind path = PathKind::relayed;
    Endpoint address;  // the caller's end of the stream
    Endpoint local;    // our end
    SessionId session;

    // "laptop (peer 7) 10.144.1.7:51514": for logs; host names are made printable.
    std::string to_string() const;
};

}  // namespace selvage::edge
