// What a node tells about itself: peer_rpc.RoutePeerInfo, with the bytes in which it came.
// Source: protocol document 2-control.md, section 2.2.
//
// The bytes of others are passed on exactly as they were received, so that fields that we do not
// know survive; what we understand of them stands beside.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/ip.h"
#include "base/time.h"
#include "base/uuid.h"
#include "route/options.h"
#include "route/refusal.h"

namespace selvage::route {

// By the numbers of their fields in common.PeerFeatureFlag.
enum class Feature : std::uint8_t {
    public_server = 1,
    avoid_relay_data = 2,
    kcp_input = 3,
    no_relay_kcp = 4,
    conn_list_sync = 5,
    quic_input = 6,
    no_relay_quic = 7,
    credential_peer = 8,
    need_p2p = 9,
    disable_p2p = 10,
    ipv6_provider = 11,
};

class FeatureFlags {
public:
    void set(Feature feature, bool on = true) {
        const std::uint32_t bit = 1U << static_cast<unsigned>(feature);
        bits_ = on ? bits_ | bit : bits_ & ~bit;
    }
    bool has(Feature feature) const {
        return ((bits_ >> static_cast<unsigned>(feature)) & 1U) != 0;
    }
    friend bool operator==(FeatureFlags, FeatureFlags) = default;

private:
    std::uint32_t bits_ = 0;
};

struct PeerRecord {
    PeerId peer;
    std::uint64_t route_id = 0;  // random per start of the owner's route engine
    std::uint32_t version = 0;   // higher wins
    std::optional<Uuid> instance;
    std::optional<Prefix> ipv4;
    std::optional<Prefix> ipv6;
    std::optional<IpAddress> ipv6_lease;
    std::vector<Prefix> proxy_cidrs;
    std::vector<GroupClaim> groups;        // not verified
    std::string hostname;                  // as sent: make it printable() before showing it
    std::string version_text;              // likewise
    std::optional<FeatureFlags> features;  // absent: others send it RPC in plaintext
    std::uint8_t udp_nat_type = 0;         // common.NatType
    std::uint8_t tcp_nat_type = 0;
    Bytes raw;

    bool has(Feature feature) const { return features && features->has(feature); }
};

// Reads a record and checks everything in it that could harm us or those we pass it on to.
std::expected<PeerRecord, Refusal> parse_record(ByteView raw, const RouteOptions& options);

// Our own record, ready to be sent.
PeerRecord build_own_record(
    const RouteOptions& options, std::uint64_t route_id, std::uint32_t version, WallTime now
);

}  // namespace selvage::route
