// The table of drop reasons.
#include "dataplane/verdict.h"

#include <numeric>

namespace selvage::dataplane {

const DropReasonInfo& describe(DropReason reason) {
    static constexpr std::array<DropReasonInfo, kDropReasons> kTable{{
        {"malformed_header", "a peer packet shorter than its header"},
        {"malformed_foreign",
         "a foreign-network packet whose lengths or name are wrong; it would "
         "stop a stock node, so it is not relayed either"},
        {"malformed_inner",
         "a clear packet for another node that would stop or disable a stock "
         "node"},
        {"hop_limit", "a packet for another node that has passed too many relays"},
        {"relay_disabled",
         "a data packet for another node while `disable_relay_data` is set, or in a network of "
         "which only calls are relayed"},
        {"relay_rate", "a data packet of another network beyond `foreign_relay_bps_limit`"},
        {"no_next_hop", "a packet for a node to which no path is known"},
        {"foreign_unknown", "a packet of another network that this node does not host"},
        {"local_only_type", "a packet of a type that never leaves a node"},
        {"unknown_type", "a packet for us of a type that we do not handle"},
        {"bad_seal", "decryption failed: changed on the way, or another key or algorithm"},
        {"not_encrypted", "a clear data packet in a network with encryption"},
        {"bad_compression", "decompression failed or gave another size than announced"},
        {"not_ip", "a data packet that is not a whole IPv4 or IPv6 packet"},
        {"bad_source", "the inner source address does not belong to the node that sent it"},
        {"acl_denied",
         "the ACL says no: a rule, a default action, or ports hidden from rules "
         "about them; see `selvage acl`"},
        {"acl_rate_limit", "the rate of the ACL rule that matched is used up"},
        {"no_route", "a local packet to an address that no node has"},
        {"no_receiver", "a packet for an address or protocol that nothing here takes"},
        {"flow_peer_mismatch",
         "a segment of a service's connection from another node than its "
         "caller"},
        {"flow_limit", "a new connection beyond the limit of tracked flows"},
        {"first_fragment_missing",
         "a fragment that waited in vain for the first one of its packet, without which nobody "
         "knows whose it is"},
        {"unannounced_source", "a packet of this host from an address that is not ours"},
        {"no_buffer", "no packet buffer was left for a copy"},
        {"to_self", "a packet from our NIC for our own address"},
    }};
    return kTable[static_cast<std::size_t>(reason)];
}

bool is_about_content(DropReason reason) {
    switch (reason) {
        case DropReason::bad_source:
        case DropReason::acl_denied:
        case DropReason::acl_rate_limit:
        case DropReason::no_receiver:
        case DropReason::flow_peer_mismatch:
        case DropReason::flow_limit:
            return true;
        default:
            return false;
    }
}

std::uint64_t DropCounters::total() const {
    return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
}

}  // namespace selvage::dataplane
