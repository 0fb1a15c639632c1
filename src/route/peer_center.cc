// The leader's table and the messages of the peer center.
#include "route/peer_center.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "peer_rpc.pb.h"

namespace selvage::route {
namespace {

constexpr std::size_t kMapEdgesLimit = 256 * 1024;

// The order of a map's entries would otherwise differ from run to run, and with it the compressed
// size.
Bytes serialize(const google::protobuf::MessageLite& message) {
    Bytes out(message.ByteSizeLong());
    google::protobuf::io::ArrayOutputStream array(out.data(), static_cast<int>(out.size()));
    google::protobuf::io::CodedOutputStream coded(&array);
    coded.SetSerializationDeterministic(true);
    (void)message.SerializeToCodedStream(&coded);
    return out;
}

template <class Message>
Result<Message> parse(ByteView bytes) {
    Message message;
    if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        return Error(Errc::malformed, "undecodable peer center message");
    }
    return message;
}

Latencies read_latencies(const peer_rpc::PeerInfoForGlobalMap& in) {
    Latencies out;
    for (const auto& [peer, info] : in.direct_peers()) {
        if (peer == 0) continue;
        const std::int32_t latency = std::clamp(info.latency_ms(), kLatencyLeast, kLatencyMost);
        out[PeerId(peer)] = static_cast<std::uint32_t>(latency);
    }
    return out;
}

void write_latencies(const Latencies& in, peer_rpc::PeerInfoForGlobalMap& out) {
    for (const auto& [peer, latency] : in) {
        (*out.mutable_direct_peers())[peer.raw()].set_latency_ms(static_cast<std::int32_t>(latency)
        );
    }
}

}  // namespace

bool PeerCenter::report(PeerId reporter, Latencies latencies, TimePoint now) {
    const auto at = reports_.find(reporter);
    if (at == reports_.end() && reports_.size() >= reporters_limit_) return false;
    const std::size_t replaced = at == reports_.end() ? 0 : at->second.latencies.size();
    if (edges_ - replaced + latencies.size() > edges_limit_) return false;
    edges_ = edges_ - replaced + latencies.size();
    reports_[reporter] = {.latencies = std::move(latencies), .received = now};
    update_digest();
    return true;
}

void PeerCenter::expire(TimePoint now) {
    const auto gone = std::erase_if(reports_, [&](const auto& item) {
        if (now - item.second.received < kReportLife) return false;
        edges_ -= item.second.latencies.size();
        return true;
    });
    if (gone > 0) update_digest();
}

void PeerCenter::update_digest() {
    Bytes all;
    const auto add = [&all](std::uint32_t value) {
        const le32 word(value);
        const ByteView bytes = as_bytes_of(word);
        all.insert(all.end(), bytes.begin(), bytes.end());
    };
    for (const auto& [reporter, report] : reports_) {
        add(reporter.raw());
        add(static_cast<std::uint32_t>(report.latencies.size()));
        for (const auto& [peer, latency] : report.latencies) {
            add(peer.raw());
            add(latency);
        }
    }
    digest_ = reports_.empty() ? 0 : siphash24(key_, all) | 1;
}

PeerMap PeerCenter::map() const {
    PeerMap out;
    for (const auto& [reporter, report] : reports_)
        out[reporter] = report.latencies;
    return out;
}

std::optional<PeerId> leader_of(const RouteTable& table) {
    std::optional<PeerId> leader;
    bool anybody = false;
    for (const RouteEntry& entry : table.entries()) {
        if (!entry.least_hop) continue;
        if (entry.peer() != table.self()) anybody = true;
        if (entry.record->has(Feature::public_server)) continue;
        if (!leader || entry.peer() < *leader) leader = entry.peer();
    }
    return anybody ? leader : std::nullopt;
}

EdgeLatencies edges_of(const PeerMap& map) {
    EdgeLatencies out;
    for (const auto& [from, latencies] : map) {
        for (const auto& [to, latency] : latencies)
            out[{from, to}] = latency;
    }
    return out;
}

Bytes build_report(PeerId self, const Latencies& latencies) {
    peer_rpc::ReportPeersRequest out;
    out.set_my_peer_id(self.raw());
    write_latencies(latencies, *out.mutable_peer_infos());
    return serialize(out);
}

Result<std::pair<PeerId, Latencies>> parse_report(ByteView bytes) {
    const auto in = parse<peer_rpc::ReportPeersRequest>(bytes);
    if (!in) return in.error();
    return std::pair{PeerId(in->my_peer_id()), read_latencies(in->peer_infos())};
}

Bytes build_get_map(std::uint64_t digest) {
    peer_rpc::GetGlobalPeerMapRequest out;
    out.set_digest(digest);
    return serialize(out);
}

Result<std::uint64_t> parse_get_map(ByteView bytes) {
    const auto in = parse<peer_rpc::GetGlobalPeerMapRequest>(bytes);
    if (!in) return in.error();
    return in->digest();
}

Bytes build_map(const PeerCenter& center, std::uint64_t known_digest) {
    peer_rpc::GetGlobalPeerMapResponse out;
    if (known_digest != 0 && known_digest == center.digest()) return serialize(out);
    for (const auto& [reporter, latencies] : center.map()) {
        write_latencies(latencies, (*out.mutable_global_peer_map())[reporter.raw()]);
    }
    out.set_digest(center.digest());
    return serialize(out);
}

Result<FetchedMap> parse_map(ByteView bytes) {
    const auto in = parse<peer_rpc::GetGlobalPeerMapResponse>(bytes);
    if (!in) return in.error();
    FetchedMap out;
    out.unchanged = bytes.empty();
    out.digest = in->digest();
    std::size_t edges = 0;
    for (const auto& [reporter, info] : in->global_peer_map()) {
        edges += static_cast<std::size_t>(info.direct_peers_size());
        if (edges > kMapEdgesLimit) return Error(Errc::limit, "peer center map too large");
        if (reporter != 0) out.map[PeerId(reporter)] = read_latencies(info);
    }
    return out;
}

}  // namespace selvage::route
