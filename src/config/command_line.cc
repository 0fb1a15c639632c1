// The flags of easytier-core as a table, CLI11 to split the arguments.
#include "config/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "config/completion.h"
#include "config/local_endpoint.h"
#include "config/version.h"

namespace selvage::config {
namespace {

// What a flag does to the document; see the table of 5-management.md section 2.2.
enum class Effect {
    text,      // replaces a string (or a number, which the reader takes from text)
    flag,      // bare: true; or true/false
    boolean,   // true or false must be given
    inverted,  // as flag, for the opposite key
    list,      // replaces a list
    more,      // appends to a list
    peers,     // appends [[peer]]
    networks,  // appends [[proxy_network]]
    forwards,  // appends [[port_forward]]
    socks5,    // a port that becomes a URL
    joined,    // a list that becomes one string with spaces
    empty,     // bare: the list becomes empty
    refused,   // not served; `key` completes the sentence
};

struct Flag {
    std::string_view name;  // long name without dashes
    char letter;            // short form, or 0
    Effect effect;
    std::string_view key;   // path in the document
    std::string_view help;  // empty: not shown in --help
    bool in_environment = true;
};

constexpr Flag kFlags[] = {
    {"network-name", 0, Effect::text, "network_identity.network_name", "name of the network"},
    {"network-secret", 0, Effect::text, "network_identity.network_secret",
     "secret of the network; better in a file or in ET_NETWORK_SECRET, where `ps` does not show it"
    },
    {"ipv4", 'i', Effect::text, "ipv4", "our virtual address, as 10.144.1.1/24"},
    {"ipv6", 0, Effect::text, "ipv6", "our virtual IPv6 address, as fd00::1/64"},
    {"dhcp", 'd', Effect::flag, "dhcp", "choose an IPv4 address that nobody else has"},
    {"manual-routes", 0, Effect::list, "routes",
     "networks that this host reaches through the mesh, instead of what peers announce"},
    {"exit-nodes", 0, Effect::list, "exit_nodes",
     "virtual addresses of nodes that carry what no other node does"},
    {"peers", 'p', Effect::peers, "peer", "nodes to connect to, as tcp://host:11010"},
    {"external-node", 'e', Effect::peers, "peer", ""},
    {"listeners", 'l', Effect::list, "listeners",
     "where to listen: 11010, tcp:11010 or tcp://0.0.0.0:11010"},
    {"no-listener", 0, Effect::empty, "listeners", "do not listen"},
    {"hostname", 0, Effect::text, "hostname", "name that peers see (default: this host's)"},
    {"instance-name", 'm', Effect::text, "instance_name", "local name of this instance"},
    {"no-tun", 0, Effect::flag, "flags.no_tun", "no TUN device: needs no privileges"},
    {"dev-name", 0, Effect::text, "flags.dev_name", "name of the TUN device"},
    {"mtu", 0, Effect::text, "flags.mtu", "MTU of the TUN device; 20 less with encryption"},
    {"encryption-algorithm", 0, Effect::text, "flags.encryption_algorithm",
     "aes-gcm (default), aes-256-gcm, chacha20 or xor"},
    {"disable-encryption", 'u', Effect::inverted, "flags.enable_encryption",
     "send packets as they are; must be the same on all nodes"},
    {"disable-ipv6", 0, Effect::inverted, "flags.enable_ipv6", "no IPv6 underneath"},
    {"latency-first", 0, Effect::flag, "flags.latency_first", "prefer fast paths to short ones"},
    {"compression", 0, Effect::text, "flags.data_compress_algo",
     "none (default) or zstd, for the packets that this node sends"},
    {"disable-relay-data", 0, Effect::flag, "flags.disable_relay_data",
     "carry no packets of other nodes"},
    {"relay-network-whitelist", 0, Effect::joined, "flags.relay_network_whitelist",
     "patterns of other networks to relay for (default: *); none: no network"},
    {"relay-all-peer-rpc", 0, Effect::flag, "flags.relay_all_peer_rpc",
     "let members of any other network find each other here"},
    {"private-mode", 0, Effect::boolean, "flags.private_mode", "admit no other network"},
    {"foreign-relay-bps-limit", 0, Effect::text, "flags.foreign_relay_bps_limit",
     "bytes a second to carry for each other network"},

    {"ipv6-public-addr-provider", 0, Effect::flag, "ipv6_public_addr_provider", ""},
    {"ipv6-public-addr-auto", 0, Effect::flag, "ipv6_public_addr_auto", ""},
    {"ipv6-public-addr-prefix", 0, Effect::text, "ipv6_public_addr_prefix", ""},
    {"proxy-networks", 'n', Effect::networks, "proxy_network", ""},
    {"mapped-listeners", 0, Effect::list, "mapped_listeners", ""},
    {"socks5", 0, Effect::socks5, "socks5_proxy",
     "a proxy at this port of all addresses of the host, open to whoever reaches it"},
    {"port-forward", 0, Effect::forwards, "port_forward",
     "ports of the host that lead into the mesh, as tcp://127.0.0.1:8080/10.144.1.2:80"},
    {"tcp-whitelist", 0, Effect::more, "tcp_whitelist",
     "TCP ports that callers from the mesh may use, as 80 or 8000-9000; all others are closed",
     false},
    {"udp-whitelist", 0, Effect::more, "udp_whitelist", "likewise for UDP", false},
    {"stun-servers", 0, Effect::more, "stun_servers", ""},
    {"stun-servers-v6", 0, Effect::more, "stun_servers_v6", ""},
    {"secure-mode", 0, Effect::flag, "secure_mode.enabled", ""},
    {"credential-file", 0, Effect::text, "credential_file", ""},
    {"default-protocol", 0, Effect::text, "flags.default_protocol", ""},
    {"multi-thread", 0, Effect::flag, "flags.multi_thread", ""},
    {"multi-thread-count", 0, Effect::text, "flags.multi_thread_count", ""},
    {"tld-dns-zone", 0, Effect::text, "flags.tld_dns_zone", ""},
    {"instance-recv-bps-limit", 0, Effect::text, "flags.instance_recv_bps_limit", ""},
    {"socket-mark", 0, Effect::text, "flags.socket_mark", ""},
    {"bind-device", 0, Effect::boolean, "flags.bind_device", ""},
    {"accept-dns", 0, Effect::boolean, "flags.accept_dns", ""},
    {"enable-exit-node", 0, Effect::flag, "flags.enable_exit_node", ""},
    {"proxy-forward-by-system", 0, Effect::flag, "flags.proxy_forward_by_system", ""},
    {"use-smoltcp", 0, Effect::flag, "flags.use_smoltcp", ""},
    {"p2p-only", 0, Effect::flag, "flags.p2p_only", ""},
    {"lazy-p2p", 0, Effect::flag, "flags.lazy_p2p", ""},
    {"disable-p2p", 0, Effect::flag, "flags.disable_p2p", ""},
    {"need-p2p", 0, Effect::flag, "flags.need_p2p", ""},
    {"disable-udp-hole-punching", 0, Effect::flag, "flags.disable_udp_hole_punching", ""},
    {"disable-tcp-hole-punching", 0, Effect::flag, "flags.disable_tcp_hole_punching", ""},
    {"disable-sym-hole-punching", 0, Effect::flag, "flags.disable_sym_hole_punching", ""},
    {"disable-upnp", 0, Effect::flag, "flags.disable_upnp", ""},
    {"enable-udp-broadcast-relay", 0, Effect::flag, "flags.enable_udp_broadcast_relay", ""},
    {"enable-kcp-proxy", 0, Effect::flag, "flags.enable_kcp_proxy", ""},
    {"disable-kcp-input", 0, Effect::flag, "flags.disable_kcp_input", ""},
    {"disable-relay-kcp", 0, Effect::flag, "flags.disable_relay_kcp", ""},
    {"enable-relay-foreign-network-kcp", 0, Effect::flag, "flags.enable_relay_foreign_network_kcp",
     ""},
    {"enable-quic-proxy", 0, Effect::flag, "flags.enable_quic_proxy", ""},
    {"disable-quic-input", 0, Effect::flag, "flags.disable_quic_input", ""},
    {"disable-relay-quic", 0, Effect::flag, "flags.disable_relay_quic", ""},
    {"enable-relay-foreign-network-quic", 0, Effect::flag,
     "flags.enable_relay_foreign_network_quic", ""},

    {"vpn-portal", 0, Effect::refused, "there is no WireGuard portal", ""},
    {"local-private-key", 0, Effect::refused, "there is no secure mode", ""},
    {"local-public-key", 0, Effect::refused, "there is no secure mode", ""},
    {"credential", 0, Effect::refused, "there are no credentials", ""},
    {"config-server", 'w', Effect::refused, "there is no config server client", ""},
    {"machine-id", 0, Effect::refused, "there is no config server client", ""},
    {"config-dir", 0, Effect::refused, "name the files with -c", ""},
    {"rpc-portal-whitelist", 0, Effect::refused,
     "the portal serves programs of this host (127.0.0.0/8, ::1) only", ""},
    {"file-log-level", 0, Effect::refused, "Selvage logs to stderr", ""},
    {"file-log-dir", 0, Effect::refused, "Selvage logs to stderr", ""},
    {"file-log-size", 0, Effect::refused, "Selvage logs to stderr", ""},
    {"file-log-count", 0, Effect::refused, "Selvage logs to stderr", ""},
    {"daemon", 0, Effect::refused, "Selvage stays in the foreground as long as its instances", "",
     false},
};

constexpr std::string_view kFooter = R"(
Flags win over a file's keys, and every flag has a variable: --network-name is ET_NETWORK_NAME.
Services (proxy, shell) are switched on in the file; see the README.

Examples:
  selvaged -c home.toml
  selvaged -i 10.144.1.1/24 --network-name home --network-secret S -p tcp://relay.example:11010
  selvaged --no-tun -c home.toml        as an ordinary user
  selvaged --check-config -c home.toml  says what is wrong with a file, and where
)";

std::string environment_name(std::string_view flag) {
    std::string out = "ET_";
    for (const char c : flag) {
        out.push_back(c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c));
    }
    return out;
}

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const auto end = text.find(separator);
        if (end != 0) out.emplace_back(text.substr(0, end));
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
    return out;
}

