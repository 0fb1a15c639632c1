// Demultiplexing, listeners and the user's calls.
#include "netstack/core/tcp_layer.h"

#include <algorithm>

#include "packet/checksum.h"

namespace selvage::netstack {

using namespace packet::tcp_flag;

TcpLayer::TcpLayer(
    const StackOptions& options, const StackSeeds& seeds, StackCounters& counters, IpOutput& output,
    PathMtu& path_mtu, EventQueue& events
)
    : options_(options),
      seeds_(seeds),
      counters_(counters),
      output_(output),
      path_mtu_(path_mtu),
      events_(events),
      chunks_(options.buffer_bytes_max),
      shared_{options, counters, chunks_},
      connections_(options.connections_max),
      listeners_(options.listeners_max),
      flows_(0, FlowHash{seeds.table_key}),
      cookies_(seeds.sequence_key),
      resets_(options.resets_per_second, options.resets_per_second) {}

std::size_t TcpLayer::FlowHash::operator()(const FlowKey& flow) const {
    return hash_flow(key, flow, HashPurpose::table);
}

// RFC 6528: a clock of 4 microseconds plus a keyed hash of the flow.
SeqNum TcpLayer::initial_sequence(const FlowKey& flow, TimePoint now) const {
    const std::uint64_t hash = hash_flow(seeds_.sequence_key, flow, HashPurpose::sequence);
    const auto ticks = static_cast<std::uint64_t>(now.time_since_epoch().count()) / 4000;
    return SeqNum(static_cast<std::uint32_t>(hash + ticks));
}

std::uint64_t TcpLayer::port_offset(const FlowKey& flow) const {
    return hash_flow(seeds_.sequence_key, flow, HashPurpose::port, false);
}

std::uint32_t TcpLayer::timestamp_offset(const FlowKey& flow) const {
    return static_cast<std::uint32_t>(hash_flow(seeds_.sequence_key, flow, HashPurpose::timestamp));
}

TcpId TcpLayer::add(const FlowKey& flow, const TcpSocketOptions& options, Owner owner, SeqNum iss) {
    auto made = std::make_unique<Entry>(shared_, flow, options, iss, timestamp_offset(flow));
    made->owner = owner;
    made->connection.limit_mtu(path_mtu_.find(flow.remote, options_.mtu));
    const TcpId id = connections_.add(std::move(made));
    if (!id) return id;
    flows_.emplace(flow, id);
    ++per_remote_[flow.remote];
    return id;
}

void TcpLayer::input(
    const IpAddress& source, const IpAddress& destination, ByteView transport, bool marked,
    TimePoint now
) {
    const std::uint16_t pseudo = packet::pseudo_header_sum(
        source, destination, static_cast<std::uint8_t>(packet::IpProtocol::tcp),
        static_cast<std::uint32_t>(transport.size())
    );
    auto parsed = parse_tcp_segment(transport);
    if (!parsed || packet::checksum_add(transport, pseudo) != 0xffff) {
        ++counters_.tcp_bad;
        return;
    }
    ++counters_.tcp_in;
    parsed->marked = marked;
    const TcpSegment& segment = *parsed;
    const FlowKey flow{
        .local = destination,
        .remote = source,
        .local_port = segment.destination_port,
        .remote_port = segment.source_port
    };
    const bool opens = segment.has(kSyn) && !segment.has(kAck) && !segment.has(kRst);
    if (train_ && !opens && flow == train_flow_) {
        return take_segment(train_, *entry(train_), segment, now);
    }
    settle_train();
    const auto listening = listening_.find(flow.local_port);
    if (const auto known = flows_.find(flow); known != flows_.end()) {
        const TcpId id = known->second;
        Entry& e = *entry(id);
        if (!opens || listening == listening_.end() || !e.connection.may_be_reused_by(segment)) {
            Listener* owner = e.owner == Owner::half_open ? listeners_.find(e.listener) : nullptr;
            if (owner != nullptr && owner->queue.size() >= owner->options.accept_queue_limit &&
                !segment.has(kRst) && segment.has(kAck)) {
                ++counters_.tcp_accept_queue_full;
                return;
            }
            return take_segment(id, e, segment, now);
        }
        ++counters_.tcp_time_wait_reused;
        e.connection.abort(output_, now_);  // says nothing in TIME-WAIT
        settle(id);
    }
    if (listening != listening_.end()) {
        const ListenerId id = listening->second;
        Listener& listener = *listeners_.find(id);
        if (opens) return on_syn(listener, id, flow, segment, now);
        if (take_cookie(listener, id, flow, segment, now)) return;
    }
    ++counters_.tcp_no_connection;
    if (!segment.has(kRst)) send_reset(flow, segment, now);
}

void TcpLayer::take_segment(TcpId id, Entry& e, const TcpSegment& segment, TimePoint now) {
    if (e.connection.on_segment(segment, now) == TcpConnection::Reply::reset) {
        send_reset(e.connection.flow(), segment, now);
    }
    touch(id, e);
    const TcpState state = e.connection.state();
    const bool goes_on = state != TcpState::closed && state != TcpState::time_wait;
    if (in_train_ && e.owner == Owner::user && goes_on) {
        train_ = id;
        train_flow_ = e.connection.flow();
        return;
    }
    train_ = {};
    settle(id);
}

void TcpLayer::settle_train() {
    if (train_) settle(std::exchange(train_, {}));
}

void TcpLayer::end_train() {
    in_train_ = false;
    settle_train();
}

void TcpLayer::on_syn(
    Listener& listener, ListenerId id, const FlowKey& flow, const TcpSegment& syn, TimePoint now
) {
    if (listener.half_open >= listener.options.half_open_limit) {
        ++counters_.tcp_half_open_full;
        if (listener.options.syn_cookies) answer_with_cookie(listener, flow, syn, now);
        return;
    }
    if (!make_room(flow.remote)) return;
    const TcpId connection =
        add(flow, listener.options.socket, Owner::half_open, initial_sequence(flow, now));
    if (!connection) return;
    Entry& e = *entry(connection);
    e.listener = id;
    ++listener.half_open;
    // Answered at once. A listener that stands for a far address will first find out whether that
    // one answers, and leave the SYN waiting here.
    e.connection.accept_syn(syn, now);
    touch(connection, e);
    settle(connection);
}

// A connection that lives for one segment: nothing of it is kept, and it holds no memory of the
// heap.
void TcpLayer::answer_with_cookie(
    Listener& listener, const FlowKey& flow, const TcpSegment& syn, TimePoint now
) {
    const auto iss =
        cookies_.make(flow, syn.seq, syn.options.mss.value_or(TcpConnection::kMssDefault), now);
    if (!iss) return;
    TcpSegment asked = syn;
    const std::uint32_t clock = TcpConnection::timestamp_clock(now);
    std::uint32_t offset = timestamp_offset(flow);
    if (options_.timestamps && syn.options.timestamps) {
        const bool ecn = options_.ecn != EcnMode::off && syn.asks_for_ecn();
        offset += SynCookies::put_options(clock, syn.options, ecn) - clock;
    } else {
        asked.flags = kSyn;
        asked.options.window_scale.reset();
        asked.options.sack_permitted = false;
    }
    TcpConnection answer(shared_, flow, listener.options.socket, *iss, offset);
    answer.accept_syn(asked, now);
    if (answer.emit(output_, now) != TcpConnection::Emit::done) return;
    ++counters_.tcp_cookies_out;
    listener.cookies_until = now + SynCookies::kLife;
}

// Whether the segment brought a cookie back, or may come before the one that does. Its first byte
// is the one after the SYN, so data that comes before the bare ACK, or instead of it, does as well.
bool TcpLayer::take_cookie(
    Listener& listener, ListenerId id, const FlowKey& flow, const TcpSegment& segment, TimePoint now
) {
    if (now >= listener.cookies_until) return false;
    if (!segment.has(kAck) || segment.has(kSyn) || segment.has(kRst)) return false;
    const SeqNum iss = segment.ack - 1;
    const auto mss = cookies_.check(flow, segment.seq - 1, iss, now);
    // What a caller says later, while the segment with the cookie is lost, must not be reset: that
    // one comes again.
    if (!mss) {
        ++counters_.tcp_no_connection;
        return true;
    }
    if (listener.queue.size() >= listener.options.accept_queue_limit) {
        ++counters_.tcp_accept_queue_full;
        return true;
    }
    if (!make_room(flow.remote)) return true;
    const TcpId connection = add(flow, listener.options.socket, Owner::half_open, iss);
    if (!connection) return true;
    ++counters_.tcp_cookies_accepted;
    TcpSegment syn{.seq = segment.seq - 1, .flags = kSyn, .window = segment.window};
    syn.options.mss = *mss;
    if (options_.timestamps && segment.options.timestamps) {
        syn.options.timestamps = segment.options.timestamps;
        const std::uint32_t echo = segment.options.timestamps->echo;
        if (SynCookies::take_options(echo - timestamp_offset(flow), syn.options)) {
            syn.flags = kSyn | kEce | kCwr;
        }
    }
    Entry& e = *entry(connection);
    e.listener = id;
    ++listener.half_open;
    e.connection.accept_answered_syn(syn, now);
    take_segment(connection, e, segment, now);
    return true;
}

// Whether one more connection with `remote` may be made; the oldest in TIME-WAIT gives way.
bool TcpLayer::make_room(const IpAddress& remote) {
    const auto count = per_remote_.find(remote);
    if (count != per_remote_.end() && count->second >= options_.connections_per_remote_max) {
        ++counters_.tcp_per_remote_full;
        return false;
    }
    while (connections_.full() && !time_wait_.empty())
        evict_time_wait();
    if (!connections_.full()) return true;
    ++counters_.tcp_table_full;
    return false;
}

void TcpLayer::send_reset(const FlowKey& flow, const TcpSegment& to, TimePoint now) {
    if (!resets_.allow(now)) {
        ++counters_.tcp_reset_rate_limited;
        return;
    }
    packet::PacketBuf packet = output_.take();
    if (!packet) return;
    // RFC 9293, section 3.10.7.1.
    TcpFields fields{.flags = kRst};
    if (to.has(kAck)) {
        fields.seq = to.ack;
    } else {
        fields.flags = kRst | kAck;
        fields.ack = to.end();
    }
    push_tcp_header(packet, flow, fields);
    output_.send(std::move(packet), flow.local, flow.remote, packet::IpProtocol::tcp);
    ++counters_.tcp_resets_out;
}

void TcpLayer::on_icmp_error(const IcmpError& error, TimePoint now) {
    // The first eight bytes are all that is promised: ports and sequence number.
    struct Quoted {
        be32 ports;
        be32 sequence;
    } head;
    Reader in(error.transport);
    const auto known = flows_.find(error.flow);
    // What was forged by somebody who cannot see the flow will hardly hit what is under way
    // (RFC 5927, section 4).
    if (!in.read(head) || known == flows_.end() ||
        !entry(known->second)->connection.is_under_way(SeqNum(head.sequence))) {
        ++counters_.icmp_errors_invalid;
        return;
    }
    const TcpId id = known->second;
    Entry& e = *entry(id);
    if (error.mtu) {
        ++counters_.icmp_too_big_in;
        const std::uint16_t mtu = PathMtu::checked(error.flow.remote, *error.mtu);
        if (mtu < options_.mtu) {
            path_mtu_.note(error.flow.remote, mtu, now);
            e.connection.on_path_mtu(mtu, now);
        }
    } else {
        ++counters_.icmp_errors_in;
        e.connection.on_unreachable(error.reason);
    }
    settle(id);
}

void TcpLayer::touch(TcpId id, Entry& e) {
    if (std::exchange(e.ready, true)) return;
    ready_.push_back(id);
}

void TcpLayer::forget_flow(Entry& e) {
    if (!std::exchange(e.in_flow_table, false)) return;
    flows_.erase(e.connection.flow());
    const auto count = per_remote_.find(e.connection.flow().remote);
    if (--count->second == 0) per_remote_.erase(count);
}

void TcpLayer::settle_owner(TcpId id, Entry& e) {
    const TcpState state = e.connection.state();
    Listener* listener = listeners_.find(e.listener);
    if (e.owner == Owner::half_open && state != TcpState::syn_received) {
        --listener->half_open;
        if (state == TcpState::closed) {
            e.owner = Owner::user;
            e.connection.release();
            return;
        }
        ++counters_.tcp_accepted;
        e.owner = Owner::accept_queue;
        listener->queue.push_back(id);
        post(e.listener, *listener, socket_event::kAcceptable);
    } else if (e.owner == Owner::accept_queue && state == TcpState::closed) {
        std::erase(listener->queue, id);
        e.owner = Owner::user;
        e.connection.release();
    }
}

void TcpLayer::settle(TcpId id) {
    Entry& e = *entry(id);
    TcpConnection& connection = e.connection;
    if (e.owner != Owner::user) settle_owner(id, e);
    if (connection.state() == TcpState::closed) {
        forget_flow(e);
        deadlines_.erase(id.index);
        if (connection.released()) {
            connections_.remove(id.index);
            return;
        }
    } else if (const TimePoint at = connection.deadline(); at != TcpConnection::kNever) {
        // A later deadline is not moved at once: most are pushed back by the next segment.
        const auto set = deadlines_.deadline_of(id.index);
        if (!set || *set > at) deadlines_.set(id.index, at);
    }
    if (connection.state() == TcpState::time_wait && !std::exchange(e.time_wait_listed, true)) {
        time_wait_.push_back(id);
        if (time_wait_.size() > options_.time_wait_max && evict_time_wait() == id) return;
    }
    if (connection.starved() && !std::exchange(e.starved_listed, true)) starved_.push_back(id);
    if (e.owner == Owner::user && !connection.released() && connection.has_events() &&
        !std::exchange(e.event_queued, true)) {
        events_.push(id);
    }
}

TcpId TcpLayer::evict_time_wait() {
    const TcpId oldest = time_wait_.front();
    time_wait_.pop_front();
    Entry* e = entry(oldest);
    if (e == nullptr || e->connection.state() != TcpState::time_wait) return oldest;
    ++counters_.tcp_time_wait_evicted;
    e->connection.abort(output_, now_);  // says nothing in TIME-WAIT
    settle(oldest);
    return oldest;
}

void TcpLayer::run_timers(TimePoint now) {
    feed_starved();
    for (;;) {
        const auto due = deadlines_.top();
        if (!due || due->at > now) return;
        deadlines_.erase(due->index);
        const TcpId id = connections_.handle_of(due->index);
        Entry& e = *entry(id);
        if (e.connection.deadline() <= now) {
            e.connection.on_timer(now);
            touch(id, e);
        }
        settle(id);
    }
}

void TcpLayer::feed_starved() {
    if (starved_.empty() || chunks_.in_use() >= chunks_.limit()) return;
    for (const TcpId id : std::exchange(starved_, {})) {
        Entry* e = entry(id);
        if (e == nullptr) continue;
        e->starved_listed = false;
        if (!e->connection.starved()) continue;
        e->connection.retry_write();
        settle(id);
    }
}

void TcpLayer::emit(TimePoint now) {
    while (!ready_.empty() && !output_.full()) {
        const TcpId id = ready_.front();
        ready_.pop_front();
        Entry* e = entry(id);
        if (e == nullptr) continue;
        e->ready = false;
        const auto outcome = e->connection.emit(output_, now);
        if (outcome != TcpConnection::Emit::done) touch(id, *e);
        settle(id);
        if (outcome == TcpConnection::Emit::blocked) return;
    }
}

std::optional<TimePoint> TcpLayer::next_timeout() const {
    const auto top = deadlines_.top();
    if (!top) return std::nullopt;
    return top->at;
}

void TcpLayer::on_addresses_changed() {
    for (std::uint32_t i = 0; i < connections_.index_end(); ++i) {
        Entry* e = connections_.at(i);
        if (e == nullptr || output_.is_ours(e->connection.flow().local)) continue;
        const TcpId id = connections_.handle_of(i);
        // Nothing can be said from an address that is not ours any more.
        e->connection.lose_address();
        settle(id);
    }
}

}  // namespace selvage::netstack
