// Why a part of what others told us was not taken. Nothing refused is ever passed on: several of
// these end the process of a stock node (protocol document 2-control.md section 11a).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace selvage::route {

enum class Refusal : std::uint8_t {
    undecodable,        // not a sync request
    wrong_sender,       // my_peer_id is not the peer that sent it
    not_a_neighbour,    // sent by a peer that we have no connection to
    no_session,         // neither known nor an initiator
    record_without_id,  // peer id 0
    record_too_large,
    ipv4_prefix_length,      // field 13 above 32
    ipv6_prefix_length,      // field 15 above 128
    provider_prefix_length,  // field 22 above 128; a stock node ends on it and passes it on
    lease_prefix_length,     // field 24 above 128; likewise
    own_record,              // ours, with our route id, with a version that we have not given out
    own_id_other_route,      // our peer id with another route id
    own_row,                 // our connections, as somebody else has them
    bitmap_too_short,        // fewer than n * n bits
    too_many_rows,
    row_without_id,
    foreign_without_key,
    foreign_without_value,
    foreign_malformed,  // no server id, no name, a digest that is not 32 bytes, too many members
    own_foreign,        // a network that we host, as somebody else has it
    table_full,         // one of the bounds of RouteOptions
};
constexpr std::size_t kRefusals = static_cast<std::size_t>(Refusal::table_full) + 1;

std::string_view refusal_name(Refusal reason);

class RefusalCounts {
public:
    void add(Refusal reason) { ++counts_[static_cast<std::size_t>(reason)]; }
    std::uint64_t of(Refusal reason) const { return counts_[static_cast<std::size_t>(reason)]; }
    std::uint64_t total() const {
        std::uint64_t sum = 0;
        for (const auto count : counts_)
            sum += count;
        return sum;
    }

private:
    std::array<std::uint64_t, kRefusals> counts_{};
};

}  // namespace selvage::route
