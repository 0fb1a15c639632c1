// The first message of each side on a new connection: who are you, do you know our secret?
// Source: protocol document 1-link.md, section 4.2.
//
//   client --HandShake--> server     its real digest, at once
//   client <--HandShake-- server     its digest if name and digest are equal, else zeros
//
// A client of another network is answered with zeros, too, and with the id that the server has in
// the client's network; it may then use the server as a shared one. There is no error message; a
// refusal is a closed connection. Here are only the messages and the
// rules; PeerConn sends, waits and closes.
#pragma once

#include <string>

#include "base/error.h"
#include "packet/packet_buf.h"
#include "packet/peer_header.h"
#include "peer/options.h"

namespace selvage::peer {

struct Hello {
    PeerId peer;
    std::string network_name;
    crypto::NetworkDigest digest{};
    std::vector<std::string> features;
};

// Longer names are legal on the wire, but nobody uses them; they only cost memory and log space.
constexpr std::size_t kNetworkNameMax = 256;

// A whole HandShake packet. `shown` is our id in the network of the other side, `digest_shown` the
// own digest or zeros.
packet::PacketBuf build_hello(
    packet::PacketPool& pool, const PeerOptions& self, PeerId shown,
    const crypto::NetworkDigest& digest_shown
);
// From the payload of a HandShake packet. Errors: malformed (not the message, a name that is not
// UTF-8, peer id 0), bad_length (digest of another size than 32, name too long).
Result<Hello> parse_hello(ByteView payload);

// Whether the server accepts a client as a member of its own network. Errors name the reason:
// incompatible (other network, other secret, own id).
Result<> judge_client(const PeerOptions& self, const Hello& client);
// Whether the client accepts the server that answered. One of another network is a shared server,
// whatever it shows.
Result<> judge_server(const PeerOptions& self, const Hello& server);

}  // namespace selvage::peer
