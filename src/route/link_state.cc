// The tables, their bounds, and the defence of what is ours.
#include "route/link_state.h"

#include <limits>

namespace selvage::route {
namespace {

// A version above what was seen. At the top nothing is above; what others then believe ends with
// the record's life only.
std::uint32_t above(std::uint32_t ours, std::uint32_t claimed) {
    const std::uint32_t most = std::max(ours, claimed);
    return most == std::numeric_limits<std::uint32_t>::max() ? most : most + 1;
}

}  // namespace

LinkState::LinkState(
    const RouteOptions& options, std::uint64_t route_id, TimePoint now, WallTime wall
)
    : options_(options), route_id_(route_id) {
    store_own(1, now, wall);
    rows_[options_.self] = {.version = 1, .connected = {}, .renewed = now};
}

const PeerRecord* LinkState::record(PeerId peer) const {
    const auto at = records_.find(peer);
    return at == records_.end() ? nullptr : at->second.record.get();
}

bool LinkState::refuse(Refusal reason) {
    refusals_.add(reason);
    return false;
}

void LinkState::store_own(std::uint32_t version, TimePoint now, WallTime wall) {
    auto record =
        std::make_shared<PeerRecord>(build_own_record(options_, route_id_, version, wall));
    records_[options_.self] = {.record = std::move(record), .renewed = now, .reachable = now};
}

bool LinkState::set_own(OwnNode own_node, TimePoint now, WallTime wall) {
    if (own_node == options_.own) return false;
    options_.own = std::move(own_node);
    store_own(above(own().version, record_version_claimed_), now, wall);
    return true;
}

bool LinkState::set_neighbours(const std::set<PeerId>& neighbours, TimePoint now) {
    StoredRow& row = rows_[options_.self];
    if (row.connected == neighbours) return false;
    edges_ = edges_ - row.connected.size() + neighbours.size();
    row.connected = neighbours;
    row.version = above(row.version, row_version_claimed_);
    row.renewed = now;
    return true;
}

bool LinkState::refresh_own(TimePoint now, WallTime wall) {
    bool changed = false;
    const StoredRecord& stored = records_.at(options_.self);
    const std::uint32_t version = stored.record->version;
    const bool due = now - stored.renewed >= options_.refresh_interval;
    const bool forged =
        record_version_claimed_ >= version && version != std::numeric_limits<std::uint32_t>::max();
    if (due || forged) {
        store_own(above(version, record_version_claimed_), now, wall);
        changed = true;
    }
    StoredRow& row = rows_[options_.self];
    if (row_version_claimed_ >= row.version &&
        row.version != std::numeric_limits<std::uint32_t>::max()) {
        row.version = above(row.version, row_version_claimed_);
        row.renewed = now;
        changed = true;
    }
    return refresh_hosted(now, wall) || changed;
}

bool LinkState::add_record(PeerRecord record, TimePoint now) {
    if (record.version == 0) return false;  // a placeholder, used for nothing
    if (record.peer == options_.self) {
        if (record.route_id == route_id_ && record.version <= own().version)
            return false;  // an echo
        record_version_claimed_ = std::max(record_version_claimed_, record.version);
        const bool ours = record.route_id == route_id_;
        return refuse(ours ? Refusal::own_record : Refusal::own_id_other_route);
    }
    const auto at = records_.find(record.peer);
    const std::size_t replaced = at == records_.end() ? 0 : at->second.record->raw.size();
    if (at != records_.end() && record.version <= at->second.record->version) {
        at->second.reachable = now;  // at the neighbour, who takes it as known to us from now on
        return false;
    }
    if (at == records_.end() && records_.size() >= options_.peers_limit) {
        return refuse(Refusal::table_full);
    }
    if (record_bytes_ - replaced + record.raw.size() > options_.records_bytes_total) {
        return refuse(Refusal::table_full);
    }
    record_bytes_ = record_bytes_ - replaced + record.raw.size();
    StoredRecord& stored = records_[record.peer];
    stored = {
        .record = std::make_shared<const PeerRecord>(std::move(record)),
        .renewed = now,
        .reachable = now
    };
    return true;
}

bool LinkState::row_is_newer(const PeerVersion& peer) {
    if (peer.version == 0 || !peer.peer) return false;
    const auto at = rows_.find(peer.peer);
    const std::uint32_t stored = at == rows_.end() ? 0 : at->second.version;
    if (peer.version <= stored) return false;
    if (peer.peer == options_.self) {
        row_version_claimed_ = std::max(row_version_claimed_, peer.version);
        return refuse(Refusal::own_row);
    }
    if (at == rows_.end() && rows_.size() >= options_.peers_limit) {
        return refuse(Refusal::table_full);
    }
    return true;
}

bool LinkState::add_row(const ConnRow& in, TimePoint now) {
    if (!row_is_newer(in.peer)) return false;
    std::set<PeerId> connected(in.connected.begin(), in.connected.end());
    connected.erase(PeerId{});
    connected.erase(in.peer.peer);
    const auto at = rows_.find(in.peer.peer);
    const std::size_t replaced = at == rows_.end() ? 0 : at->second.connected.size();
    if (edges_ - replaced + connected.size() > options_.edges_total) {
        return refuse(Refusal::table_full);
    }
    edges_ = edges_ - replaced + connected.size();
    rows_[in.peer.peer] = {
        .version = in.peer.version, .connected = std::move(connected), .renewed = now
    };
    return true;
}

bool LinkState::add_bitmap(const ConnBitmap& bitmap, TimePoint now) {
    bool changed = false;
    for (std::size_t r = 0; r < bitmap.peers.size(); ++r) {
        const PeerVersion& peer = bitmap.peers[r];
        const auto at = rows_.find(peer.peer);
        // Most rows of a bitmap are known; only the others are worth reading.
        if (at != rows_.end() && peer.version <= at->second.version) continue;
        if (add_row(row_of(bitmap, r), now)) changed = true;
    }
    return changed;
}

bool LinkState::add_foreign(ForeignEntry entry, TimePoint now) {
    if (entry.version == 0) return false;
    const ForeignKey key{entry.server, entry.network_name};
    const auto at = foreign_.find(key);
    if (entry.server == options_.self) {
        // What we never hosted and somebody says we do ends with the entry's life.
        if (at == foreign_.end() || entry.version <= at->second.entry.version) return false;
        at->second.entry.version = above(at->second.entry.version, entry.version);
        (void)refuse(Refusal::own_foreign);
        return true;
    }
    if (at != foreign_.end() && entry.version <= at->second.entry.version) return false;
    if (at == foreign_.end() && foreign_.size() >= options_.foreign_limit) {
        return refuse(Refusal::table_full);
    }
    foreign_[key] = {.entry = std::move(entry), .renewed = now};
    return true;
}

void LinkState::announce(ForeignEntry entry, TimePoint now, WallTime wall) {
    const auto nanos = wall.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(nanos);
    StoredForeign& stored = foreign_[{entry.server, entry.network_name}];
    // Above what we said before, and after a restart above what an earlier run said.
    entry.version =
        std::max(above(stored.entry.version, 0), static_cast<std::uint32_t>(seconds.count()));
    entry.updated_seconds = seconds.count();
    entry.updated_nanos = static_cast<std::int32_t>((nanos - seconds).count());
    stored = {.entry = std::move(entry), .renewed = now};
}

bool LinkState::set_hosted(
    const std::vector<HostedNetwork>& networks, TimePoint now, WallTime wall
) {
    bool changed = false;
    std::set<std::string> named;
    for (const HostedNetwork& network : networks) {
        named.insert(network.name);
        const auto at = foreign_.find({options_.self, network.name});
        if (at != foreign_.end() && at->second.entry.members == network.members &&
            at->second.entry.secret_digest == network.secret_digest &&
            at->second.entry.server_there == network.self_there) {
            continue;
        }
        announce(
            {.server = options_.self,
             .network_name = network.name,
             .members = network.members,
             .secret_digest = network.secret_digest,
             .server_there = network.self_there},
            now, wall
        );
        changed = true;
    }
    for (auto& [key, stored] : foreign_) {
        if (key.first != options_.self || named.contains(key.second)) continue;
        if (stored.entry.members.empty()) continue;
        ForeignEntry gone = stored.entry;
        gone.members.clear();
        announce(std::move(gone), now, wall);
        changed = true;
    }
    return changed;
}

bool LinkState::refresh_hosted(TimePoint now, WallTime wall) {
    bool changed = false;
    for (auto& [key, stored] : foreign_) {
        const bool due = now - stored.renewed >= options_.refresh_interval;
        if (key.first != options_.self || !due || stored.entry.members.empty()) continue;
        announce(stored.entry, now, wall);
        changed = true;
    }
    return changed;
}

bool LinkState::expire(const std::set<PeerId>& reachable, TimePoint now) {
    bool changed = false;
    std::set<PeerId> gone;
    for (auto at = records_.begin(); at != records_.end();) {
        StoredRecord& stored = at->second;
        if (reachable.contains(at->first)) stored.reachable = now;
        const bool lost =
            now - std::max(stored.renewed, stored.reachable) >= options_.unreachable_life;
        const bool old = now - stored.renewed >= options_.record_life;
        if (at->first == options_.self || (!lost && !old)) {
            ++at;
            continue;
        }
        record_bytes_ -= stored.record->raw.size();
        gone.insert(at->first);
        at = records_.erase(at);
        changed = true;
    }
    for (auto at = rows_.begin(); at != rows_.end();) {
        const bool orphan =
            !records_.contains(at->first) &&
            (gone.contains(at->first) || now - at->second.renewed >= options_.unreachable_life);
        if (!orphan) {
            ++at;
            continue;
        }
        edges_ -= at->second.connected.size();
        at = rows_.erase(at);
    }
    std::erase_if(foreign_, [&](const auto& item) {
        return gone.contains(item.first.first) || now - item.second.renewed >= options_.record_life;
    });
    return changed;
}

}  // namespace selvage::route
