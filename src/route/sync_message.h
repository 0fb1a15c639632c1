// The messages of the route exchange: peer_rpc.SyncRouteInfoRequest and its reply.
// Source: protocol document 2-control.md, section 2.3.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"
#include "route/options.h"
#include "route/refusal.h"

namespace selvage::route {

struct PeerVersion {
    PeerId peer;
    std::uint32_t version = 0;
};

// All connections at once. Bit r * n + c, counted from the least significant bit of each byte, says
// that peer r reports a connection to peer c.
struct ConnBitmap {
    std::vector<PeerVersion> peers;
    Bytes bits;
};

// The connections that one peer reports.
struct ConnRow {
    PeerVersion peer;
    std::vector<PeerId> connected;
};
using ConnList = std::vector<ConnRow>;

// A network that a public server hosts.
struct ForeignEntry {
    PeerId server;  // its id in its own network
    std::string network_name;
    std::vector<PeerId> members;
    std::int64_t updated_seconds = 0;
    std::int32_t updated_nanos = 0;
    std::uint32_t version = 0;
    Bytes secret_digest;  // 32 bytes
    PeerId server_there;  // the server's id in the hosted network
};

// A network that we host.
struct HostedNetwork {
    std::string name;
    Bytes secret_digest;  // 32 bytes
    PeerId self_there;    // our id in it
    std::vector<PeerId> members;

    friend bool operator==(const HostedNetwork&, const HostedNetwork&) = default;
};

struct SyncRequest {
    PeerId sender;
    std::uint64_t session = 0;
    bool is_initiator = false;
    std::vector<Bytes> records;  // each an encoded RoutePeerInfo, byte for byte
    std::variant<std::monostate, ConnBitmap, ConnList> connections;
    std::vector<ForeignEntry> foreign;

    bool has_content() const {
        return !records.empty() || connections.index() != 0 || !foreign.empty();
    }
};

// What cannot be used of a request that can be decoded is left out and counted.
Result<SyncRequest> parse_sync_request(
    ByteView bytes, const RouteOptions& options, RefusalCounts& refusals
);
Bytes build_sync_request(const SyncRequest& request);

// What a bitmap says about its r-th peer. Precondition: it came from parse_sync_request or
// build_bitmap, and r is one of its rows.
ConnRow row_of(const ConnBitmap& bitmap, std::size_t r);
ConnBitmap build_bitmap(const ConnList& rows);

enum class SyncError : std::uint8_t { duplicate_peer_id = 0, stopped = 1 };

struct SyncReply {
    bool is_initiator = false;
    std::uint64_t session = 0;
    std::optional<SyncError> error;
};

Result<SyncReply> parse_sync_reply(ByteView bytes);
// Precondition: never duplicate_peer_id, which ends the process of a stock caller.
Bytes build_sync_reply(const SyncReply& reply);

}  // namespace selvage::route
