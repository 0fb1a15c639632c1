// ForeignNetworkPacket: a packet of another network, wrapped for the way between two servers that
// both host it. Source: protocol document 1-link.md, section 1.7.
//
//   peer header (type 10) | header_len, destination, name offset, name length | name | inner packet
#pragma once

#include <optional>
#include <string_view>

#include "packet/packet_buf.h"
#include "packet/peer_header.h"

namespace selvage::packet {

struct ForeignHeader {
    le16 header_len;   // of this header and the name
    le32 to_peer;      // the final destination in the other network
    le16 name_offset;  // always the size of this header
    le16 name_len;
};
static_assert(sizeof(ForeignHeader) == 10 && WireStruct<ForeignHeader>);

struct ForeignPacket {
    PeerId to;
    std::string_view network_name;  // lies in the payload
    ByteView inner;                 // a peer header and its payload
};

// Reads the payload of a packet of type 10. Nothing when a length is wrong, the name is not UTF-8
// or there is no whole inner header: such a packet ends stock nodes, also those that only relay it.
std::optional<ForeignPacket> parse_foreign_packet(ByteView payload);

// Puts the wrapping in front of a peer packet, in place where the name leaves room for the headers
// to come. An empty handle when the result would be longer than the tcp transport takes, or no
// buffer is left for a copy.
PacketBuf wrap_foreign_packet(
    PacketPool& pool, PeerId to, std::string_view name, PacketBuf&& inner
);

}  // namespace selvage::packet
