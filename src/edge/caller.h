// Who is at the other end of a service's stream, as far as the node knows.
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.h"
#include "base/ip.h"
#include "base/uuid.h"

namespace selvage::edge {

using SessionId = Id<struct SessionTag, std::uint64_t>;

// mesh: came to the virtual address from another node. host: a program on this machine, through
// listen_host; it has no mesh identity.
enum class Origin : std::uint8_t { mesh, host };

struct Caller {
    Origin origin = Origin::mesh;
    PeerId peer;            // 0 for host callers
    std::string host_name;  // as the peer announces it; unique only if the members are honest
    Uuid instance;          // zero when unknown
    std::string network;
    Endpoint address;  // the caller's end of the stream
    Endpoint local;    // our end
    SessionId session;

    // "laptop (peer 7) 10.144.1.7:51514": for logs; host names are made printable.
    std::string to_string() const;
};

}  // namespace selvage::edge
