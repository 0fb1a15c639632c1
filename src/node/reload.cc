// Takes a new configuration while the node runs.
//
// What can fail and be undone comes first: when a listener cannot be bound, nothing has changed.
// After that each group of keys goes to the module that it configures. What needs a restart keeps
// its old value here as well, so that the next reload says it again.
#include "node/reload.h"

#include "node/node.h"

namespace selvage::node {

Result<ReloadReport> Node::reload(config::NodeOptions fresh) {
    ReloadReport report{.changes = config::plan_reload(options_, fresh), .failures = {}};
    const auto changes = [&report](std::string_view key) {
        return config::changes_key(report.changes, key);
    };
    if (changes("listeners")) {
        auto listening = listeners_.configure(fresh.listeners);
        if (!listening) return std::move(listening).error().with("listeners");
        options_.listeners = std::move(fresh.listeners);
    }
    if (changes("peer")) {
        connectors_.configure(fresh.peers);
        options_.peers = std::move(fresh.peers);
    }
    if (changes("hostname")) {
        options_.hostname = std::move(fresh.hostname);
        rename();
    }
    if (changes("flags.latency_first")) {
        options_.latency_first = fresh.latency_first;
        forwarder_.set_latency_first(fresh.latency_first);
    }
    if (changes("acl") || changes("tcp_whitelist") || changes("udp_whitelist")) {
        options_.acl = std::move(fresh.acl);
        apply_acl(options_.acl);
    }
    if (changes("service") || changes("socks5_proxy")) {
        auto served = services_.apply(fresh.services);
        if (!served) report.failures.push_back(served.error().message());
        options_.services = std::move(fresh.services);
    }
    if (changes("forward") || changes("port_forward")) {
        auto forwarded = forwards_.apply(fresh.forwards);
        if (!forwarded) report.failures.push_back(forwarded.error().message());
        options_.forwards = std::move(fresh.forwards);
    }
    config::keep_running_values(report.changes, options_.document, fresh.document);
    options_.document = std::move(fresh.document);
    return report;
}

void Node::rename() {
    host_name_ = config::clean_hostname(
        options_.hostname.empty() ? environment_.host_name : options_.hostname
    );
    route::OwnNode own = routes_.own();
    own.hostname = host_name_;
    routes_.set_own(std::move(own));
}

}  // namespace selvage::node