// "flags.mtu": the table of the first part, and the last part.
std::pair<OptionTable*, std::string_view> place_of(OptionTable& root, std::string_view key) {
    const auto dot = key.find('.');
    if (dot == std::string_view::npos) return {&root, key};
    return {&root.table(key.substr(0, dot)), key.substr(dot + 1)};
}

// Gathers what was given, and what is wrong with it.
class Collector {
public:
    explicit Collector(CommandLine& out) : out_(out) {}

    // `values` as given, one per occurrence; an empty one is a bare flag.
    void apply(
        const Flag& flag, const std::vector<std::string>& values, const std::string& origin
    ) {
        const SourcePos at{.line = 0, .column = 0, .option = origin};
        const auto [table, key] =
            place_of(flag.effect == Effect::more ? out_.added : out_.set, flag.key);
        const std::string first = values.empty() ? std::string() : values.front();
        switch (flag.effect) {
            case Effect::text:
                table->set(key, OptionValue(first, at));
                break;
            case Effect::flag:
            case Effect::boolean:
            case Effect::inverted:
                set_boolean(flag, *table, key, first, at);
                break;
            case Effect::empty:
                table->set(key, OptionValue(OptionList{}, at));
                break;
            case Effect::list:
                table->set(key, OptionValue(list_of(values, at), at));
                break;
            case Effect::joined:
                table->set(
                    key, OptionValue(fmt::format("{}", fmt::join(texts_of(values), " ")), at)
                );
                break;
            case Effect::more:
                table->set(key, OptionValue(list_of(values, at), at));
                break;
            case Effect::peers:
                add_tables(flag.key, "uri", values, at);
                break;
            case Effect::networks:
                add_tables(flag.key, "cidr", values, at);
                break;
            case Effect::forwards:
                add_forwards(flag.key, values, at);
                break;
            case Effect::socks5:
                table->set(key, OptionValue("socks5://0.0.0.0:" + first, at));
                break;
            case Effect::refused:
                complain(origin, fmt::format("is not supported yet: {}", flag.key));
                break;
        }
    }

