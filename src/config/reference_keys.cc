// The tables of keys that are refused or need nothing done.
#include "config/reference_keys.h"

namespace selvage::config {
namespace {

constexpr auto kBoolean = FlagType::boolean;
constexpr auto kNumber = FlagType::number;
constexpr auto kText = FlagType::text;

constexpr FlagRule kFlagRules[] = {
    // Asked for, and done anyway: either value is fine.
    {"disable_p2p", kBoolean, "*", ""},
    {"disable_tcp_hole_punching", kBoolean, "*", ""},
    {"disable_udp_hole_punching", kBoolean, "*", ""},
    {"disable_sym_hole_punching", kBoolean, "*", ""},
    {"disable_upnp", kBoolean, "*", ""},
    {"disable_kcp_input", kBoolean, "*", ""},
    {"disable_quic_input", kBoolean, "*", ""},
    {"use_smoltcp", kBoolean, "*", ""},
    {"multi_thread", kBoolean, "*", ""},
    {"multi_thread_count", kNumber, "*", ""},
    {"bind_device", kBoolean, "*", ""},
    // Not there yet: only the value that means "off".
    {"default_protocol", kText, "tcp", "Selvage connects to the configured peers only"},
    {"enable_exit_node", kBoolean, "false", "Selvage is no exit node"},
    {"proxy_forward_by_system", kBoolean, "false", "Selvage exports no subnets"},
    {"p2p_only", kBoolean, "false", "Selvage makes no direct connections by itself"},
    {"lazy_p2p", kBoolean, "false", "Selvage makes no direct connections by itself"},
    {"need_p2p", kBoolean, "false", "Selvage makes no direct connections by itself"},
    {"socket_mark", kNumber, "", "sockets carry no mark"},
    {"enable_kcp_proxy", kBoolean, "false", "there is no KCP proxy"},
    {"disable_relay_kcp", kBoolean, "false", "packets are relayed whatever they carry"},
    {"enable_relay_foreign_network_kcp", kBoolean, "false",
     "packets are relayed whatever they carry"},
    {"enable_quic_proxy", kBoolean, "false", "there is no QUIC proxy"},
    {"disable_relay_quic", kBoolean, "false", "packets are relayed whatever they carry"},
    {"enable_relay_foreign_network_quic", kBoolean, "false",
     "packets are relayed whatever they carry"},
    {"quic_listen_port", kNumber, "4294967295", "there is no QUIC proxy"},
    {"accept_dns", kBoolean, "false", "there is no magic DNS"},
    {"tld_dns_zone", kText, "et.net.", "there is no magic DNS"},
    {"instance_recv_bps_limit", kNumber, "18446744073709551615", "there is no rate limit"},
    {"enable_udp_broadcast_relay", kBoolean, "false", "broadcasts of the host are not relayed"},
};

constexpr DocumentRule kDocumentRules[] = {
    {"netns", "start Selvage inside the namespace instead: `ip netns exec NAME selvaged ...`"},
    {"ipv6_public_addr_provider", "there are no leases of public addresses"},
    {"ipv6_public_addr_auto", "there are no leases of public addresses"},
    {"ipv6_public_addr_prefix", "there are no leases of public addresses"},
    {"mapped_listeners", "Selvage does not announce its listeners"},
    {"stun_servers", "STUN is not used; write [] or leave it out"},
    {"stun_servers_v6", "STUN is not used; write [] or leave it out"},
    {"credential_file", "there are no credentials"},
    {"proxy_network", "Selvage exports no subnets"},
    {"vpn_portal_config", "there is no WireGuard portal"},
    {"rpc_portal", "it has no effect in EasyTier's files either; use `--rpc-portal`"},
    {"file_logger", "it has no effect in EasyTier's files either; Selvage logs to stderr"},
    {"console_logger", "it has no effect in EasyTier's files either; use `--console-log-level`"},
};

}  // namespace

std::span<const FlagRule> flag_rules() {
    return kFlagRules;
}

std::span<const DocumentRule> document_rules() {
    return kDocumentRules;
}

}  // namespace selvage::config
