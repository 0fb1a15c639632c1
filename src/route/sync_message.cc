// Between sync messages and their protobuf form. Records are cut from the bytes, never re-encoded.
#include "route/sync_message.h"

#include <cassert>
#include <map>

#include "peer_rpc.pb.h"

namespace selvage::route {
namespace {

constexpr std::uint32_t kFieldRecords = 4;
constexpr std::uint32_t kFieldForeign = 6;
constexpr std::uint32_t kFieldItem = 1;
constexpr std::uint32_t kLengthDelimited = 2;
constexpr std::size_t kDigestBytes = 32;
constexpr std::size_t kNetworkNameBytes = 1024;

bool read_varint(Reader& in, std::uint64_t& out) {
    out = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        std::uint8_t byte = 0;
        if (!in.read(byte)) return false;
        out |= std::uint64_t{byte & 0x7fU} << shift;
        if ((byte & 0x80U) == 0) return true;
    }
    return false;
}

// Skips a group, whose end carries the same field number. Groups nest; ours may not, so that a
// stranger cannot make us recurse.
bool skip_value(Reader& in, std::uint32_t wire_type) {
    std::uint64_t value = 0;
    switch (wire_type) {
        case 0:
            return read_varint(in, value);
        case 1:
            return in.skip(8);
        case kLengthDelimited:
            return read_varint(in, value) && in.skip(value);
        case 5:
            return in.skip(4);
        default:
            return false;
    }
}

// Collects the contents of all length-delimited occurrences of one field.
bool collect(ByteView message, std::uint32_t field, std::vector<ByteView>& out) {
    Reader in(message);
    while (in.left() > 0) {
        std::uint64_t key = 0;
        if (!read_varint(in, key)) return false;
        const auto wire_type = static_cast<std::uint32_t>(key & 7);
        if ((key >> 3) != field || wire_type != kLengthDelimited) {
            if (!skip_value(in, wire_type)) return false;
            continue;
        }
        std::uint64_t length = 0;
        ByteView content;
        if (!read_varint(in, length) || !in.read_bytes(length, content)) return false;
        out.push_back(content);
    }
    return true;
}

// The encoded records of a request: all occurrences of field 4, then their items.
bool cut_records(ByteView request, std::vector<ByteView>& items) {
    std::vector<ByteView> lists;
    if (!collect(request, kFieldRecords, lists)) return false;
    for (const ByteView list : lists) {
        if (!collect(list, kFieldItem, items)) return false;
    }
    return true;
}

std::size_t bitmap_bytes(std::size_t peers) {
    return (peers * peers + 7) / 8;
}

void read_bitmap(
    const peer_rpc::RouteConnBitmap& in, const RouteOptions& options, RefusalCounts& refusals,
    SyncRequest& out
) {
    const auto count = static_cast<std::size_t>(in.peer_ids_size());
    if (count > options.peers_limit) {
        refusals.add(Refusal::too_many_rows);
        return;
    }
    // A stock node reads behind the end of a short one and stops.
    if (in.bitmap().size() < bitmap_bytes(count) || count == 0) {
        refusals.add(Refusal::bitmap_too_short);
        return;
    }
    ConnBitmap bitmap;
    for (const auto& peer : in.peer_ids()) {
        bitmap.peers.push_back({.peer = PeerId(peer.peer_id()), .version = peer.version()});
    }
    bitmap.bits.assign(in.bitmap().begin(), in.bitmap().end());
    out.connections = std::move(bitmap);
}

void read_list(
    const peer_rpc::RouteConnPeerList& in, const RouteOptions& options, RefusalCounts& refusals,
    SyncRequest& out
) {
    ConnList list;
    for (const auto& info : in.peer_conn_infos()) {
        if (!info.has_peer_id()) {
            refusals.add(Refusal::row_without_id);
            continue;
        }
        const auto degree = static_cast<std::size_t>(info.connected_peer_ids_size());
        if (list.size() >= options.peers_limit || degree > options.peers_limit) {
            refusals.add(Refusal::too_many_rows);
            continue;
        }
        ConnRow row;
        row.peer = {.peer = PeerId(info.peer_id().peer_id()), .version = info.peer_id().version()};
        for (const auto id : info.connected_peer_ids())
            row.connected.emplace_back(id);
        list.push_back(std::move(row));
    }
    out.connections = std::move(list);
}

std::expected<ForeignEntry, Refusal> read_foreign(
    const peer_rpc::RouteForeignNetworkInfos::Info& in, const RouteOptions& options
) {
    if (!in.has_key()) return std::unexpected(Refusal::foreign_without_key);
    if (!in.has_value()) return std::unexpected(Refusal::foreign_without_value);
    const auto& value = in.value();
    // Stock nodes cannot decode a message with a name that is not UTF-8.
    if (in.key().peer_id() == 0 || in.key().network_name().size() > kNetworkNameBytes ||
        !is_utf8(as_view(in.key().network_name())) ||
        value.network_secret_digest().size() != kDigestBytes ||
        static_cast<std::size_t>(value.foreign_peer_ids_size()) > options.foreign_members_limit) {
        return std::unexpected(Refusal::foreign_malformed);
    }
    ForeignEntry out;
    out.server = PeerId(in.key().peer_id());
    out.network_name = in.key().network_name();
    for (const auto id : value.foreign_peer_ids())
        out.members.emplace_back(id);
    out.updated_seconds = value.last_update().seconds();
    out.updated_nanos = value.last_update().nanos();
    out.version = value.version();
    out.secret_digest.assign(
        value.network_secret_digest().begin(), value.network_secret_digest().end()
    );
    out.server_there = PeerId(value.my_peer_id_for_this_network());
    return out;
}

void write_foreign(const ForeignEntry& in, peer_rpc::RouteForeignNetworkInfos::Info& out) {
    out.mutable_key()->set_peer_id(in.server.raw());
    out.mutable_key()->set_network_name(in.network_name);
    auto& value = *out.mutable_value();
    for (const PeerId member : in.members)
        value.add_foreign_peer_ids(member.raw());
    value.mutable_last_update()->set_seconds(in.updated_seconds);
    value.mutable_last_update()->set_nanos(in.updated_nanos);
    value.set_version(in.version);
    value.set_network_secret_digest(in.secret_digest.data(), in.secret_digest.size());
    value.set_my_peer_id_for_this_network(in.server_there.raw());
}

void append_varint(Bytes& out, std::uint64_t value) {
    while (value >= 0x80) {
        out.push_back(static_cast<std::uint8_t>(value | 0x80));
        value >>= 7;
    }
    out.push_back(static_cast<std::uint8_t>(value));
}

void append_field(Bytes& out, std::uint32_t field, ByteView content) {
    append_varint(out, (field << 3) | kLengthDelimited);
    append_varint(out, content.size());
    out.insert(out.end(), content.begin(), content.end());
}

Bytes serialize(const google::protobuf::MessageLite& message) {
    Bytes out(message.ByteSizeLong());
    (void)message.SerializeToArray(out.data(), static_cast<int>(out.size()));
    return out;
}

void write_connections(const SyncRequest& in, peer_rpc::SyncRouteInfoRequest& out) {
    if (const auto* bitmap = std::get_if<ConnBitmap>(&in.connections)) {
        for (const PeerVersion& peer : bitmap->peers) {
            auto& id = *out.mutable_conn_bitmap()->add_peer_ids();
            id.set_peer_id(peer.peer.raw());
            id.set_version(peer.version);
        }
        out.mutable_conn_bitmap()->set_bitmap(bitmap->bits.data(), bitmap->bits.size());
    }
    if (const auto* list = std::get_if<ConnList>(&in.connections)) {
        out.mutable_conn_peer_list();
        for (const ConnRow& row : *list) {
            auto& info = *out.mutable_conn_peer_list()->add_peer_conn_infos();
            info.mutable_peer_id()->set_peer_id(row.peer.peer.raw());
            info.mutable_peer_id()->set_version(row.peer.version);
            for (const PeerId id : row.connected)
                info.add_connected_peer_ids(id.raw());
        }
    }
}

}  // namespace

