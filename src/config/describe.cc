// Writes options back, secrets excepted.
#include "config/describe.h"

#include <fmt/format.h>

#include "config/quoted.h"
#include "config/read_acl.h"

namespace selvage::config {
std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20 || byte == 0x7f) {
            out += fmt::format("\\u{:04x}", byte);
        } else {
            out += c;
        }
    }
    return out + "\"";
}

std::string quoted_list(const std::vector<std::string>& texts) {
    std::string out;
    for (const std::string& text : texts) {
        if (!out.empty()) out += ", ";
        out += quoted(text);
    }
    return "[" + out + "]";
}

namespace {

template <class T>
std::vector<std::string> texts_of(const std::vector<T>& values) {
    std::vector<std::string> out;
    out.reserve(values.size());
    for (const T& value : values)
        out.push_back(value.to_string());
    return out;
}

void describe_service(const edge::ServiceOptions& service, std::string& out) {
    if (!service.enabled) return;
    std::vector<std::string> allow;
    for (const edge::AllowRule& rule : service.allow.rules()) {
        allow.push_back(edge::to_text(rule));
    }
    out += fmt::format(
        "\n[service.{}]\nenabled = true\nport = {}\n", service.spec->name, service.port
    );
    out += fmt::format("allow = {}\n", quoted_list(allow));
    if (service.listen_host) {
        out += fmt::format("listen_host = {}\n", quoted(service.listen_host->to_string()));
    }
}

void describe_whitelist(
    std::string_view key, const std::vector<dataplane::PortRange>& ports, std::string& out
) {
    if (ports.empty()) return;
    std::vector<std::string> texts;
    texts.reserve(ports.size());
    for (const dataplane::PortRange& range : ports)
        texts.push_back(range.to_string());
    out += fmt::format("{} = {}\n", key, quoted_list(texts));
}

}  // namespace

std::string describe(const NodeOptions& options) {
    std::string out = fmt::format("instance_name = {}\n", quoted(options.instance_name));
    if (!options.hostname.empty()) {
        out += fmt::format("hostname = {}\n", quoted(options.hostname));
    }
    if (options.instance_id) {
        out += fmt::format("instance_id = {}\n", quoted(options.instance_id->to_string()));
    }
    if (const auto& ipv4 = options.addresses.ipv4) {
        out += fmt::format("ipv4 = {}\n", quoted(ipv4->to_string()));
    }
    if (const auto& ipv6 = options.addresses.ipv6) {
        out += fmt::format("ipv6 = {}\n", quoted(ipv6->to_string()));
    }
    if (options.dhcp) out += "dhcp = true\n";
    if (options.routes) out += fmt::format("routes = {}\n", quoted_list(texts_of(*options.routes)));
    if (!options.exit_nodes.empty()) {
        out += fmt::format("exit_nodes = {}\n", quoted_list(texts_of(options.exit_nodes)));
    }
    std::vector<std::string> listeners;
    listeners.reserve(options.listeners.size());
    for (const tunnel::Url& url : options.listeners)
        listeners.push_back(url.to_string());
    out += fmt::format("listeners = {}\n", quoted_list(listeners));
    describe_whitelist("tcp_whitelist", options.acl.tcp_whitelist, out);
    describe_whitelist("udp_whitelist", options.acl.udp_whitelist, out);
    out += fmt::format("\n[network_identity]\nnetwork_name = {}\n", quoted(options.network_name));
    for (const tunnel::Url& url : options.peers) {
        out += fmt::format("\n[[peer]]\nuri = {}\n", quoted(url.to_string()));
    }
    out += fmt::format(
        "\n[flags]\nno_tun = {}\ndev_name = {}\nmtu = {}\nenable_encryption = {}\n"
        "encryption_algorithm = {}\nenable_ipv6 = {}\nlatency_first = {}\n"
        "data_compress_algo = {}\ndisable_relay_data = {}\nrelay_network_whitelist = {}\n"
        "relay_all_peer_rpc = {}\nprivate_mode = {}\n",
        options.no_tun, quoted(options.dev_name), options.mtu, options.enable_encryption,
        quoted(crypto::cipher_name(options.encryption_algorithm)), options.enable_ipv6,
        options.latency_first, quoted(options.compress_data ? "Zstd" : "None"),
        options.disable_relay_data, quoted(options.relay_network_whitelist),
        options.relay_all_peer_rpc, options.private_mode
    );
    if (options.foreign_relay_bps_limit) {
        out += fmt::format("foreign_relay_bps_limit = {}\n", *options.foreign_relay_bps_limit);
    }
    for (const edge::ServiceOptions& service : options.services)
        describe_service(service, out);
    out += describe_acl(options.acl);
    return out;
}

}  // namespace selvage::config
