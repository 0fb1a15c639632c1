// The keys of EasyTier that we serve, and our own.
#include "config/read_options.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/log.h"
#include "config/listening_ports.h"
#include "config/local_endpoint.h"
#include "config/read_acl.h"
#include "config/reference_keys.h"

namespace selvage::config {
namespace {

constexpr std::size_t kHostnameMax = 32;    // characters; what the reference cuts to
constexpr std::size_t kDeviceNameMax = 15;  // the kernel's limit
constexpr std::size_t kNetworkNameMax = 255;
constexpr std::size_t kWhitelistMax = 16 * 1024;
constexpr std::size_t kInstanceNameMax = 64;
// IPv4 needs 576; a buffer block has room for 1,500 and every header around it.
constexpr std::int64_t kMtuLeast = 576;
constexpr std::int64_t kMtuMost = 1500;
constexpr unsigned kMtuLeast6 = 1280;  // what a link for IPv6 must carry

// As in a message: `true`, `7`, `"text"`.
std::string value_text(const OptionValue& value) {
    if (const auto* flag = value.get<bool>()) return *flag ? "true" : "false";
    if (const auto* number = value.get<std::int64_t>()) return fmt::format("{}", *number);
    if (const auto* text = value.get<std::string>()) return printable(*text, 64);
    return "...";
}

bool is_off(const OptionValue& value) {
    if (const auto* flag = value.get<bool>()) return !*flag;
    if (const auto* text = value.get<std::string>()) return text->empty();
    if (const auto* list = value.get<OptionList>()) return list->empty();
    if (const auto* table = value.get<OptionTable>()) return table->empty();
    return false;
}

bool listed(std::string_view accepted, std::string_view value) {
    if (accepted == "*") return true;
    for (;;) {
        const auto bar = accepted.find('|');
        if (accepted.substr(0, bar) == value) return true;
        if (bar == std::string_view::npos) return false;
        accepted.remove_prefix(bar + 1);
    }
}

bool has_type(const OptionValue& value, FlagType type) {
    const bool is_number = value.get<std::int64_t>() != nullptr;
    const bool is_text = value.get<std::string>() != nullptr;
    switch (type) {
        case FlagType::boolean:
            return value.get<bool>() != nullptr;
        case FlagType::number: {
            if (is_number) return true;
            const auto* text = value.get<std::string>();
            return text != nullptr && !text->empty() &&
                   std::all_of(text->begin(), text->end(), [](char c) {
                       return c >= '0' && c <= '9';
                   });
        }
        case FlagType::text:
            return is_text || is_number;
    }
    return false;
}

// [flags] allows camelCase beside snake_case; from here on there is only snake_case.
OptionTable in_snake_case(const OptionTable& table) {
    OptionTable out;
    for (const auto& entry : table.entries()) {
        std::string key;
        for (const char c : entry.key) {
            if (c >= 'A' && c <= 'Z') {
                key.push_back('_');
                key.push_back(static_cast<char>(c - 'A' + 'a'));
            } else {
                key.push_back(c);
            }
        }
        out.set(key, entry.value);
    }
    return out;
}

// By name or, as in the reference's own files, by number.
void read_compression(OptionReader& in, NodeOptions& options) {
    const OptionValue* value = in.take("data_compress_algo");
    if (value == nullptr) return;
    const std::string name = value_text(*value);
    if (!has_type(*value, FlagType::text) || !listed("None|none|1|Zstd|zstd|2", name)) {
        in.problem("data_compress_algo", "must be \"None\" or \"Zstd\"");
        return;
    }
    options.compress_data = listed("Zstd|zstd|2", name);
}

// What we do for other networks.
void read_foreign(OptionReader& in, NodeOptions& options) {
    if (const OptionValue* value = in.take("relay_network_whitelist")) {
        const auto* text = value->get<std::string>();
        if (text == nullptr || text->size() > kWhitelistMax) {
            in.problem(
                "relay_network_whitelist", "must be text: patterns of names, separated by spaces"
            );
        } else {
            options.relay_network_whitelist = *text;
        }
    }
    options.relay_all_peer_rpc = in.boolean("relay_all_peer_rpc", options.relay_all_peer_rpc);
    options.private_mode = in.boolean("private_mode", options.private_mode);
    const OptionValue* value = in.take("foreign_relay_bps_limit");
    if (value == nullptr) return;
    // The reference's "no limit" does not fit into TOML's integers, so it may be in quotes.
    const auto* text = value->get<std::string>();
    const std::string digits = text == nullptr ? value_text(*value) : *text;
    std::uint64_t limit = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), limit);
    if (error != std::errc() || end != digits.data() + digits.size() || digits.empty()) {
        in.problem("foreign_relay_bps_limit", "must be a number of bytes a second");
    } else if (limit != std::numeric_limits<std::uint64_t>::max()) {
        options.foreign_relay_bps_limit = limit;
    }
}

