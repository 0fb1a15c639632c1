// Why a packet was dropped: one table of names and explanations, one counter each.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace selvage::dataplane {

enum class DropReason : std::uint8_t {
    malformed_header,
    malformed_foreign,
    malformed_inner,
    hop_limit,
    relay_disabled,
    relay_rate,
    no_next_hop,
    foreign_unknown,
    local_only_type,
    unknown_type,
    bad_seal,
    not_encrypted,
    bad_compression,
    not_ip,
    bad_source,
    acl_denied,
    acl_rate_limit,
    no_route,
    no_receiver,
    flow_peer_mismatch,
    flow_limit,
    first_fragment_missing,
    unannounced_source,
    no_buffer,
    to_self,
    count,  // how many there are, not one of them
};
constexpr std::size_t kDropReasons = static_cast<std::size_t>(DropReason::count);

struct DropReasonInfo {
    std::string_view name;
    std::string_view meaning;
};
const DropReasonInfo& describe(DropReason reason);

// Whether the reason is found in a packet from the mesh after it was opened.
bool is_about_content(DropReason reason);

class DropCounters {
public:
    void add(DropReason reason, std::uint64_t packets = 1) { at(reason) += packets; }
    std::uint64_t operator[](DropReason reason) const {
        return counts_[static_cast<std::size_t>(reason)];
    }
    std::uint64_t total() const;

private:
    std::uint64_t& at(DropReason reason) { return counts_[static_cast<std::size_t>(reason)]; }
    std::array<std::uint64_t, kDropReasons> counts_{};
};

}  // namespace selvage::dataplane