Result<SyncRequest> parse_sync_request(
    ByteView bytes, const RouteOptions& options, RefusalCounts& refusals
) {
    peer_rpc::SyncRouteInfoRequest in;
    std::vector<ByteView> items;
    const bool decoded = in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    // Both readings of the bytes must see the same records, or we would pass on what we did not
    // check.
    if (!decoded || !cut_records(bytes, items) ||
        items.size() != static_cast<std::size_t>(in.peer_infos().items_size())) {
        refusals.add(Refusal::undecodable);
        return Error(Errc::malformed, "undecodable route sync");
    }
    SyncRequest out;
    out.sender = PeerId(in.my_peer_id());
    out.session = in.my_session_id();
    out.is_initiator = in.is_initiator();
    for (const ByteView item : items)
        out.records.emplace_back(item.begin(), item.end());
    if (in.has_conn_bitmap()) read_bitmap(in.conn_bitmap(), options, refusals, out);
    if (in.has_conn_peer_list()) read_list(in.conn_peer_list(), options, refusals, out);
    for (const auto& info : in.foreign_network_infos().infos()) {
        auto entry = read_foreign(info, options);
        if (entry) {
            out.foreign.push_back(std::move(*entry));
        } else {
            refusals.add(entry.error());
        }
    }
    return out;
}

