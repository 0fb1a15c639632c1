// Reassembly with its bounds.
#include "rpc/reassembly.h"

#include <limits>

namespace selvage::rpc {
namespace {

// What a piece costs beside its body: a map node and its vector, rounded up. Without it, empty
// pieces would be free.
constexpr std::size_t kPieceOverhead = 128;

}  // namespace

std::size_t Reassembly::messages_of(PeerId sender) const {
    constexpr auto kFirst = std::numeric_limits<std::int64_t>::min();
    constexpr auto kLast = std::numeric_limits<std::int64_t>::max();
    const auto begin = messages_.lower_bound({sender, kFirst});
    const auto end = messages_.upper_bound({sender, kLast});
    return static_cast<std::size_t>(std::distance(begin, end));
}

Reassembly::Messages::iterator Reassembly::erase(Messages::iterator at) {
    bytes_ -= at->second.bytes;
    return messages_.erase(at);
}

std::optional<Envelope> Reassembly::add(PeerId sender, Piece piece, TimePoint now) {
    if (piece.total == 1) return std::move(piece.envelope);
    const Key key{sender, piece.envelope.transaction};
    auto at = messages_.find(key);
    if (at == messages_.end()) {
        if (messages_.size() >= options_.partial_messages_total ||
            messages_of(sender) >= options_.partial_messages_per_peer) {
            ++stats_.over_limit;
            return std::nullopt;
        }
        at = messages_.try_emplace(key).first;
        at->second.total = piece.total;
    }
    Message& message = at->second;
    if (message.total != piece.total) {
        ++stats_.inconsistent;
        return std::nullopt;
    }
    const std::size_t cost = piece.envelope.body.size() + kPieceOverhead;
    if (message.bytes + cost > options_.message_bytes_limit ||
        bytes_ + cost > options_.partial_bytes_total) {
        ++stats_.over_limit;
        erase(at);
        return std::nullopt;
    }
    message.last = now;
    message.bytes += cost;
    bytes_ += cost;
    Bytes& slot = message.bodies[piece.index];
    slot = std::move(piece.envelope.body);
    if (piece.index == 0) {
        piece.envelope.body.clear();
        message.first = std::move(piece.envelope);
    }
    if (message.bodies.size() < message.total) return std::nullopt;

    Envelope whole = std::move(*message.first);
    for (const auto& [index, body] : message.bodies) {
        whole.body.insert(whole.body.end(), body.begin(), body.end());
    }
    erase(at);
    return whole;
}

void Reassembly::drop_expired(TimePoint now) {
    for (auto at = messages_.begin(); at != messages_.end();) {
        if (now - at->second.last < options_.partial_limit) {
            ++at;
            continue;
        }
        ++stats_.expired;
        at = erase(at);
    }
}

void Reassembly::forget(PeerId sender, std::int64_t transaction) {
    if (const auto at = messages_.find({sender, transaction}); at != messages_.end()) erase(at);
}

}  // namespace selvage::rpc