    void complain(const std::string& origin, std::string_view text) {
        mistakes_.push_back(fmt::format("{}: {}", origin, text));
    }
    const std::vector<std::string>& mistakes() const { return mistakes_; }

private:
    static std::vector<std::string> texts_of(const std::vector<std::string>& values) {
        std::vector<std::string> out;
        for (const std::string& value : values) {
            for (std::string& part : split(value, ','))
                out.push_back(std::move(part));
        }
        return out;
    }
    static OptionList list_of(const std::vector<std::string>& values, const SourcePos& at) {
        OptionList list;
        for (std::string& text : texts_of(values))
            list.emplace_back(std::move(text), at);
        return list;
    }

    void set_boolean(
        const Flag& flag, OptionTable& table, std::string_view key, const std::string& text,
        const SourcePos& at
    ) {
        const bool bare_allowed = flag.effect != Effect::boolean && at.option.starts_with("--");
        if (text != "true" && text != "false" && !(text.empty() && bare_allowed)) {
            return complain(at.option, "must be true or false");
        }
        const bool value = text != "false";
        table.set(key, OptionValue(flag.effect == Effect::inverted ? !value : value, at));
    }

    void add_tables(
        std::string_view key, std::string_view inner, const std::vector<std::string>& values,
        const SourcePos& at
    ) {
        for (const std::string& text : texts_of(values)) {
            OptionTable table;
            table.set(inner, OptionValue(text, at));
            out_.added.append(key, OptionValue(std::move(table), at));
        }
    }

