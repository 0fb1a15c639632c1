// SYN cookies (RFC 4987, section 3.6): what a listener would have to remember of a SYN, put into
// the answer instead, when it remembers as many as it may. A caller who exists brings it back.
//
//   our sequence number:  | 3 bits MSS | 1 bit epoch | 28 bits keyed hash |
//   our timestamp:        | milliseconds, down to 64      | 6 bits options |
//
// The hash covers the flow, the caller's sequence number, the MSS and the epoch of 64 seconds; a
// cookie is good in its epoch and the next. The key of an epoch is derived from the stack's secret,
// so that what is learnt of one says nothing of another. Somebody who cannot see the answer hits a
// good one in 2^28 guesses.
//
// The options need the timestamp: a caller without timestamps gets neither window scale nor
// selective acknowledgements nor ECN, and one whose MSS is below the smallest of the table no
// answer.
#pragma once

#include <optional>

#include "base/time.h"
#include "netstack/core/flow_hash.h"
#include "netstack/core/tcp_segment.h"

namespace selvage::netstack {

class SynCookies {
public:
    static constexpr Duration kEpoch = 64s;
    // Nobody brings back a cookie that is older.
    static constexpr Duration kLife = 2 * kEpoch;

    explicit SynCookies(SipKey secret) : secret_(secret) {}

    // The sequence number to answer with; empty when `mss` is too small to be remembered.
    std::optional<SeqNum> make(
        const FlowKey& flow, SeqNum peer_isn, std::uint16_t mss, TimePoint now
    ) const;
    // The MSS, a little less than the caller's, if `cookie` is one of ours and not too old.
    std::optional<std::uint16_t> check(
        const FlowKey& flow, SeqNum peer_isn, SeqNum cookie, TimePoint now
    ) const;

    // Window scale, SACK and ECN of a SYN in a timestamp not later than `clock`, and back; back
    // says whether there was ECN.
    static std::uint32_t put_options(std::uint32_t clock, const TcpOptions& options, bool ecn);
    static bool take_options(std::uint32_t clock, TcpOptions& options);

private:
    SipKey key_of(std::uint64_t epoch) const;
    std::uint32_t hash(
        const FlowKey& flow, SeqNum peer_isn, std::uint32_t index, std::uint64_t epoch
    ) const;

    SipKey secret_;
};

}  // namespace selvage::netstack
