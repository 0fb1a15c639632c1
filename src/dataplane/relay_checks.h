// Checks on packets that we relay or classify by what they carry.
//
// A relay passes on what it does not understand. But some malformed packets end or disable stock
// nodes (1-link.md section 9.15, 2-control.md section 11a), also as relays behind us; where the
// bytes that do it are in the clear, we do not pass them on.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "dataplane/flow_table.h"
#include "packet/packet_buf.h"
#include "packet/peer_header.h"

namespace selvage::dataplane {

// A clear packet, header in front, that must not be relayed: a KcpSource too short for its own
// header, or data whose IP version is neither 4 nor 6.
bool would_harm_stock_node(const packet::PacketBuf& packet);

// What a node that carries no data of others refuses: the data types, and a foreign-network packet
// (a sound one, see above) around one of them. Source: 2-control.md section 0.
bool is_relay_data(const packet::PacketBuf& packet);

// Types that are spoken on one connection only. A stock node answers, or ends on, a pong whatever
// way it came, so none that was wrapped may reach a connection of ours.
bool belongs_to_a_connection(packet::PacketType type);

// The flow, seen from us, of the packet that an ICMP error quotes; nothing when it is not an
// error or quotes something without ports.
std::optional<FlowKey> quoted_flow(const packet::IpMeta& ip, ByteView bytes);

}  // namespace selvage::dataplane