void read_flags(
    const OptionTable& table, const SourcePos& at, NodeOptions& options,
    std::vector<OptionProblem>& problems
) {
    const OptionTable snake = in_snake_case(table);
    OptionReader in(snake, "flags", at, problems);
    options.no_tun = in.boolean("no_tun", options.no_tun);
    options.dev_name = in.text("dev_name", "");
    if (options.dev_name.size() > kDeviceNameMax ||
        options.dev_name.find_first_of("/ \t") != std::string::npos) {
        in.problem("dev_name", "must have at most 15 characters, without spaces or slashes");
    }
    options.mtu = static_cast<unsigned>(in.integer("mtu", options.mtu, kMtuLeast, kMtuMost));
    options.enable_encryption = in.boolean("enable_encryption", options.enable_encryption);
    options.enable_ipv6 = in.boolean("enable_ipv6", options.enable_ipv6);
    options.latency_first = in.boolean("latency_first", options.latency_first);
    options.disable_relay_data = in.boolean("disable_relay_data", options.disable_relay_data);
    read_compression(in, options);
    read_foreign(in, options);
    const std::string cipher = in.text("encryption_algorithm", "aes-gcm");
    if (auto algorithm = crypto::cipher_from_name(cipher)) {
        options.encryption_algorithm = *algorithm;
    } else {
        in.problem(
            "encryption_algorithm",
            fmt::format(
                "\"{}\" is not one of: aes-gcm, aes-256-gcm, chacha20, xor", printable(cipher, 32)
            )
        );
    }
    for (const FlagRule& rule : flag_rules()) {
        const OptionValue* value = in.take(rule.key);
        if (value == nullptr) continue;
        if (!has_type(*value, rule.type)) {
            in.problem(rule.key, fmt::format("has the wrong type: {}", value->kind()));
        } else if (!listed(rule.accepted, value_text(*value))) {
            in.problem(
                rule.key,
                fmt::format(
                    "`{} = {}` is not supported yet: {}", rule.key, value_text(*value), rule.why
                )
            );
        }
    }
    in.finish();
}

void read_network(OptionReader& document, NodeOptions& options) {
    const OptionTable* table = document.table("network_identity");
    if (table == nullptr) return;
    OptionReader in(
        *table, "network_identity", document.position_of("network_identity"), document.problems()
    );
    if (table->find("network_name") == nullptr) {
        in.problem("network_name", "is missing: every network has a name");
        in.take("network_name");
    } else {
        options.network_name = in.text("network_name", options.network_name);
        if (options.network_name.empty() || options.network_name.size() > kNetworkNameMax) {
            in.problem("network_name", "must have 1 to 255 bytes");
        }
    }
    options.network_secret = crypto::SecretText(in.text("network_secret", ""));
    in.finish();
}

void read_address(OptionReader& in, NodeOptions& options) {
    const std::string text = in.text("ipv4", "");
    if (text.empty()) return;
    const auto parsed = Prefix::parse(text, 24);
    if (!parsed || !parsed->address.is_v4()) {
        in.problem("ipv4", "must be an IPv4 address with its network, as \"10.144.1.1/24\"");
        return;
    }
    Prefix address = *parsed;
    // What a /32 means to the reference: somebody forgot the network.
    if (address.length == 32) address.length = 24;
    const IpAddress& own = address.address;
    const bool network_end =
        address.length < 31 && (own == address.network() || own == address.last());
    if (own.is_unspecified() || own.is_loopback() || own.is_multicast() ||
        own.is_limited_broadcast() || network_end || address.length == 0) {
        in.problem("ipv4", fmt::format("{} cannot be the address of a node", address));
        return;
    }
    options.addresses.ipv4 = address;
}