    // PROTOCOL://BIND/TARGET, each with its port.
    void add_forwards(
        std::string_view key, const std::vector<std::string>& values, const SourcePos& at
    ) {
        for (const std::string& text : texts_of(values)) {
            const auto scheme = text.find("://");
            const auto slash = scheme == std::string::npos ? scheme : text.find('/', scheme + 3);
            if (slash == std::string::npos) {
                complain(at.option, "must be like tcp://127.0.0.1:8080/10.144.1.2:80");
                continue;
            }
            OptionTable table;
            table.set("proto", OptionValue(text.substr(0, scheme), at));
            table.set("bind_addr", OptionValue(text.substr(scheme + 3, slash - scheme - 3), at));
            table.set("dst_addr", OptionValue(text.substr(slash + 1), at));
            out_.added.append(key, OptionValue(std::move(table), at));
        }
    }

    CommandLine& out_;
    std::vector<std::string> mistakes_;
};

// The options that are about the process and not about the network.
struct ProcessOptions {
    std::vector<std::string> config_files;
    std::string rpc_portal;
    std::string metrics;
    bool metrics_for_all = false;
    std::string log_level;
    std::string socket;
    bool no_realtime = false;
    bool check = false;
    bool no_substitution = false;
    std::string completion;
    bool help = false;
    bool version = false;
};

// CLI11's picture of our tables. Its exceptions end here.
class Parser {
public:
    Parser()
        : app_("A node of an EasyTier mesh with services at its own virtual address.", "selvaged") {
        app_.set_help_flag();
        app_.allow_extras();
        app_.footer(std::string(kFooter));
        app_.add_option(
            "-c,--config-file", process_.config_files, "configuration files; - is standard input"
        );
        app_.add_flag("--check-config", process_.check, "only say what is wrong with the files");
        app_.add_flag(
            "--disable-env-parsing", process_.no_substitution, "leave $NAME in files as it is"
        );
        app_.add_option(
            "--console-log-level,--log-level", process_.log_level,
            "off, error, warn, info (default), debug or trace"
        );
        app_.add_option(
            "-r,--rpc-portal", process_.rpc_portal,
            "also manage over TCP, as 15888 or 127.0.0.1:15888"
        );
        app_.add_option(
            "--metrics-listen", process_.metrics,
            "Prometheus metrics over HTTP, as 9100 or 127.0.0.1:9100"
        );
        app_.add_flag(
            "--metrics-for-all", process_.metrics_for_all,
            "let --metrics-listen be an address that is not of loopback"
        );
        app_.add_flag(
            "--no-realtime", process_.no_realtime,
            "let packets wait for the processor like ordinary programs"
        );
        app_.add_option("--socket", process_.socket, "path of the management socket");
        app_.add_option(
            "--gen-autocomplete", process_.completion,
            "print a completion script for bash, zsh or fish"
        );
        app_.add_flag("-h,--help", process_.help, "this text");
        app_.add_flag("-V,--version", process_.version, "the version");
        for (const Flag& flag : kFlags) {
            add(flag);
        }
    }

