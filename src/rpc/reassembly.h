// Joins the pieces of messages. Pieces come in any order, twice, or never.
//
// Messages are told apart by their sender and transaction. What a stranger can make us hold is
// bounded three ways (messages per peer, messages, bytes) and ends ten seconds after the last
// piece. Only pieces that arrived take memory, never the number that was promised.
#pragma once

#include <map>
#include <optional>

#include "base/time.h"
#include "rpc/envelope.h"
#include "rpc/options.h"

namespace selvage::rpc {

struct ReassemblyStats {
    std::uint64_t over_limit = 0;    // messages given up because a bound was reached
    std::uint64_t inconsistent = 0;  // pieces that contradict earlier ones
    std::uint64_t expired = 0;       // messages that never became whole
};

class Reassembly {
public:
    explicit Reassembly(const RpcOptions& options) : options_(options) {}

    // Takes a piece; gives the message when it was the last one missing. A duplicate replaces
    // what it repeats.
    std::optional<Envelope> add(PeerId sender, Piece piece, TimePoint now);

    void drop_expired(TimePoint now);
    void forget(PeerId sender, std::int64_t transaction);

    bool empty() const { return messages_.empty(); }
    std::size_t messages() const { return messages_.size(); }
    std::size_t bytes() const { return bytes_; }
    const ReassemblyStats& stats() const { return stats_; }

private:
    using Key = std::pair<PeerId, std::int64_t>;
    struct Message {
        std::uint32_t total = 0;
        std::size_t bytes = 0;  // with the overhead of each piece
        TimePoint last;
        std::optional<Envelope> first;          // piece 0: all fields but the body come from it
        std::map<std::uint32_t, Bytes> bodies;  // bounded by options_
    };
    using Messages = std::map<Key, Message>;

    std::size_t messages_of(PeerId sender) const;
    Messages::iterator erase(Messages::iterator at);

    RpcOptions options_;
    Messages messages_;
    std::size_t bytes_ = 0;
    ReassemblyStats stats_;
};

}  // namespace selvage::rpc