void read_address6(OptionReader& in, NodeOptions& options) {
    const std::string text = in.text("ipv6", "");
    if (text.empty()) return;
    const auto parsed = Prefix::parse(text);
    if (!parsed || !parsed->address.is_v6()) {
        in.problem("ipv6", "must be an IPv6 address with its network, as \"fd00::1/64\"");
        return;
    }
    const IpAddress& own = parsed->address;
    // The all-zero host part is the routers' anycast address (RFC 4291, section 2.6.1).
    const bool anycast = parsed->length < 127 && own == parsed->network();
    if (own.is_unspecified() || own.is_loopback() || own.is_multicast() || own.is_link_local() ||
        own.unmapped().is_v4() || anycast || parsed->length == 0) {
        in.problem("ipv6", fmt::format("{} cannot be the address of a node", *parsed));
        return;
    }
    options.addresses.ipv6 = *parsed;
}

// A network without host bits, as stock nodes demand.
void read_routes(OptionReader& in, NodeOptions& options) {
    std::vector<Prefix> routes;
    for (const auto& [text, at] : in.texts("routes")) {
        const auto network = Prefix::parse(text);
        if (network && !network->has_host_bits()) {
            routes.push_back(*network);
        } else {
            in.problem("routes", at, "must be a network without host bits, as \"10.9.0.0/16\"");
        }
    }
    if (in.take("routes") != nullptr) options.routes = std::move(routes);
}

void read_exit_nodes(OptionReader& in, NodeOptions& options) {
    for (const auto& [text, at] : in.texts("exit_nodes")) {
        if (const auto address = IpAddress::parse(text)) {
            options.exit_nodes.push_back(*address);
        } else {
            in.problem("exit_nodes", at, "must be a virtual address, as \"10.144.1.1\"");
        }
    }
}

void read_listeners(OptionReader& in, NodeOptions& options) {
    for (const auto& [text, at] : in.texts("listeners")) {
        auto urls = tunnel::listener_urls(text);
        if (!urls) {
            in.problem("listeners", at, urls.error().message());
            continue;
        }
        options.listeners.insert(options.listeners.end(), urls->begin(), urls->end());
    }
}

void read_peers(OptionReader& document, NodeOptions& options) {
    for (const auto& [table, at] : document.tables("peer")) {
        OptionReader in(*table, "peer", at, document.problems());
        const std::string text = in.text("uri", "");
        if (table->find("uri") == nullptr) {
            in.problem("uri", at, "is missing: write uri = \"tcp://host:11010\"");
        } else if (auto url = tunnel::Url::parse(text); !url) {
            in.problem("uri", url.error().message());
        } else if (auto known = tunnel::listener_urls(text); !known) {
            in.problem("uri", known.error().message());  // a scheme that this build does not have
        } else {
            options.peers.push_back(std::move(*url));
        }
        if (in.take("peer_public_key") != nullptr) {
            in.problem("peer_public_key", "is not supported yet: there is no secure mode");
        }
        in.finish();
    }
}

void read_instance(OptionReader& in, NodeOptions& options) {
    options.instance_name = in.text("instance_name", options.instance_name);
    if (options.instance_name.empty() || options.instance_name.size() > kInstanceNameMax) {
        in.problem("instance_name", "must have 1 to 64 characters");
    }
    options.hostname = clean_hostname(in.text("hostname", ""));
    if (in.take("instance_id") != nullptr) {
        if (auto id = Uuid::parse(in.text("instance_id", ""))) {
            options.instance_id = *id;
        } else {
            in.problem("instance_id", "must be a UUID");
        }
    }
}

void read_services(OptionReader& document, NodeOptions& options) {
    const OptionTable* table = document.table("service");
    std::vector<std::string> names;
    for (const edge::ServiceSpec* spec : edge::service_table()) {
        names.emplace_back(spec->name);
        const OptionValue* value = table == nullptr ? nullptr : table->find(spec->name);
        const OptionTable* own = value == nullptr ? nullptr : value->get<OptionTable>();
        if (own != nullptr) {
            options.services.push_back(
                edge::read_service_options(*spec, *own, value->at(), document.problems())
            );
            continue;
        }
        options.services.push_back(edge::default_options(*spec));
        if (value == nullptr) continue;
        document.problems().push_back(
            {value->at(), fmt::format("service.{}", spec->name), "must be a table of options"}
        );
    }
    if (table == nullptr) return;
    for (const auto& entry : table->entries()) {
        if (edge::find_service(entry.key) != nullptr) continue;
        const std::string near = nearest_name(entry.key, names);
        document.problems().push_back(
            {entry.value.at(), fmt::format("service.{}", printable(entry.key, 64)),
             near.empty() ? fmt::format("is no service; there are: {}", fmt::join(names, ", "))
                          : fmt::format("is no service; did you mean `{}`?", near)}
        );
    }
}