    Result<> parse(std::vector<std::string> arguments) {
        std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
        try {
            app_.parse(std::move(arguments));
        } catch (const CLI::ParseError& error) {
            return Error(Errc::bad_argument, error.what());
        }
        return {};
    }

    const ProcessOptions& process() const { return process_; }
    std::string help() { return app_.help(); }
    std::string completion(Shell shell) const {
        return build_completion(shell, describe_app(app_));
    }
    std::vector<std::string> extras() const { return app_.remaining(); }
    bool given(std::size_t flag) const { return options_[flag]->count() > 0; }
    bool given(const std::string& name) { return app_.get_option(name)->count() > 0; }
    const std::vector<std::string>& values(std::size_t flag) const {
        return options_[flag]->results();
    }

private:
    void add(const Flag& flag) {
        std::string names = fmt::format("--{}", flag.name);
        if (flag.letter != 0) names = fmt::format("-{},{}", flag.letter, names);
        values_.push_back(std::make_unique<std::vector<std::string>>());
        auto* option = app_.add_option(names, *values_.back(), std::string(flag.help));
        switch (flag.effect) {
            case Effect::flag:
            case Effect::inverted:
                option->expected(0, 1);
                break;
            case Effect::refused:
                option->expected(0, -1);
                break;
            case Effect::empty:
                option->expected(0);
                break;
            case Effect::text:
            case Effect::boolean:
            case Effect::socks5:
                option->expected(1);
                break;
            case Effect::list:
            case Effect::more:
            case Effect::peers:
            case Effect::networks:
            case Effect::forwards:
            case Effect::joined:
                break;  // any number
        }
        option->group(flag.help.empty() ? "" : "Network");
        options_.push_back(option);
    }

    CLI::App app_;
    ProcessOptions process_;
    std::vector<std::unique_ptr<std::vector<std::string>>> values_;
    std::vector<CLI::Option*> options_;  // as kFlags
};

// The nearest flag to one that nobody knows.
std::string unknown_flag(const std::string& given) {
    std::vector<std::string> names = {
        "config-file", "check-config", "disable-env-parsing", "console-log-level",
        "log-level",   "rpc-portal",   "metrics-listen",      "metrics-for-all",
        "no-realtime", "socket",       "gen-autocomplete",    "help",
        "version"
    };
    for (const Flag& flag : kFlags)
        names.emplace_back(flag.name);
    const std::string shown = printable(given.substr(0, given.find('=')), 64);
    if (!given.starts_with("--")) return fmt::format("{}: is not expected here", shown);
    const std::string near = nearest_name(shown.substr(2), names);
    if (near.empty()) return fmt::format("{}: there is no such option; see --help", shown);
    return fmt::format("{}: there is no such option; did you mean --{}?", shown, near);
}

// An option's value, or that of its variable.
std::string value_or_variable(
    const std::string& value, std::string_view flag, const Environment& environment
) {
    if (!value.empty()) return value;
    return environment(environment_name(flag)).value_or("");
}

// Whoever may connect reads the numbers: addresses that others reach must be meant.
void read_metrics_option(
    const ProcessOptions& given, const Environment& environment, CommandLine& out,
    Collector& collector
) {
    const auto text = value_or_variable(given.metrics, "metrics-listen", environment);
    if (text.empty()) return;
    out.metrics = parse_local_endpoint(text);
    if (!out.metrics) {
        collector.complain("--metrics-listen", "must be a port or an address with one");
    } else if (!out.metrics->address.is_loopback() && !given.metrics_for_all) {
        collector.complain(
            "--metrics-listen",
            "is not on loopback: everybody who reaches it could read the metrics; if that is "
            "meant, add --metrics-for-all"
        );
    }
}

