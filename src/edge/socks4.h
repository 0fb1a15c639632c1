// SOCKS4 and 4a requests, without I/O. Neither RFC: the 1992 memo of NEC, and the 4a extension of
// 1996 that lets the proxy resolve names.
//
//   04 | command | port (2) | address (4) | user id ... 00 [ name ... 00, if the address is 0.0.0.x
//   ]
//
// There are no passwords: a proxy that wants one refuses SOCKS4 altogether. The user id is read
// and not believed.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/error.h"
#include "edge/destination.h"

namespace selvage::edge {

struct Socks4Request {
    bool bind = false;  // else connect
    Destination to;
    std::size_t size = 0;  // bytes of the request; what follows belongs to the connection
};

// Nothing while bytes are missing. Errors: malformed, unsupported, bad_length.
Result<std::optional<Socks4Request>> parse_socks4(ByteView bytes);

enum class Socks4Reply : std::uint8_t { granted = 90, rejected = 91 };
// `bound` matters for BIND; an IPv6 address, which SOCKS4 has no word for, becomes 0.0.0.0.
Bytes build_socks4_reply(Socks4Reply reply, const Endpoint& bound);

}  // namespace selvage::edge