void read_metrics(OptionReader& document, NodeOptions& options) {
    const OptionTable* table = document.table("metrics");
    if (table == nullptr) return;
    OptionReader in(
        *table, document.path_of("metrics"), document.position_of("metrics"), document.problems()
    );
    const std::string listen = in.text("listen", "");
    const bool for_all = in.boolean("for_all", false);
    in.finish();
    if (listen.empty()) return;
    options.metrics = parse_local_endpoint(listen);
    if (!options.metrics) {
        in.problem("listen", "must be a port or an address with one, as \"127.0.0.1:9100\"");
    } else if (!options.metrics->address.is_loopback() && !for_all) {
        in.problem(
            "listen",
            "is not on loopback: everybody who reaches it could read the metrics; if that is "
            "meant, set for_all = true"
        );
    }
}

// What is the reference's and not served: accepted only where it is off.
void refuse_unsupported(OptionReader& in) {
    for (const DocumentRule& rule : document_rules()) {
        const OptionValue* value = in.take(rule.key);
        if (value == nullptr || is_off(*value)) continue;
        in.problem(rule.key, fmt::format("`{}` is not supported yet: {}", rule.key, rule.why));
    }
    if (const OptionTable* secure = in.table("secure_mode")) {
        const OptionValue* enabled = secure->find("enabled");
        if (enabled == nullptr || !is_off(*enabled)) {
            in.problem("secure_mode", "`secure_mode` is not supported yet");
        }
    }
    if (const OptionTable* source = in.table("source")) {
        const OptionValue* owner = source->find("source");
        const auto* text = owner == nullptr ? nullptr : owner->get<std::string>();
        if (text == nullptr || *text != "user") {
            in.problem("source", "`source` is not supported yet but with the value \"user\"");
        }
    }
}

// For comparing with a later one: one spelling of [flags], and no secret, which would be kept
// without being wiped.
OptionTable comparable(OptionTable document) {
    if (OptionValue* flags = document.find("flags")) {
        if (auto* table = flags->get<OptionTable>()) *table = in_snake_case(*table);
    }
    if (OptionValue* identity = document.find("network_identity")) {
        if (auto* table = identity->get<OptionTable>()) table->erase("network_secret");
    }
    remove_group_secrets(document);
    return document;
}

}  // namespace

std::string clean_hostname(std::string_view text) {
    std::string out;
    std::size_t characters = 0;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) continue;
        const bool continues = (byte & 0xc0) == 0x80;
        if (!continues && ++characters > kHostnameMax) break;
        out.push_back(c);
    }
    return out;
}

NodeOptions read_options(const OptionTable& document, std::vector<OptionProblem>& problems) {
    NodeOptions options;
    options.document = comparable(document);
    OptionReader in(document, "", {}, problems);
    read_instance(in, options);
    read_network(in, options);
    read_address(in, options);
    read_address6(in, options);
    options.dhcp = in.boolean("dhcp", options.dhcp);
    if (options.dhcp) options.addresses.ipv4.reset();
    read_routes(in, options);
    read_exit_nodes(in, options);
    read_listeners(in, options);
    read_peers(in, options);
    if (const OptionTable* flags = in.table("flags")) {
        read_flags(*flags, in.position_of("flags"), options, problems);
    }
    if (options.addresses.ipv6 && options.effective_mtu() < kMtuLeast6) {
        in.problem("ipv6", fmt::format("needs an MTU of {} (RFC 8200); set flags.mtu", kMtuLeast6));
    }
    options.acl = read_acl(in);
    read_services(in, options);
    read_socks5_proxy(in, options);
    options.forwards = edge::read_forwards(in);
    check_ports(in, options);
    read_metrics(in, options);
    refuse_unsupported(in);
    in.finish();
    return options;
}

}  // namespace selvage::config
