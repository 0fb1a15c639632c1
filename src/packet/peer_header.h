// The 16-byte header of every peer packet, its types and flags.
// Source: protocol document 1-link.md, sections 1.3 to 1.6.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/ids.h"

namespace selvage::packet {

enum class PacketType : std::uint8_t {
    invalid = 0,
    data = 1,  // a raw IPv4 or IPv6 packet
    handshake = 2,
    ping = 4,
    pong = 5,
    rpc_request = 8,
    rpc_response = 9,
    foreign_network = 10,
    kcp_source = 11,
    kcp_destination = 12,
    noise_handshake1 = 13,
    noise_handshake2 = 14,
    noise_handshake3 = 15,
    quic_source = 16,
    quic_destination = 17,
    data_kcp_modified = 18,  // only ever inside one node
    data_quic_modified = 19,
    relay_handshake = 20,
    relay_handshake_ack = 21,
};

// What each bit of PeerHeader::flags means. Relays keep bits they do not know.
namespace flag {
constexpr std::uint8_t kEncrypted = 0x01;
constexpr std::uint8_t kLatencyFirst = 0x02;
constexpr std::uint8_t kExitNode = 0x04;
constexpr std::uint8_t kNoProxy = 0x08;
constexpr std::uint8_t kCompressed = 0x10;
constexpr std::uint8_t kNotToTun = 0x40;
}  // namespace flag

struct PeerHeader {
    le32 from_peer;
    le32 to_peer;  // 0 in the first handshake packets
    std::uint8_t type = 0;
    std::uint8_t flags = 0;
    std::uint8_t hops = 1;  // "forward counter"; fresh packets carry 1
    std::uint8_t reserved = 0;
    le32 payload_len;  // before compression and encryption

    PeerId from() const { return PeerId(from_peer); }
    PeerId to() const { return PeerId(to_peer); }
    PacketType packet_type() const { return static_cast<PacketType>(type); }
    bool has(std::uint8_t bits) const { return (flags & bits) == bits; }
};
static_assert(sizeof(PeerHeader) == 16 && WireStruct<PeerHeader>);

// A relay that sees more than this drops; a relay that sees more than kHopsLatencyFirst clears
// the latency-first flag so that tables which disagree cannot keep a packet circling.
constexpr std::uint8_t kHopsLimit = 7;
constexpr std::uint8_t kHopsLatencyFirst = 2;

// Peer packets (header and payload) larger than this are refused by the tcp transport of every
// EasyTier node, so we never make one.
constexpr std::size_t kPeerPacketMax = 2000;

// Control packets may not be lost by a queue, data packets may. The one place that decides.
constexpr bool is_control(PacketType type) {
    switch (type) {
        case PacketType::data:
        case PacketType::kcp_source:
        case PacketType::kcp_destination:
        case PacketType::quic_source:
        case PacketType::quic_destination:
        case PacketType::data_kcp_modified:
        case PacketType::data_quic_modified:
        case PacketType::foreign_network:
            return false;
        case PacketType::invalid:
        case PacketType::handshake:
        case PacketType::ping:
        case PacketType::pong:
        case PacketType::rpc_request:
        case PacketType::rpc_response:
        case PacketType::noise_handshake1:
        case PacketType::noise_handshake2:
        case PacketType::noise_handshake3:
        case PacketType::relay_handshake:
        case PacketType::relay_handshake_ack:
            return true;
    }
    return false;  // types that we do not know are relayed, but must not hold up what we do know
}

}  // namespace selvage::packet