Bytes build_sync_request(const SyncRequest& request) {
    peer_rpc::SyncRouteInfoRequest head;
    head.set_my_peer_id(request.sender.raw());
    head.set_my_session_id(request.session);
    head.set_is_initiator(request.is_initiator);
    write_connections(request, head);
    Bytes out = serialize(head);
    if (!request.records.empty()) {
        Bytes items;
        for (const Bytes& record : request.records)
            append_field(items, kFieldItem, record);
        append_field(out, kFieldRecords, items);
    }
    if (!request.foreign.empty()) {
        peer_rpc::RouteForeignNetworkInfos infos;
        for (const ForeignEntry& entry : request.foreign)
            write_foreign(entry, *infos.add_infos());
        append_field(out, kFieldForeign, serialize(infos));
    }
    return out;
}

ConnRow row_of(const ConnBitmap& bitmap, std::size_t r) {
    const std::size_t count = bitmap.peers.size();
    ConnRow row{.peer = bitmap.peers[r], .connected = {}};
    for (std::size_t c = 0; c < count; ++c) {
        const std::size_t k = r * count + c;
        if (((bitmap.bits[k / 8] >> (k % 8)) & 1U) != 0) {
            row.connected.push_back(bitmap.peers[c].peer);
        }
    }
    return row;
}

ConnBitmap build_bitmap(const ConnList& rows) {
    std::map<PeerId, std::uint32_t> versions;  // ascending, as the reference writes them
    for (const ConnRow& row : rows) {
        versions[row.peer.peer] = row.peer.version;
        for (const PeerId id : row.connected)
            versions.try_emplace(id, 0);
    }
    ConnBitmap out;
    std::map<PeerId, std::size_t> index;
    for (const auto& [peer, version] : versions) {
        index[peer] = out.peers.size();
        out.peers.push_back({.peer = peer, .version = version});
    }
    const std::size_t count = out.peers.size();
    out.bits.resize(bitmap_bytes(count));
    for (const ConnRow& row : rows) {
        for (const PeerId id : row.connected) {
            const std::size_t k = index[row.peer.peer] * count + index[id];
            out.bits[k / 8] = static_cast<std::uint8_t>(out.bits[k / 8] | (1U << (k % 8)));
        }
    }
    return out;
}

Result<SyncReply> parse_sync_reply(ByteView bytes) {
    peer_rpc::SyncRouteInfoResponse in;
    if (!in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        return Error(Errc::malformed, "undecodable reply to a route sync");
    }
    SyncReply out{.is_initiator = in.is_initiator(), .session = in.session_id(), .error = {}};
    if (in.has_error()) {
        out.error = in.error() == peer_rpc::DuplicatePeerId ? SyncError::duplicate_peer_id
                                                            : SyncError::stopped;
    }
    return out;
}

Bytes build_sync_reply(const SyncReply& reply) {
    assert(reply.error != SyncError::duplicate_peer_id);
    peer_rpc::SyncRouteInfoResponse out;
    if (reply.error) {
        out.set_error(peer_rpc::Stopped);
        return serialize(out);
    }
    out.set_is_initiator(reply.is_initiator);
    out.set_session_id(reply.session);
    return serialize(out);
}

}  // namespace selvage::route
