// Everything known about the network: records of nodes, who reports which connections, networks
// hosted by public servers. Higher versions win. Our own record and row are defended: what others
// say about us is ignored, and answered with a version above all that were seen.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "base/time.h"
#include "route/record.h"
#include "route/refusal.h"
#include "route/sync_message.h"

namespace selvage::route {

struct StoredRecord {
    std::shared_ptr<const PeerRecord> record;  // shared with the snapshots that show it
    TimePoint renewed;                         // when this version came
    TimePoint reachable;                       // when somebody last led to it
};

struct StoredRow {
    std::uint32_t version = 0;
    std::set<PeerId> connected;
    TimePoint renewed;
};

using ForeignKey = std::pair<PeerId, std::string>;
struct StoredForeign {
    ForeignEntry entry;
    TimePoint renewed;
};

class LinkState {
public:
    LinkState(const RouteOptions& options, std::uint64_t route_id, TimePoint now, WallTime wall);

    // Each says whether anything changed that others should hear of.
    bool set_own(OwnNode own, TimePoint now, WallTime wall);
    bool set_neighbours(const std::set<PeerId>& neighbours, TimePoint now);
    // Our record again when it is due, or when somebody claimed a higher version of it or our row.
    bool refresh_own(TimePoint now, WallTime wall);
    bool add_record(PeerRecord record, TimePoint now);
    bool add_row(const ConnRow& row, TimePoint now);
    bool add_bitmap(const ConnBitmap& bitmap, TimePoint now);
    bool add_foreign(ForeignEntry entry, TimePoint now);
    // All networks that we host; one that is no more is announced without members. Their number is
    // the caller's, and not bounded by options().foreign_limit.
    bool set_hosted(const std::vector<HostedNetwork>& networks, TimePoint now, WallTime wall);

    // Notes who can be reached now; forgets what is too old. True when something went.
    bool expire(const std::set<PeerId>& reachable, TimePoint now);

    // A neighbour is told of this record: it counts on us to keep it for a while.
    void note_told(PeerId peer, TimePoint now) { records_.at(peer).reachable = now; }

    const std::map<PeerId, StoredRecord>& records() const { return records_; }
    const std::map<PeerId, StoredRow>& rows() const { return rows_; }
    const std::map<ForeignKey, StoredForeign>& foreign() const { return foreign_; }
    const PeerRecord* record(PeerId peer) const;
    const PeerRecord& own() const { return *records_.at(options_.self).record; }
    std::uint64_t route_id() const { return route_id_; }
    RefusalCounts& refusals() { return refusals_; }
    const RefusalCounts& refusals() const { return refusals_; }
    const RouteOptions& options() const { return options_; }

private:
    void store_own(std::uint32_t version, TimePoint now, WallTime wall);
    bool refuse(Refusal reason);
    bool row_is_newer(const PeerVersion& peer);
    void announce(ForeignEntry entry, TimePoint now, WallTime wall);
    bool refresh_hosted(TimePoint now, WallTime wall);

    RouteOptions options_;
    std::uint64_t route_id_;
    std::map<PeerId, StoredRecord> records_;       // bounded by options_.peers_limit
    std::map<PeerId, StoredRow> rows_;             // likewise, and by options_.edges_total
    std::map<ForeignKey, StoredForeign> foreign_;  // bounded by options_.foreign_limit
    std::size_t record_bytes_ = 0;
    std::size_t edges_ = 0;
    std::uint32_t record_version_claimed_ = 0;  // the highest that others gave our record
    std::uint32_t row_version_claimed_ = 0;
    RefusalCounts refusals_;
};

}  // namespace selvage::route
