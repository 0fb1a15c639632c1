// All TCP of one stack: which segment belongs to which connection, listeners, the limits, and the
// order in which connections get to speak.
//
// A connection belongs to its listener while it is half open and while it waits to be accepted,
// and to the user from then on. It leaves the table when it is closed and nobody holds it.
#pragma once

#include <deque>
#include <memory>
#include <unordered_map>

#include "netstack/core/deadline_heap.h"
#include "netstack/core/event_queue.h"
#include "netstack/core/icmp_layer.h"
#include "netstack/core/path_mtu.h"
#include "netstack/core/syn_cookies.h"
#include "netstack/core/tcp_connection.h"

namespace selvage::netstack {

struct TcpStatus {
    TcpState state = TcpState::closed;
    CloseReason close_reason = CloseReason::none;
    std::size_t readable_bytes = 0;
    std::size_t writable_bytes = 0;
    bool read_finished = true;   // everything was read and no more will come
    bool peer_finished = false;  // the peer's FIN has arrived, and all before it
    bool write_finished = true;  // we have said that we are done
    FlowKey flow;
};

class TcpLayer {
public:
    TcpLayer(
        const StackOptions& options, const StackSeeds& seeds, StackCounters& counters,
        IpOutput& output, PathMtu& path_mtu, EventQueue& events
    );

    // `transport` is the segment from its TCP header on; `marked` by a router whose queue is long.
    void input(
        const IpAddress& source, const IpAddress& destination, ByteView transport, bool marked,
        TimePoint now
    );
    // Between these two, consecutive segments of one connection are a train: it is looked up and
    // settled once for all of them.
    void start_train() { in_train_ = true; }
    void end_train();
    // An ICMP error that quotes a segment of ours.
    void on_icmp_error(const IcmpError& error, TimePoint now);
    // Before anything else that happens at this time.
    void note_time(TimePoint now) { now_ = std::max(now_, now); }
    void run_timers(TimePoint now);
    // Lets connections speak until they have nothing to say or the output is full.
    void emit(TimePoint now);
    // True when emit() has something to do.
    bool wants_to_speak() const { return !ready_.empty(); }
    std::optional<TimePoint> next_timeout() const;
    void on_addresses_changed();

    Result<ListenerId> listen(std::uint16_t port, const TcpListenOptions& options);
    std::optional<TcpId> accept(ListenerId id);
    void close_listener(ListenerId id);
    Result<TcpId> connect(const Endpoint& remote, const TcpConnectOptions& options, TimePoint now);

    std::size_t read(TcpId id, MutableByteView out);
    std::size_t write(TcpId id, ByteView bytes, bool more);
    void shutdown_write(TcpId id);
    void set_no_delay(TcpId id, bool on);
    void set_cork(TcpId id, bool on);
    void set_user_timeout(TcpId id, Duration timeout);
    void set_listener_options(ListenerId id, const TcpSocketOptions& options);
    void abort(TcpId id);
    void release(TcpId id);
    TcpStatus status(TcpId id) const;
    const TcpConnection* find(TcpId id) const;
    SocketEvents take_events(TcpId id);
    SocketEvents take_events(ListenerId id);

    bool has(const Endpoint& local, const Endpoint& remote) const {
        return flows_.contains({local.address, remote.address, local.port, remote.port});
    }
    bool is_listening(std::uint16_t port) const { return listening_.contains(port); }
    std::size_t connection_count() const { return connections_.size(); }
    std::size_t kept_bytes() const { return chunks_.kept_bytes(); }
    std::size_t buffer_bytes() const { return chunks_.in_use() * ChunkPool::kChunkBytes; }

private:
    // Who a connection belongs to; they only ever move on.
    enum class Owner : std::uint8_t { half_open, accept_queue, user };

    struct Entry {
        Entry(
            const TcpShared& shared, const FlowKey& flow, const TcpSocketOptions& options,
            SeqNum iss, std::uint32_t timestamp_offset
        )
            : connection(shared, flow, options, iss, timestamp_offset) {}
        TcpConnection connection;
        ListenerId listener;
        Owner owner = Owner::user;
        bool in_flow_table = true;
        bool ready = false;         // in ready_
        bool event_queued = false;  // in events_
        bool time_wait_listed = false;
        bool starved_listed = false;
    };
    struct Listener {
        std::uint16_t port = 0;
        TcpListenOptions options;
        std::size_t half_open = 0;
        TimePoint cookies_until{};  // one may come back until then
        std::deque<TcpId> queue;
        SocketEvents events = 0;
        bool event_queued = false;
    };
    struct FlowHash {
        SipKey key;
        std::size_t operator()(const FlowKey& flow) const;
    };

    Entry* entry(TcpId id) const { return connections_.find(id); }
    void on_syn(
        Listener& listener, ListenerId id, const FlowKey& flow, const TcpSegment& syn, TimePoint now
    );
    void answer_with_cookie(
        Listener& listener, const FlowKey& flow, const TcpSegment& syn, TimePoint now
    );
    bool take_cookie(
        Listener& listener, ListenerId id, const FlowKey& flow, const TcpSegment& segment,
        TimePoint now
    );
    bool make_room(const IpAddress& remote);
    TcpId add(const FlowKey& flow, const TcpSocketOptions& options, Owner owner, SeqNum iss);
    std::uint32_t timestamp_offset(const FlowKey& flow) const;
    std::optional<std::uint16_t> choose_port(FlowKey flow);
    SeqNum initial_sequence(const FlowKey& flow, TimePoint now) const;
    std::uint64_t port_offset(const FlowKey& flow) const;
    void send_reset(const FlowKey& flow, const TcpSegment& to, TimePoint now);
    // After anything happened to a connection: timers, events, queues, end of life.
    void settle(TcpId id);
    TcpId evict_time_wait();  // Precondition: time_wait_ is not empty
    void settle_owner(TcpId id, Entry& e);
    void touch(TcpId id, Entry& e);
    void take_segment(TcpId id, Entry& e, const TcpSegment& segment, TimePoint now);
    void settle_train();
    void forget_flow(Entry& e);
    void post(ListenerId id, Listener& listener, SocketEvents events);
    void feed_starved();

    const StackOptions& options_;
    const StackSeeds seeds_;
    StackCounters& counters_;
    IpOutput& output_;
    PathMtu& path_mtu_;
    EventQueue& events_;
    ChunkPool chunks_;
    TcpShared shared_;

    SlotTable<Entry, TcpId> connections_;
    SlotTable<Listener, ListenerId> listeners_;
    std::unordered_map<std::uint16_t, ListenerId> listening_;
    std::unordered_map<FlowKey, TcpId, FlowHash> flows_;     // at most connections_max
    std::unordered_map<IpAddress, std::size_t> per_remote_;  // at most connections_max
    std::deque<TcpId> time_wait_;  // oldest first; entries may be gone already
    std::vector<TcpId> starved_;
    DeadlineHeap deadlines_;
    bool in_train_ = false;
    TcpId train_;  // not settled yet
    FlowKey train_flow_;
    std::deque<TcpId> ready_;
    SynCookies cookies_;
    RateLimit resets_;
    std::uint32_t port_counter_ = 0;
    TimePoint now_{};  // for what the user's calls send at once
};

}  // namespace selvage::netstack
