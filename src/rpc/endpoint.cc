// The endpoint: matching replies, running handlers, and their bounds.
#include "rpc/endpoint.h"

#include "rpc/protobuf.h"
#include "rt/with_timeout.h"

namespace selvage::rpc {
namespace {

// A long message is sent in portions, so that it does not fill a tunnel's control queue (256
// packets), which would close the connection.
constexpr std::size_t kPortionPieces = 64;
constexpr Duration kPortionPause = std::chrono::milliseconds(5);

constexpr Duration kSweepInterval = std::chrono::seconds(5);

}  // namespace

// A call that waits; lives in the frame of call().
struct RpcEndpoint::PendingCall {
    PendingCall(RpcEndpoint& owner, PeerId peer, std::uint64_t id)
        : endpoint(owner),
          to(peer),
          transaction(id),
          pieces(owner.options_),
          changed(owner.runtime_) {
        endpoint.calls_[transaction] = this;
    }
    PendingCall(const PendingCall&) = delete;
    PendingCall& operator=(const PendingCall&) = delete;
    ~PendingCall() { endpoint.calls_.erase(transaction); }

    RpcEndpoint& endpoint;
    PeerId to;
    std::uint64_t transaction;
    Reassembly pieces;
    std::optional<Envelope> reply;
    std::optional<Error> failure;
    rt::Event changed;
};

RpcEndpoint::RpcEndpoint(
    rt::Runtime& runtime, packet::PacketPool& pool, PacketPort& port, const ServiceTable& services,
    PeerId self, RpcOptions options, Log log
)
    : runtime_(runtime),
      pool_(pool),
      port_(port),
      services_(services),
      self_(self),
      options_(options),
      log_(std::move(log)),
      next_transaction_(runtime.rng().next()),
      requests_(options),
      sweep_(runtime.timers()),
      handlers_(runtime, log_) {
    silence_protobuf();
}

RpcEndpoint::~RpcEndpoint() = default;

rt::Task<> RpcEndpoint::close() {
    sweep_.cancel();
    co_await handlers_.close();
}

void RpcEndpoint::fail_calls(const Error& reason) {
    for (auto& [transaction, pending] : calls_) {
        pending->failure = reason;
        pending->changed.notify();
    }
}

std::size_t RpcEndpoint::awaited_replies() const {
    const auto waits = [](const auto& entry) { return !entry.second->reply; };
    return static_cast<std::size_t>(std::ranges::count_if(calls_, waits));
}

RpcStats RpcEndpoint::stats() const {
    RpcStats out = stats_;
    out.pieces = requests_.stats();
    return out;
}

rt::Task<Result<Bytes>> RpcEndpoint::call(
    PeerId to, Descriptor target, Bytes request, Duration timeout
) {
    if (calls_.size() >= options_.calls_total) co_return Error(Errc::limit, "too many calls");
    ++stats_.calls;
    const TimePoint deadline = runtime_.now() + timeout;
    PendingCall pending(*this, to, next_transaction_++);
    CodedBody body = shrink_body(build_request(request, timeout), accepted_by(to));
    Envelope message{
        .from = self_,
        .to = to,
        .transaction = static_cast<std::int64_t>(pending.transaction),
        .target = std::move(target),
        .is_request = true,
        .coding = body.coding,
        .accepted = Coding::zstd,
        .body = std::move(body.bytes),
    };
    auto sent = co_await send_message(std::move(message));
    if (!sent) co_return sent.error();
    while (!pending.reply && !pending.failure) {
        if (co_await pending.changed.wait_until(deadline)) continue;
        ++stats_.calls_timed_out;
        co_return Error(Errc::timed_out, fmt::format("peer {} did not answer", to));
    }
    if (!pending.reply) co_return *pending.failure;
    remember(to, pending.reply->accepted);
    auto plain = expand_body(
        std::move(pending.reply->body), pending.reply->coding, options_.message_bytes_limit
    );
    if (!plain) co_return plain.error();
    co_return parse_reply(*plain);
}

void RpcEndpoint::on_packet(PeerId from, packet::PacketType type, ByteView payload) {
    auto piece = parse_piece(payload);
    const bool is_request = type == packet::PacketType::rpc_request;
    if (!piece || piece->envelope.is_request != is_request ||
        (!is_request && type != packet::PacketType::rpc_response)) {
        ++stats_.dropped_malformed;
        return;
    }
    const Envelope& envelope = piece->envelope;
    if (options_.check_peer_ids && (envelope.from != from || envelope.to != self_)) {
        ++stats_.dropped_wrong_ids;
        return;
    }
    if (is_request) {
        on_request_piece(from, std::move(*piece));
    } else {
        on_reply_piece(from, std::move(*piece));
    }
}

void RpcEndpoint::on_request_piece(PeerId from, Piece piece) {
    auto whole = requests_.add(from, std::move(piece), runtime_.now());
    if (!requests_.empty()) arm_sweep();
    if (whole) start_request(std::move(*whole));
}

void RpcEndpoint::on_reply_piece(PeerId from, Piece piece) {
    const auto transaction = static_cast<std::uint64_t>(piece.envelope.transaction);
    const auto at = calls_.find(transaction);
    if (at == calls_.end() || at->second->reply ||
        (options_.check_peer_ids && at->second->to != from)) {
        ++stats_.dropped_late_replies;
        return;
    }
    PendingCall& pending = *at->second;
    pending.reply = pending.pieces.add(from, std::move(piece), runtime_.now());
    if (pending.reply) pending.changed.notify();
}

void RpcEndpoint::arm_sweep() {
    if (sweep_.pending()) return;
    sweep_.set(runtime_.now() + kSweepInterval, [this] {
        requests_.drop_expired(runtime_.now());
        if (!requests_.empty()) arm_sweep();
    });
}

Coding RpcEndpoint::accepted_by(PeerId peer) {
    const auto at = memory_.find(peer);
    if (at == memory_.end()) return Coding::none;
    if (runtime_.now() - at->second.used > options_.peer_memory) {
        memory_.erase(at);
        return Coding::none;
    }
    at->second.used = runtime_.now();
    return at->second.accepted;
}

void RpcEndpoint::remember(PeerId peer, Coding accepted) {
    if (!memory_.contains(peer) && memory_.size() >= options_.peers_remembered) {
        const auto oldest = std::ranges::min_element(memory_, {}, [](const auto& entry) {
            return entry.second.used;
        });
        memory_.erase(oldest);
    }
    memory_[peer] = {.accepted = accepted, .used = runtime_.now()};
}

void RpcEndpoint::start_request(Envelope request) {
    ++stats_.requests;
    const PeerId from = request.from;
    std::string name = fmt::format(
        "rpc {}.{} from {}", printable(request.target.service, 40), request.target.method, from
    );
    handlers_.spawn(std::move(name), serve(std::move(request)));
}

rt::Task<> RpcEndpoint::serve(Envelope request) {
    const TimePoint started = runtime_.now();
    Service* service = services_.find(request.target);
    Bytes plain;
    if (service == nullptr) {
        ++stats_.unknown_services;
        plain = build_unknown_service(request.target);
    } else {
        Result<Bytes> result = co_await handle(request, *service);
        plain = build_reply(result, request.target, runtime_.now() - started);
    }
    if (plain.size() > options_.message_bytes_limit) {
        plain = build_reply(Error(Errc::limit, "reply too large"), request.target, {});
    }
    CodedBody body = shrink_body(std::move(plain), request.accepted);
    Envelope reply{
        .from = options_.check_peer_ids ? self_ : request.to,
        .to = request.from,
        .transaction = request.transaction,
        .target = std::move(request.target),
        .trace = request.trace,
        .is_request = false,
        .coding = body.coding,
        .accepted = Coding::zstd,
        .body = std::move(body.bytes),
    };
    (void)co_await send_message(std::move(reply));  // unsent: the caller times out
}

namespace {

// Counts a request while it is handled.
class Slot {
public:
    Slot(std::map<PeerId, std::size_t>& by_peer, std::size_t& total, PeerId peer)
        : by_peer_(by_peer), total_(total), peer_(peer) {
        ++by_peer_[peer_];
        ++total_;
    }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    ~Slot() {
        --total_;
        const auto at = by_peer_.find(peer_);
        if (--at->second == 0) by_peer_.erase(at);
    }

private:
    std::map<PeerId, std::size_t>& by_peer_;
    std::size_t& total_;
    PeerId peer_;
};

}  // namespace

rt::Task<Result<Bytes>> RpcEndpoint::handle(Envelope& request, Service& service) {
    const auto at = active_.find(request.from);
    const std::size_t of_peer = at == active_.end() ? 0 : at->second;
    if (of_peer >= options_.requests_per_peer || active_total_ >= options_.requests_total) {
        ++stats_.requests_refused;
        co_return Error(Errc::limit, "too many requests at once");
    }
    const Slot slot(active_, active_total_, request.from);
    auto plain = expand_body(std::move(request.body), request.coding, options_.message_bytes_limit);
    if (!plain) co_return Error(Errc::refused, "the request's compression cannot be undone");
    auto decoded = parse_request(*plain);
    if (!decoded) co_return decoded.error();
    Duration limit = options_.handler_default;
    if (decoded->timeout_ms > 0) limit = std::chrono::milliseconds(decoded->timeout_ms);
    limit = std::min(limit, options_.handler_limit);
    const Caller caller{.peer = request.from, .session = session_};
    // The receiver looks at the lowest byte only, and so do stock nodes.
    const std::uint32_t method = request.target.method & 0xff;
    auto task = service.call(caller, method, std::move(decoded->content));
    co_return co_await rt::with_timeout(runtime_, limit, std::move(task));
}

rt::Task<Result<>> RpcEndpoint::send_message(Envelope message) {
    if (message.body.size() > options_.message_bytes_limit) {
        co_return Error(Errc::limit, "message too large");
    }
    const PeerId to = message.to;
    const auto type =
        message.is_request ? packet::PacketType::rpc_request : packet::PacketType::rpc_response;
    auto pieces = build_pieces(message);
    if (!pieces) co_return pieces.error();
    for (std::size_t i = 0; i < pieces->size(); ++i) {
        if (i > 0 && i % kPortionPieces == 0) co_await rt::sleep_for(runtime_, kPortionPause);
        packet::PacketBuf packet = pool_.copy((*pieces)[i]);
        if (!packet) {
            ++stats_.dropped_no_buffer;
            co_return Error(Errc::limit, "no packet buffer left");
        }
        port_.send(to, type, std::move(packet));
    }
    co_return Result<>{};
}

}  // namespace selvage::rpc
