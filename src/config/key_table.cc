// The rows. Order: as in a file written by hand.
#include "config/key_table.h"

namespace selvage::config {
namespace {

constexpr auto kApplied = OnReload::applied;
constexpr auto kRestart = OnReload::restart;

constexpr KeySpec kKeys[] = {
    {"instance_name", "text of 1 to 64 characters", "default", kRestart,
     "Local name: the log's prefix, `selvage -n NAME`, the management socket.", "\"home\""},
    {"instance_id", "UUID", "a random one for each run", kRestart, "Identity of the instance.",
     "\"7b1f1a33-8a7e-4d39-9f53-1a2b3c4d5e6f\""},
    {"hostname", "text", "this host's name", kApplied,
     "What peers see. Control characters are removed, 32 characters are kept.", "\"lighthouse\""},
    {"ipv4", "address with its network", "none", kRestart,
     "Our virtual address. Without a length, or with 32, the length is 24. Without an address the "
     "node only forwards.",
     "\"10.144.1.1/24\""},
    {"ipv6", "address with its network", "none", kRestart,
     "Our virtual IPv6 address. Without a length it is 128. Needs an MTU of 1280.",
     "\"fd00::1/64\""},
    {"dhcp", "true or false", "false", kRestart,
     "Choose an IPv4 address that nobody else has; `ipv4` is ignored then.", "true"},
    {"routes", "list of networks", "what peers announce", kRestart,
     "Networks that this host reaches through the mesh, instead of what peers announce.",
     "[\"10.9.0.0/16\"]"},
    {"exit_nodes", "list of addresses", "none", kRestart,
     "Nodes that carry what no other node does; the first that can be reached counts.",
     "[\"10.144.1.1\"]"},
    {"listeners", "list of URLs, ports or schemes",
     "none in a file; every transport on 11010 once flags are used", kApplied,
     "Where to listen. A port alone stands for every transport of this build.",
     "[\"tcp://0.0.0.0:11010\", \"udp://0.0.0.0:11010\"]"},
    {"network_identity.network_name", "text of 1 to 255 bytes", "default", kRestart,
     "Name of the network.", "\"home\""},
    {"network_identity.network_secret", "text", "empty", kRestart,
     "Secret of the network; the same on all nodes.", "\"a long sentence\""},
    {"peer", "list of tables with `uri`", "none", kApplied,
     "Nodes to stay connected to. One that is no longer listed is not dialled again.",
     "[{ uri = \"tcp://relay.example:11010\" }]"},

    {"flags.no_tun", "true or false", "false", kRestart, "No TUN device; needs no privileges.",
     "true"},
    {"flags.dev_name", "text of at most 15 characters", "the system's choice", kRestart,
     "Name of the TUN device.", "\"mesh0\""},
    {"flags.mtu", "576 to 1500", "1380", kRestart,
     "MTU of the TUN device; 20 less is used with encryption.", "1300"},
    {"flags.enable_encryption", "true or false", "true", kRestart,
     "Seal packets with the network's key; the same on all nodes.", "false"},
    {"flags.encryption_algorithm", "aes-gcm, aes-256-gcm, chacha20 or xor", "aes-gcm", kRestart,
     "Cipher of the packets; the same on all nodes.", "\"chacha20\""},
    {"flags.enable_ipv6", "true or false", "true", kRestart, "IPv6 underneath.", "false"},
    {"flags.latency_first", "true or false", "false", kApplied, "Prefer fast paths to short ones.",
     "true"},
    {"flags.data_compress_algo", "\"None\" or \"Zstd\"", "\"None\"", kRestart,
     "Compress the packets that this node sends.", "\"Zstd\""},
    {"flags.disable_relay_data", "true or false", "false", kRestart,
     "Carry no packets between other nodes.", "true"},
    {"flags.relay_network_whitelist", "patterns separated by spaces", "\"*\"", kRestart,
     "Other networks whose packets this node carries as a shared server; `*` stands for any text, "
     "`?` for one character. If it does not name our own network, its members avoid us as a relay.",
     "\"home-* friends\""},
    {"flags.relay_all_peer_rpc", "true or false", "false", kRestart,
     "Admit every other network for calls, so that its members find each other; their packets are "
     "carried only if the whitelist names the network.",
     "true"},
    {"flags.private_mode", "true or false", "false", kRestart, "Admit no other network.", "true"},
    {"flags.foreign_relay_bps_limit", "number of bytes a second", "none", kRestart,
     "What is carried at most for each other network.", "125000"},

    {"forward", "list of tables", "none", kApplied,
     "Ports that lead somewhere fixed; connections of one that changed end. Keys: `from` (\"mesh\" "
     "or \"host\"), `listen`, `to`, "
     "`proto`, "
     "`allow`, `proxy_protocol`, `shadow_host`.",
     "[{ listen = \"8080\", to = \"127.0.0.1:80\", allow = [\"any-member\"] }]"},
    {"port_forward", "list of tables", "none", kApplied,
     "Ports of the host that lead into the mesh, open to whoever reaches them. Keys: `bind_addr`, "
     "`dst_addr`, `proto`.",
     "[{ bind_addr = \"127.0.0.1:8080\", dst_addr = \"10.144.1.2:80\", proto = \"tcp\" }]"},
    {"socks5_proxy", "URL", "none", kApplied,
     "The proxy at this address of the host, open to whoever reaches it.",
     "\"socks5://127.0.0.1:1080\""},
    {"tcp_whitelist", "list of ports and ranges", "none", kApplied,
     "TCP ports of this node that the mesh may use; all others are closed.",
     "[\"80\", \"8000-9000\"]"},
    {"udp_whitelist", "list of ports and ranges", "none", kApplied, "Likewise for UDP.", "[\"53\"]"
    },
    {"acl", "table", "none", kApplied,
     "Who may send what: chains of rules and groups in `acl.acl_v1`. Holds for live connections "
     "from their next packet on.",
     "{ acl_v1 = { chains = [{ name = \"in\", chain_type = \"Inbound\", enabled = true, "
     "default_action = \"Drop\" }] } }"},

    {"metrics.listen", "port, or address with port", "none", kRestart,
     "Prometheus metrics over HTTP, of all instances of the process; a port alone is on loopback.",
     "\"9100\""},
    {"metrics.for_all", "true or false", "false", kRestart,
     "Let `metrics.listen` be an address that is not of loopback.", "true"},

    {"service.*.enabled", "true or false", "false", kApplied,
     "Offer the service. Switched off, its sessions end.", "true"},
    {"service.*.port", "1 to 65535",
     "proxy 1080, shell 23, menu 2323, echo 7, discard 9, chargen 19", kApplied,
     "Port at the virtual address. Sessions that live go on.", "2323"},
    {"service.*.allow", "list of rules", "nobody", kApplied,
     "Who may use it: \"any-member\", a host name, a peer id, an address or a prefix. Sessions of "
     "those who may no longer end.",
     "[\"laptop\", \"10.144.1.0/28\"]"},
    {"service.*.listen_host", "address with port", "none", kApplied,
     "Also at this address of the host. On loopback every program of the host may use it.",
     "\"127.0.0.1:2323\""},
    {"service.*.advertise", "true or false", "false", kApplied,
     "Members who may use the service are told of it when they ask: `selvage services --of`.",
     "true"},
    {"service.*.shadow_host", "true or false", "false", kApplied,
     "Take the port from a program of the host that listens at it; without, the host keeps it.",
     "true"},
    {"service.*.max_sessions", "1 to 65536", "proxy 512, shell 32, menu 32, echo 64", kApplied,
     "A caller beyond is reset.", "5"},
    {"service.*.max_sessions_per_caller", "1 to 65536", "proxy 256, shell 8, menu 4, echo 16",
     kApplied, "Likewise; programs of the host count as one caller.", "2"},
    {"service.*.idle_timeout", "duration", "proxy 2h, shell 12h, menu 15min, echo 2h", kApplied,
     "A session without a byte for so long ends; 0 for never.", "\"15m\""},
    {"service.*.users", "table of name and hash", "none", kApplied,
     "Ask for name and password; hashes come from `selvage passwd`. Sessions of a user whose entry "
     "is gone or another end.",
     "{ alice = \"$6$rounds=1000$meadow$g4QWnsIyO6ub0XmdyGBSZHehIQ8BnWgQQMR25XK"
     ".veCQ0wxnYVxn9ok0EIU.QSr.OJcIVIKSqR8Kz8/5WalQn0\" }"},
    {"service.proxy.rule", "list of tables", "none", kApplied,
     "Destinations; the first rule that matches decides. Keys: `action` (\"allow\" or \"deny\"), "
     "`to`, `ports`, `names`, `from`.",
     "[{ action = \"deny\", to = [\"10.0.0.0/8\"] }]"},
    {"service.proxy.bind_host", "address", "none", kApplied,
     "Where BIND listens for a peer outside the mesh; without it BIND works for peers in the mesh "
     "only.",
     "\"192.168.1.5\""},
    {"service.menu.commands", "list of command names", "all of them", kApplied,
     "The commands that the menu offers.", "[\"routes\", \"ping\"]"},
    {"service.shell.auth", "password, token or mesh", "password", kApplied,
     "password: a password or a token from `selvage token`; token: tokens only; mesh: the allow "
     "list is enough.",
     "\"mesh\""},
    {"service.shell.account", "text", "the user that runs selvaged", kApplied,
     "Host account of the shell; another one needs root.", "\"guest\""},
    {"service.shell.shell", "absolute path", "the account's login shell", kApplied,
     "Program of the shell.", "\"/bin/bash\""},
    {"service.shell.record", "absolute path", "none", kApplied,
     "Folder for recordings of sessions (asciicast v2), one file each.",
     "\"/var/lib/selvage/recordings\""},
    {"service.shell.record_file_mib", "1 to 65536", "64", kApplied,
     "Largest recording; a session that reaches it ends.", "16"},
    {"service.shell.record_total_mib", "1 to 1048576", "1024", kApplied,
     "Largest folder of recordings; beyond it there are no sessions.", "4096"},
    {"service.shell.allow_root", "true or false", "false", kApplied,
     "Without it a shell with user id 0 is refused.", "true"},
};

// Whether a row's key, with '*' for one part, is this path.
bool matches(std::string_view pattern, std::string_view path) {
    const auto star = pattern.find('*');
    if (star == std::string_view::npos) return pattern == path;
    const std::string_view tail = pattern.substr(star + 1);
    if (!path.starts_with(pattern.substr(0, star)) || !path.ends_with(tail)) return false;
    const std::string_view part = path.substr(star, path.size() - star - tail.size());
    return path.size() > star + tail.size() && part.find('.') == std::string_view::npos;
}

}  // namespace

std::span<const KeySpec> key_table() {
    return kKeys;
}

const KeySpec* find_key(std::string_view path) {
    for (const KeySpec& spec : kKeys) {
        if (matches(spec.key, path)) return &spec;
    }
    return nullptr;
}

}  // namespace selvage::config
