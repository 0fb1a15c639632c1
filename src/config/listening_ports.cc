// The reference's SOCKS5 proxy, and listeners that are in each other's way.
#include "config/listening_ports.h"

#include <algorithm>

#include "base/log.h"

namespace selvage::config {
namespace {

struct Listener {
    std::string owner;     // "service proxy"
    std::string_view key;  // of the document, for the position of the problem
    bool udp = false;
    bool mesh = false;
    Endpoint at;  // the address is unspecified in the mesh
};

void add_services(const NodeOptions& options, std::vector<Listener>& out) {
    for (const edge::ServiceOptions& service : options.services) {
        if (!service.enabled) continue;
        const std::string owner = fmt::format("service {}", service.spec->name);
        const Listener listener{.owner = owner, .key = "service", .at = {}};
        if (service.serves_mesh()) {
            out.push_back(listener);
            out.back().mesh = true;
            out.back().at.port = service.port;
        }
        if (service.listen_host) {
            out.push_back(listener);
            out.back().at = *service.listen_host;
        }
    }
}

void add_forwards(const NodeOptions& options, std::vector<Listener>& out) {
    for (const edge::ForwardOptions& forward : options.forwards) {
        out.push_back(
            {.owner = fmt::format("the forward to {}", printable(forward.to.to_string())),
             .key = forward.open_to_all ? "port_forward" : "forward",
             .udp = forward.udp,
             .mesh = forward.from == edge::Origin::mesh,
             .at = forward.listen}
        );
    }
}

bool collide(const Listener& a, const Listener& b) {
    if (a.udp != b.udp || a.mesh != b.mesh || a.at.port != b.at.port) return false;
    if (a.mesh || a.at.address == b.at.address) return true;
    const bool same_family = a.at.address.is_v4() == b.at.address.is_v4();
    return same_family && (a.at.address.is_unspecified() || b.at.address.is_unspecified());
}

}  // namespace

void read_socks5_proxy(OptionReader& document, NodeOptions& options) {
    constexpr std::string_view kKey = "socks5_proxy";
    if (document.take(kKey) == nullptr) return;
    // As in the reference: an address is required, the scheme may be any.
    std::string text = document.text(kKey, "");
    if (const auto scheme = text.find("://"); scheme != std::string::npos) {
        text.erase(0, scheme + 3);
    }
    if (text.ends_with('/')) text.pop_back();
    const auto at = Endpoint::parse(text);
    if (!at || at->port == 0) {
        return document.problem(kKey, "must be an address with a port: \"socks5://0.0.0.0:1080\"");
    }
    const auto proxy = std::ranges::find(options.services, "proxy", [](const auto& service) {
        return service.spec->name;
    });
    if (proxy->listen_host) {
        return document.problem(kKey, "service.proxy has a `listen_host` already: leave one out");
    }
    proxy->enabled = true;
    proxy->listen_host = *at;
    proxy->host_is_open = true;
}

void check_ports(OptionReader& document, const NodeOptions& options) {
    std::vector<Listener> all;
    add_services(options, all);
    add_forwards(options, all);
    for (auto a = all.begin(); a != all.end(); ++a) {
        const auto b =
            std::find_if(all.begin(), a, [a](const Listener& each) { return collide(each, *a); });
        if (b == a) continue;
        const std::string where =
            a->mesh ? fmt::format("port {}", a->at.port) : fmt::format("{} of the host", a->at);
        document.problem(a->key, fmt::format("{} and {} both want {}", b->owner, a->owner, where));
    }
}

}  // namespace selvage::config
