// Calls and answers between nodes, over whatever carries packets.
//
//   call()  -> request -> pieces -> PacketPort -> ... -> on_packet() -> Service::call()
//   result <-  on_packet() <- ... <- PacketPort <- pieces <- reply <-------+
//
// There is no retransmission and no duplicate suppression: a lost piece ends in a timeout, and a
// request that arrives twice is executed twice. Methods must tolerate repetition.
//
// Who calls what: the owner of the packets gives every packet of type 8 and 9 that is addressed
// to us, opened, to on_packet(), which never suspends. Everything happens on the loop.
#pragma once

#include <list>
#include <map>
#include <memory>

#include "base/log.h"
#include "packet/packet_buf.h"
#include "packet/peer_header.h"
#include "rpc/options.h"
#include "rpc/reassembly.h"
#include "rpc/service.h"
#include "rt/event.h"
#include "rt/runtime.h"
#include "rt/scope.h"

namespace selvage::rpc {

// Implemented by who knows the way to a peer: adds the peer header, encrypts if the peer is one
// to whom RPC is encrypted (RouteTable::encrypt_rpc_to), and sends. A message that cannot be sent
// is dropped; the call then times out.
class PacketPort {
public:
    virtual ~PacketPort() = default;
    virtual void send(PeerId to, packet::PacketType type, packet::PacketBuf&& message) = 0;
};

struct RpcStats {
    std::uint64_t calls = 0;
    std::uint64_t calls_timed_out = 0;
    std::uint64_t requests = 0;
    std::uint64_t requests_refused = 0;  // too many at once
    std::uint64_t unknown_services = 0;
    std::uint64_t dropped_malformed = 0;     // packets that do not parse or contradict their type
    std::uint64_t dropped_wrong_ids = 0;     // ids that differ from the packet's header
    std::uint64_t dropped_late_replies = 0;  // replies that nobody waits for
    std::uint64_t dropped_no_buffer = 0;
    ReassemblyStats pieces;
};

class RpcEndpoint {
public:
    RpcEndpoint(
        rt::Runtime& runtime, packet::PacketPool& pool, PacketPort& port,
        const ServiceTable& services, PeerId self, RpcOptions options, Log log
    );
    RpcEndpoint(const RpcEndpoint&) = delete;
    RpcEndpoint& operator=(const RpcEndpoint&) = delete;
    ~RpcEndpoint();  // Precondition: close() has returned

    // Asks a peer. Errors as in parse_reply(), and Errc::timed_out when no reply came.
    rt::Task<Result<Bytes>> call(PeerId to, Descriptor target, Bytes request, Duration timeout);

    void on_packet(PeerId from, packet::PacketType type, ByteView payload);

    // Cancels all handlers and waits for them. Calls of ours belong to their callers' scopes.
    rt::Task<> close();

    // Ends all calls of ours with this error: the connection is gone.
    void fail_calls(const Error& reason);

    PeerId self() const { return self_; }
    std::size_t active_requests() const { return active_total_; }
    std::size_t awaited_replies() const;
    RpcStats stats() const;
    // For the channel's owner, which passes it on to services. Outlives the endpoint.
    void set_session(StreamSession* session) { session_ = session; }

private:
    struct PendingCall;
    struct PeerMemory {
        Coding accepted = Coding::none;
        TimePoint used;
    };

    void on_request_piece(PeerId from, Piece piece);
    void on_reply_piece(PeerId from, Piece piece);
    void start_request(Envelope request);
    rt::Task<> serve(Envelope request);
    rt::Task<Result<Bytes>> handle(Envelope& request, Service& service);
    rt::Task<Result<>> send_message(Envelope message);
    void arm_sweep();
    Coding accepted_by(PeerId peer);
    void remember(PeerId peer, Coding accepted);

    rt::Runtime& runtime_;
    packet::PacketPool& pool_;
    PacketPort& port_;
    const ServiceTable& services_;
    PeerId self_;
    RpcOptions options_;
    Log log_;
    StreamSession* session_ = nullptr;
    RpcStats stats_;
    std::uint64_t next_transaction_;
    std::map<std::uint64_t, PendingCall*> calls_;  // bounded by options_.calls_total
    Reassembly requests_;
    rt::Timer sweep_;
    std::map<PeerId, std::size_t> active_;  // requests being handled; bounded by the totals
    std::size_t active_total_ = 0;
    std::map<PeerId, PeerMemory> memory_;  // bounded by options_.peers_remembered
    rt::TaskScope handlers_;
};

}  // namespace selvage::rpc
