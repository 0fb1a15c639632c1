// The route exchange: sessions with neighbours that bring both sides' tables to the same state.
// Source: protocol document 2-control.md, section 3. No I/O, no clock.
//
// A session is one direction of asking: whoever has something new calls SyncRouteInfo. Any node
// with a session, initiator or not, pushes what is new to the other. Each node initiates towards
// one neighbour that does not already initiate towards it. Any one would not do: in a long chain
// two halves could each turn inwards and never hear of one another, however good their link. So
// the one is on the way to the smallest known id, which makes the sessions a connected tree where
// knowledge is shared; and where it is not, a neighbour of whom nothing is known from after we
// met it is initiated towards as well.
//
//   tick ---------> choose whom to initiate towards, expire, refresh
//   next_sync ----> what this neighbour does not know yet, or a keepalive, or nothing
//   on_reply <----- what was sent is known to it now
//   on_request <--- what the neighbour sends: checked, stored, answered
//
// A session's id is computed from the peer's, so that a neighbour that comes back within seconds
// is met with the id that it remembers; a stock node would refuse another one for 45 seconds.
//
// What a neighbour knows of peers that cannot be reached is forgotten a while before it forgets
// them itself: it must be told again when they come back.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/siphash.h"
#include "route/route_table.h"

namespace selvage::route {

// The two clocks of a moment: one for waiting, one for what records say.
struct Moment {
    TimePoint now;
    WallTime wall;
};

struct SyncStats {
    std::uint64_t requests = 0;  // accepted
    std::uint64_t stopped = 0;   // answered with Stopped
    std::uint64_t sent = 0;
    std::uint64_t failed = 0;        // no reply
    std::uint64_t told_stopped = 0;  // answered to us
    std::uint64_t told_duplicate = 0;
    std::uint64_t rebuilds = 0;
};

// A request that is on its way: what to send, and what the neighbour knows once it answered.
struct OutgoingSync {
    PeerId to;
    std::uint64_t session = 0;
    bool as_initiator = false;
    Bytes bytes;
    bool has_content = false;
    std::map<PeerId, std::uint32_t> records;
    std::map<PeerId, std::uint32_t> rows;
    std::map<ForeignKey, std::uint32_t> foreign;
};

struct SessionView {
    PeerId peer;
    bool we_initiate = false;
    bool it_initiates = false;
};

class RouteCore {
public:
    // `key` makes session ids; `route_id` tells our starts apart. Both random.
    RouteCore(const RouteOptions& options, SipKey key, std::uint64_t route_id, Moment moment);

    // Told by the owner of the neighbours, whenever one comes, changes or goes.
    void neighbour_up(PeerId peer, NeighbourInfo info, Moment moment);
    void neighbour_down(PeerId peer, Moment moment);
    void set_own(OwnNode own, Moment moment);
    void set_latencies(EdgeLatencies latencies);
    // The networks that we host as a shared server, each with its members.
    bool set_hosted(const std::vector<HostedNetwork>& networks, Moment moment);

    // Every second.
    void tick(Moment moment);

    // A SyncRouteInfo of `caller`; the reply to it. Errc::malformed for what is not one.
    Result<Bytes> on_request(PeerId caller, ByteView request, Moment moment);

    // What to send to this neighbour now; nothing when it knows everything.
    std::optional<OutgoingSync> next_sync(PeerId peer, TimePoint now);
    void on_reply(const OutgoingSync& sent, const Result<Bytes>& reply, TimePoint now);

    std::vector<SessionView> sessions() const;
    std::size_t session_count() const { return sessions_.size(); }
    bool has_session(PeerId peer) const { return sessions_.contains(peer); }
    const std::map<PeerId, NeighbourInfo>& neighbours() const { return neighbours_; }

    // Grows whenever some neighbour may have to be told something; sessions then look again.
    std::uint64_t news() const { return news_; }
    std::shared_ptr<const RouteTable> table() const { return table_; }
    const LinkState& links() const { return links_; }
    const SyncStats& stats() const { return stats_; }

private:
    struct Session {
        std::uint64_t my_id = 0;
        std::uint64_t its_id = 0;  // 0: not learnt yet
        bool we_initiate = false;
        bool it_initiates = false;
        bool must_tell = false;  // our role or id changed since it last heard of us
        TimePoint heard;         // when it last asked or answered
        std::optional<TimePoint> sent;
        std::map<PeerId, std::uint32_t> records;  // versions it has; bounded by our own tables
        std::map<PeerId, std::uint32_t> rows;
        std::map<ForeignKey, std::uint32_t> foreign;

        void forget();
    };

    Session& open_session(PeerId peer, TimePoint now);
    bool admit(Session& session, const SyncRequest& request);
    bool take(const SyncRequest& request, Session& session, TimePoint now);
    void take_records(const SyncRequest& request, Session& session, TimePoint now, bool& changed);
    void neighbours_changed(TimePoint now);
    void elect(TimePoint now);
    std::optional<PeerId> choose_target() const;
    std::optional<PeerId> towards_smallest() const;
    std::set<PeerId> targets(TimePoint now) const;
    bool is_news_awaited(PeerId peer, TimePoint met, TimePoint now) const;
    void forget_unreachable(TimePoint now);
    void rebuild();
    bool is_reachable(PeerId peer) const;
    std::set<PeerId> reachable() const;
    void add_records(
        PeerId peer, const Session& session, TimePoint now, SyncRequest& request, OutgoingSync& out
    );
    void add_rows(PeerId peer, const Session& session, SyncRequest& request, OutgoingSync& out);
    void add_foreign(PeerId peer, const Session& session, SyncRequest& request, OutgoingSync& out);

    LinkState links_;
    SipKey key_;
    EdgeLatencies latencies_;
    std::map<PeerId, NeighbourInfo> neighbours_;  // bounded by the owner of the connections
    std::map<PeerId, TimePoint> met_;             // since when each of them is one
    std::map<PeerId, Session> sessions_;          // only with neighbours
    std::shared_ptr<const RouteTable> table_;
    std::uint64_t generation_ = 0;
    std::uint64_t news_ = 0;
    SyncStats stats_;
};

}  // namespace selvage::route
