// What can be set about routing, and the bounds of what others can make us hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/ip.h"
#include "base/time.h"
#include "base/uuid.h"

namespace selvage::route {

// Membership in an ACL group, with the proof that goes with it (4-gateway.md section 8.4).
struct GroupClaim {
    std::string name;
    Bytes proof;

    friend bool operator==(const GroupClaim&, const GroupClaim&) = default;
};

// What we tell the network about ourselves. Change it with RouteService::set_own().
struct OwnNode {
    std::string hostname;
    std::string version_text = "selvage-0.1.0";
    std::optional<Prefix> ipv4;       // our virtual address with the network's prefix length
    std::optional<Prefix> ipv6;       // likewise
    Uuid instance;                    // the same over restarts
    std::vector<Prefix> proxy_cidrs;  // host bits zero; networks that we carry traffic to
    bool relays_data = true;          // false: others avoid paths through us
    bool public_server = false;       // we host this network and do not have its secret
    std::vector<GroupClaim> groups;   // ACL groups that we are in

    friend bool operator==(const OwnNode&, const OwnNode&) = default;
};

struct RouteOptions {
    PeerId self;               // drawn anew by every start
    std::string network_name;  // the domain of our calls
    OwnNode own;

    // 0.0.0.0/0, ::/0 and networks that overlap our own are believed only within one of these:
    // without consent any member could draw all traffic of this node to itself.
    std::vector<Prefix> wide_networks_accepted;

    // Records of peers and their connection rows. Further ones are refused and counted.
    std::size_t peers_limit = 4096;
    std::size_t record_bytes_limit = 16 * 1024;
    std::size_t records_bytes_total = 16 * 1024 * 1024;
    std::size_t edges_total = 256 * 1024;
    std::size_t proxy_cidrs_per_peer = 256;  // further ones are ignored, not the record
    std::size_t groups_per_peer = 64;        // likewise
    // What others may report to us as the peer center. Further reports are refused.
    std::size_t center_edges_limit = 256 * 1024;
    // Networks hosted by public servers, and the members that each entry lists.
    std::size_t foreign_limit = 1024;
    std::size_t foreign_members_limit = 4096;

    // Our record is sent again after this time, because others forget it 60 s later.
    Duration refresh_interval = std::chrono::seconds(3600);
    Duration record_life = std::chrono::seconds(3660);
    // A record that nobody leads to is forgotten after this time.
    Duration unreachable_life = std::chrono::seconds(90);
    // What a neighbour knows of a record that nobody leads to counts no more after this time:
    // before it drops the record, as above, and never hears of it again.
    Duration knowledge_life = std::chrono::seconds(60);
    // A neighbour that calls itself initiator and is silent for this long is one no more.
    Duration initiator_life = std::chrono::seconds(45);
    Duration keepalive_interval = std::chrono::seconds(11);
    Duration call_timeout = std::chrono::seconds(3);
};

}  // namespace selvage::route