void read_process_options(
    const ProcessOptions& given, const Environment& environment, CommandLine& out,
    Collector& collector
) {
    out.config_files = given.config_files;
    if (out.config_files.empty()) {
        if (const auto files = environment("ET_CONFIG_FILE")) out.config_files = split(*files, ',');
    }
    out.environment_in_files = !given.no_substitution;
    if (environment("ET_DISABLE_ENV_PARSING").value_or("false") == "true") {
        out.environment_in_files = false;
    }
    out.realtime = !given.no_realtime && environment("ET_NO_REALTIME").value_or("false") != "true";
    out.socket = value_or_variable(given.socket, "socket", environment);
    const auto portal = value_or_variable(given.rpc_portal, "rpc-portal", environment);
    if (!portal.empty()) {
        out.rpc_portal = parse_local_endpoint(portal);
        if (!out.rpc_portal) {
            collector.complain("--rpc-portal", "must be a port or an address with one");
        }
    }
    read_metrics_option(given, environment, out, collector);
    const auto level = value_or_variable(given.log_level, "console-log-level", environment);
    if (!level.empty()) {
        const auto parsed = parse_log_level(level);
        if (parsed) {
            out.log_level = *parsed;
        } else {
            collector.complain(
                "--console-log-level", "must be off, error, warn, info, debug or trace"
            );
        }
    }
}

void merge_into(OptionTable& document, const OptionTable& from) {
    for (const auto& entry : from.entries()) {
        OptionValue* old = document.find(entry.key);
        const auto* inner = entry.value.get<OptionTable>();
        if (old != nullptr && old->get<OptionTable>() != nullptr && inner != nullptr) {
            merge_into(*old->get<OptionTable>(), *inner);
        } else {
            document.set(entry.key, entry.value);
        }
    }
}

}  // namespace

Result<CommandLine> parse_command_line(
    const std::vector<std::string>& arguments, const Environment& environment
) {
    CommandLine out;
    Collector collector(out);
    Parser parser;
    auto parsed = parser.parse(arguments);
    if (!parsed) return parsed.error();
    for (const std::string& extra : parser.extras()) {
        return Error(Errc::bad_argument, unknown_flag(extra));
    }
    if (parser.process().help) {
        out.action = Action::show_help;
        out.text = parser.help();
        return out;
    }
    if (const std::string& name = parser.process().completion; !name.empty()) {
        const auto shell = parse_shell(name);
        if (!shell) return shell.error().with("--gen-autocomplete");
        out.action = Action::show_completion;
        out.text = parser.completion(*shell);
        return out;
    }
    if (parser.process().version) {
        out.action = Action::show_version;
        out.text = fmt::format("selvaged {}\n", kVersion);
        return out;
    }
    if (parser.process().check) out.action = Action::check_config;
    read_process_options(parser.process(), environment, out, collector);
    for (std::size_t i = 0; i < std::size(kFlags); ++i) {
        const Flag& flag = kFlags[i];
        if (parser.given(i)) {
            collector.apply(flag, parser.values(i), fmt::format("--{}", flag.name));
        } else if (flag.in_environment) {
            const std::string name = environment_name(flag.name);
            if (const auto value = environment(name)) collector.apply(flag, {*value}, name);
        }
    }
    if (!collector.mistakes().empty()) {
        return Error(Errc::bad_argument, fmt::format("{}", fmt::join(collector.mistakes(), "\n")));
    }
    return out;
}

OptionTable merge(OptionTable document, const CommandLine& command_line) {
    merge_into(document, command_line.set);
    for (const auto& entry : command_line.added.entries()) {
        for (const OptionValue& item : *entry.value.get<OptionList>()) {
            document.append(entry.key, item);
        }
    }
    // A secret alone belongs to the network of the default name.
    if (OptionValue* network = document.find("network_identity")) {
        auto* table = network->get<OptionTable>();
        if (table != nullptr && table->find("network_name") == nullptr &&
            command_line.set.find("network_identity") != nullptr) {
            table->set("network_name", OptionValue(std::string("default"), network->at()));
        }
    }
    return document;
}

}  // namespace selvage::config
