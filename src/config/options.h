// Everything one instance is told: the result of reading a file and a command line.
//
// The defaults are EasyTier's where a key is EasyTier's (5-management.md section 1). Plain values:
// the node turns them into the options of its modules.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/node_addresses.h"
#include "base/option_tree.h"
#include "base/uuid.h"
#include "crypto/cipher.h"
#include "crypto/secret.h"
#include "dataplane/acl_options.h"
#include "edge/forward_options.h"
#include "edge/options.h"
#include "tunnel/url.h"

namespace selvage::config {

struct NodeOptions {
    std::string instance_name = "default";
    std::optional<Uuid> instance_id;  // none: a random one for this run
    std::string hostname;             // empty: the host's own name
    std::string network_name = "default";
    crypto::SecretText network_secret;
    NodeAddresses addresses;  // our virtual ones; none: a relay without one
    bool dhcp = false;        // the IPv4 address is chosen by what others have; `ipv4` is ignored
    // The host's routes into the mesh, instead of what members announce. Wide networks, as a
    // default route, are believed within these only.
    std::optional<std::vector<Prefix>> routes;
    std::vector<IpAddress> exit_nodes;  // virtual addresses; the first that can be reached counts
    std::vector<tunnel::Url> listeners;
    std::vector<tunnel::Url> peers;

    bool no_tun = false;
    std::string dev_name;  // empty: the system picks one
    unsigned mtu = 1380;   // as configured; 20 less with encryption, see effective_mtu()
    bool enable_encryption = true;
    crypto::CipherAlgorithm encryption_algorithm = crypto::CipherAlgorithm::aes_gcm;
    bool enable_ipv6 = true;  // of the underlay
    bool latency_first = false;
    bool compress_data = false;       // what we send, with zstd; both sides may differ
    bool disable_relay_data = false;  // carry no packets of others; RPC is relayed in any case

    // As a shared server for other networks. The patterns name those whose packets are carried; if
    // they do not name our own network, its members are told to avoid us as a relay.
    std::string relay_network_whitelist = "*";
    bool relay_all_peer_rpc = false;  // calls of all other networks, whatever the patterns say
    bool private_mode = false;        // no other network at all
    std::optional<std::uint64_t> foreign_relay_bps_limit;  // bytes a second of each network

    // The management channel on TCP; none: only the unix socket.
    std::optional<Endpoint> rpc_portal;
    // Where a scraper of Prometheus may ask the process; --metrics-listen wins.
    std::optional<Endpoint> metrics;
    std::string management_socket;  // path; empty: the instance's default

    std::vector<edge::ForwardOptions> forwards;
    dataplane::AclRules acl;

    std::vector<edge::ServiceOptions> services;  // one per service of the build

    // What was written, flags merged in and without secrets: reload_plan.h compares it.
    OptionTable document;

    bool wants_tun() const { return !no_tun && (addresses.any() || dhcp); }
    // What the TUN device and our stack use.
    unsigned effective_mtu() const { return enable_encryption ? mtu - 20 : mtu; }
};

// A host name as the reference shows it: without control characters, cut to 32 characters.
std::string clean_hostname(std::string_view text);

}  // namespace selvage::config
