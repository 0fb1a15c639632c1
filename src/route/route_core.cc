// Sessions, the choice of whom to initiate towards, and what goes into one sync.
#include "route/route_core.h"

#include "peer_rpc.pb.h"
#include "rpc/protobuf.h"

namespace selvage::route {
namespace {

// Records of one request; the rest follows in the next. Keeps a request below what its receiver
// takes and a lost piece from costing the whole table.
constexpr std::size_t kRecordBytesPerSync = 256 * 1024;
// Members of hosted networks in one request, for the same reason; each takes up to six bytes.
constexpr std::size_t kForeignMembersPerSync = 16 * 1024;

// Who meets us usually tells us about itself within a second, directly or through others.
constexpr Duration kStrangerTime = std::chrono::seconds(3);
constexpr Duration kSettlingTime = std::chrono::seconds(10);

// Who is easy to reach from everywhere makes the best target.
bool is_open(const PeerRecord* record) {
    return record != nullptr &&
           (record->udp_nat_type == common::OpenInternet || record->udp_nat_type == common::NoPAT);
}

Bytes stopped() {
    return build_sync_reply({.error = SyncError::stopped});
}

template <class Key>
bool knows(const std::map<Key, std::uint32_t>& known, const Key& key, std::uint32_t version) {
    const auto at = known.find(key);
    return at != known.end() && at->second >= version;
}

template <class Key>
void merge_newer(std::map<Key, std::uint32_t>& known, const std::map<Key, std::uint32_t>& more) {
    for (const auto& [key, version] : more) {
        std::uint32_t& stored = known[key];
        stored = std::max(stored, version);
    }
}

}  // namespace

void RouteCore::Session::forget() {
    records.clear();
    rows.clear();
    foreign.clear();
}

RouteCore::RouteCore(const RouteOptions& options, SipKey key, std::uint64_t route_id, Moment moment)
    : links_(options, route_id, moment.now, moment.wall), key_(key) {
    rpc::silence_protobuf();
    rebuild();
}

bool RouteCore::is_reachable(PeerId peer) const {
    const RouteEntry* entry = table_->find(peer);
    return entry != nullptr && entry->least_hop;
}

std::set<PeerId> RouteCore::reachable() const {
    std::set<PeerId> out;
    for (const RouteEntry& entry : table_->entries()) {
        if (entry.least_hop) out.insert(entry.peer());
    }
    return out;
}

void RouteCore::rebuild() {
    table_ = std::make_shared<const RouteTable>(links_, latencies_, neighbours_, ++generation_);
    ++stats_.rebuilds;
    ++news_;
}

void RouteCore::forget_unreachable(TimePoint now) {
    const auto is_stale = [this, now](const auto& known) {
        const auto stored = links_.records().find(known.first);
        return stored == links_.records().end() ||
               now - stored->second.reachable >= links_.options().knowledge_life;
    };
    const auto is_gone = [this](const auto& known) {
        return !links_.foreign().contains(known.first);
    };
    for (auto& [peer, session] : sessions_) {
        std::erase_if(session.records, is_stale);
        std::erase_if(session.rows, is_stale);
        std::erase_if(session.foreign, is_gone);
    }
}

void RouteCore::neighbour_up(PeerId peer, NeighbourInfo info, Moment moment) {
    neighbours_[peer] = info;
    met_.try_emplace(peer, moment.now);
    neighbours_changed(moment.now);
}

void RouteCore::neighbour_down(PeerId peer, Moment moment) {
    if (neighbours_.erase(peer) == 0) return;
    met_.erase(peer);
    neighbours_changed(moment.now);
}

void RouteCore::neighbours_changed(TimePoint now) {
    std::set<PeerId> all;
    for (const auto& [id, unused] : neighbours_)
        all.insert(id);
    links_.set_neighbours(all, now);
    rebuild();
    elect(now);
}

void RouteCore::set_own(OwnNode own, Moment moment) {
    if (links_.set_own(std::move(own), moment.now, moment.wall)) rebuild();
}

void RouteCore::set_latencies(EdgeLatencies latencies) {
    if (latencies == latencies_) return;
    latencies_ = std::move(latencies);
    rebuild();
}

bool RouteCore::set_hosted(const std::vector<HostedNetwork>& networks, Moment moment) {
    const bool changed = links_.set_hosted(networks, moment.now, moment.wall);
    if (changed) ++news_;
    return changed;
}

void RouteCore::tick(Moment moment) {
    const bool refreshed = links_.refresh_own(moment.now, moment.wall);
    const bool expired = links_.expire(reachable(), moment.now);
    if (refreshed || expired) rebuild();
    forget_unreachable(moment.now);
    elect(moment.now);
}

RouteCore::Session& RouteCore::open_session(PeerId peer, TimePoint now) {
    const auto [at, added] = sessions_.try_emplace(peer);
    if (added) {
        const le32 id(peer.raw());
        at->second.my_id = siphash24(key_, as_bytes_of(id)) | 1;  // 0 means "none" on the wire
        at->second.heard = now;
    }
    return at->second;
}

// The neighbour on the way to the smallest id that can be reached; none when that is ours.
std::optional<PeerId> RouteCore::towards_smallest() const {
    for (const RouteEntry& entry : table_->entries()) {
        if (!entry.least_hop) continue;
        if (entry.peer() == links_.options().self) return std::nullopt;
        return entry.least_hop->next_hop;
    }
    return std::nullopt;
}

std::optional<PeerId> RouteCore::choose_target() const {
    const auto parent = towards_smallest();
    std::optional<PeerId> first;
    for (const auto& [peer, info] : neighbours_) {
        const PeerRecord* record = links_.record(peer);
        if (record != nullptr && record->has(Feature::credential_peer)) continue;
        const auto session = sessions_.find(peer);
        if (session != sessions_.end() && session->second.it_initiates) continue;
        if (peer == parent) return peer;
        if (!first || (is_open(record) && !is_open(links_.record(*first)))) first = peer;
    }
    return first;
}

// Whether what we know of a neighbour is from after we met it: until then the choice above rests
// on what was true before, and may turn away from the only link that could tell better. And
// whoever just told us something is kept for a while, since there may be more.
bool RouteCore::is_news_awaited(PeerId peer, TimePoint met, TimePoint now) const {
    const auto row = links_.rows().find(peer);
    const bool fresh = links_.record(peer) != nullptr && row != links_.rows().end() &&
                       row->second.renewed >= met &&
                       row->second.connected.contains(links_.options().self);
    if (!fresh) return now - met >= kStrangerTime;
    const auto session = sessions_.find(peer);
    return session != sessions_.end() && session->second.we_initiate &&
           now - row->second.renewed < kSettlingTime;
}

// Empty when everybody initiates towards us: then nothing changes.
std::set<PeerId> RouteCore::targets(TimePoint now) const {
    std::set<PeerId> out;
    if (const auto choice = choose_target()) out.insert(*choice);
    for (const auto& [peer, met] : met_) {
        const auto session = sessions_.find(peer);
        const bool it_initiates = session != sessions_.end() && session->second.it_initiates;
        if (!it_initiates && is_news_awaited(peer, met, now)) out.insert(peer);
    }
    return out;
}

void RouteCore::elect(TimePoint now) {
    std::erase_if(sessions_, [this](const auto& item) {
        return !neighbours_.contains(item.first);
    });
    for (auto& [peer, session] : sessions_) {
        if (session.it_initiates && !session.we_initiate &&
            now - session.heard >= links_.options().initiator_life) {
            session.it_initiates = false;
        }
    }
    const std::set<PeerId> chosen = targets(now);
    if (!chosen.empty()) {
        for (const PeerId peer : chosen)
            open_session(peer, now);
        for (auto& [peer, session] : sessions_) {
            const bool is_chosen = chosen.contains(peer);
            if (session.we_initiate == is_chosen) continue;
            session.we_initiate = is_chosen;
            session.must_tell = true;
            ++news_;
        }
    }
    std::erase_if(sessions_, [](const auto& item) {
        const Session& session = item.second;
        return !session.we_initiate && !session.it_initiates && !session.must_tell;
    });
}

std::vector<SessionView> RouteCore::sessions() const {
    std::vector<SessionView> out;
    out.reserve(sessions_.size());
    for (const auto& [peer, session] : sessions_) {
        out.push_back(
            {.peer = peer, .we_initiate = session.we_initiate, .it_initiates = session.it_initiates}
        );
    }
    return out;
}

// A neighbour has proved who it is by its connection, so an initiator may always begin anew.
bool RouteCore::admit(Session& session, const SyncRequest& request) {
    if (request.session == session.its_id) {
        session.it_initiates = request.is_initiator;
        return true;
    }
    if (!request.is_initiator && !session.we_initiate) return false;
    if (session.its_id != 0) session.forget();
    session.its_id = request.session;
    session.it_initiates = request.is_initiator;
    return true;
}

Result<Bytes> RouteCore::on_request(PeerId caller, ByteView bytes, Moment moment) {
    auto request = parse_sync_request(bytes, links_.options(), links_.refusals());
    if (!request) return request.error();
    const auto refuse = [this](Refusal reason) {
        links_.refusals().add(reason);
        ++stats_.stopped;
        return stopped();
    };
    if (request->sender != caller) return refuse(Refusal::wrong_sender);
    if (!neighbours_.contains(caller)) return refuse(Refusal::not_a_neighbour);
    if (!sessions_.contains(caller) && !request->is_initiator) return refuse(Refusal::no_session);
    Session& session = open_session(caller, moment.now);
    if (!admit(session, *request)) return refuse(Refusal::no_session);
    session.heard = moment.now;
    ++stats_.requests;
    const bool changed = take(*request, session, moment.now);
    // A claim on what is ours is answered at once, before others believe it.
    const bool refreshed = links_.refresh_own(moment.now, moment.wall);
    if (changed || refreshed) rebuild();
    if (request->has_content()) ++news_;
    return build_sync_reply(
        {.is_initiator = session.we_initiate, .session = session.my_id, .error = {}}
    );
}

void RouteCore::take_records(
    const SyncRequest& request, Session& session, TimePoint now, bool& changed
) {
    for (const Bytes& raw : request.records) {
        auto record = parse_record(raw, links_.options());
        if (!record) {
            links_.refusals().add(record.error());
            continue;
        }
        const PeerId peer = record->peer;
        const std::uint32_t version = record->version;
        if (peer != links_.options().self) merge_newer(session.records, {{peer, version}});
        if (links_.add_record(std::move(*record), now)) changed = true;
    }
}

bool RouteCore::take(const SyncRequest& request, Session& session, TimePoint now) {
    bool changed = false;
    take_records(request, session, now, changed);
    const PeerId self = links_.options().self;
    if (const auto* bitmap = std::get_if<ConnBitmap>(&request.connections)) {
        if (links_.add_bitmap(*bitmap, now)) changed = true;
        for (const PeerVersion& peer : bitmap->peers) {
            if (peer.peer != self) merge_newer(session.rows, {{peer.peer, peer.version}});
        }
    }
    if (const auto* list = std::get_if<ConnList>(&request.connections)) {
        for (const ConnRow& row : *list) {
            if (links_.add_row(row, now)) changed = true;
            if (row.peer.peer != self)
                merge_newer(session.rows, {{row.peer.peer, row.peer.version}});
        }
    }
    for (const ForeignEntry& entry : request.foreign) {
        merge_newer(session.foreign, {{{entry.server, entry.network_name}, entry.version}});
        if (links_.add_foreign(entry, now)) changed = true;
    }
    return changed;
}

void RouteCore::add_records(
    PeerId peer, const Session& session, TimePoint now, SyncRequest& request, OutgoingSync& out
) {
    std::size_t bytes = 0;
    for (const auto& [id, stored] : links_.records()) {
        const PeerRecord& record = *stored.record;
        if (id == peer || knows(session.records, id, record.version) || !is_reachable(id)) continue;
        bytes += record.raw.size();
        if (bytes > kRecordBytesPerSync && !request.records.empty()) break;
        request.records.push_back(record.raw);
        out.records[id] = record.version;
        links_.note_told(id, now);
    }
}

void RouteCore::add_rows(
    PeerId peer, const Session& session, SyncRequest& request, OutgoingSync& out
) {
    ConnList fresh;
    ConnList all;
    std::set<PeerId> mentioned;
    for (const auto& [id, row] : links_.rows()) {
        if (!is_reachable(id) || row.version == 0) continue;
        ConnRow wire{.peer = {.peer = id, .version = row.version}, .connected = {}};
        wire.connected.assign(row.connected.begin(), row.connected.end());
        mentioned.insert(id);
        mentioned.insert(row.connected.begin(), row.connected.end());
        if (id != peer && !knows(session.rows, id, row.version)) fresh.push_back(wire);
        all.push_back(std::move(wire));
    }
    if (fresh.empty()) return;
    std::size_t list_size = 0;
    for (const ConnRow& row : fresh)
        list_size += 8 + 4 * row.connected.size();
    const std::size_t n = mentioned.size();
    const std::size_t bitmap_size = (n * n + 7) / 8 + 8 * n;
    const PeerRecord* record = links_.record(peer);
    const bool takes_lists = record != nullptr && record->has(Feature::conn_list_sync);
    const bool as_list = takes_lists && list_size < bitmap_size;
    for (const ConnRow& row : as_list ? fresh : all) {
        if (row.peer.peer != peer) out.rows[row.peer.peer] = row.peer.version;
    }
    if (as_list) {
        request.connections = std::move(fresh);
    } else {
        request.connections = build_bitmap(all);
    }
}

void RouteCore::add_foreign(
    PeerId peer, const Session& session, SyncRequest& request, OutgoingSync& out
) {
    std::size_t members = 0;
    for (const auto& [key, stored] : links_.foreign()) {
        if (key.first == peer || knows(session.foreign, key, stored.entry.version)) continue;
        members += stored.entry.members.size();
        if (members > kForeignMembersPerSync && !request.foreign.empty()) break;
        request.foreign.push_back(stored.entry);
        out.foreign[key] = stored.entry.version;
    }
}

std::optional<OutgoingSync> RouteCore::next_sync(PeerId peer, TimePoint now) {
    const auto at = sessions_.find(peer);
    if (at == sessions_.end()) return std::nullopt;
    Session& session = at->second;
    OutgoingSync out{.to = peer, .session = session.my_id, .as_initiator = session.we_initiate};
    SyncRequest request{
        .sender = links_.options().self,
        .session = session.my_id,
        .is_initiator = session.we_initiate,
        .records = {},
        .connections = {},
        .foreign = {}
    };
    add_records(peer, session, now, request, out);
    add_rows(peer, session, request, out);
    add_foreign(peer, session, request, out);
    out.has_content = request.has_content();
    const bool keepalive_due =
        session.we_initiate &&
        (!session.sent || now - *session.sent >= links_.options().keepalive_interval);
    if (!out.has_content && !session.must_tell && !keepalive_due) return std::nullopt;
    out.bytes = build_sync_request(request);
    session.sent = now;
    session.must_tell = false;
    ++stats_.sent;
    return out;
}

void RouteCore::on_reply(const OutgoingSync& sent, const Result<Bytes>& bytes, TimePoint now) {
    const auto at = sessions_.find(sent.to);
    if (at == sessions_.end()) return;
    Session& session = at->second;
    const auto reply = bytes ? parse_sync_reply(*bytes) : Result<SyncReply>(bytes.error());
    if (!reply) {
        ++stats_.failed;
        session.must_tell = true;
        return;
    }
    if (const auto error = reply->error) {
        // Either way it takes nothing from us now. As an initiator we ask again, at a growing
        // distance; otherwise the session has lost its purpose.
        const bool duplicate = *error == SyncError::duplicate_peer_id;
        ++(duplicate ? stats_.told_duplicate : stats_.told_stopped);
        session.it_initiates = session.it_initiates && sent.as_initiator;
        if (session.we_initiate) {
            session.must_tell = true;
        } else {
            sessions_.erase(at);
        }
        return;
    }
    session.heard = now;
    if (reply->session != 0 && reply->session != session.its_id) {
        if (session.its_id != 0) session.forget();
        session.its_id = reply->session;
    }
    session.it_initiates = reply->is_initiator;
    merge_newer(session.records, sent.records);
    merge_newer(session.rows, sent.rows);
    merge_newer(session.foreign, sent.foreign);
}

}  // namespace selvage::route
