// Builds and ends nodes on simulated hosts.
#include "selvage_host.h"

#include <gtest/gtest.h>

#include "edge/service.h"

namespace selvage::sim {

SelvageHost::SelvageHost(World& world, SelvageOptions options)
    : world_(world), options_(std::move(options)), host_(world.add_host(options_.name)) {
    if (!options_.address.empty()) address_ = Prefix::parse(options_.address).value();
    host_.terminals().add_account("ops");
    if (options_.tun) kernel_ = std::make_unique<KernelStack>(host_);
    if (!options_.watched) return;
    world_.add_checker(options_.name, [this] {
        return invariants_ ? invariants_->check() : std::string();
    });
}

SelvageHost::~SelvageHost() {
    end_node();
    kernel_.reset();
    world_.remove_checker(options_.name);
    if (!world_.violations().empty()) ADD_FAILURE() << world_.violations().front();
}

config::NodeOptions SelvageHost::node_options() const {
    config::NodeOptions out;
    out.hostname = options_.name;
    out.network_name = options_.network;
    out.network_secret = crypto::SecretText(options_.secret);
    if (!options_.address.empty()) out.addresses.ipv4 = address_;
    if (!options_.address6.empty()) out.addresses.ipv6 = Prefix::parse(options_.address6).value();
    for (const char* listener : {"tcp://0.0.0.0:11010", "udp://0.0.0.0:11010"})
        out.listeners.push_back(tunnel::Url::parse(listener).value());
    for (const std::string& peer : options_.peers)
        out.peers.push_back(tunnel::Url::parse(peer).value());
    out.dhcp = options_.dhcp;
    out.no_tun = !options_.tun;
    out.enable_encryption = options_.encryption;
    out.latency_first = options_.latency_first;
    out.disable_relay_data = !options_.relays_data;
    for (const edge::ServiceSpec* spec : edge::service_table()) {
        edge::ServiceOptions service = edge::default_options(*spec);
        service.enabled = !options_.allow.empty();
        for (const std::string& rule : options_.allow)
            service.allow.add(edge::AllowList::parse_rule(rule).value());
        if (spec->name == "shell") {
            service.own.set("auth", OptionValue(std::string("mesh"), {}));
            service.own.set("account", OptionValue(std::string("ops"), {}));
        }
        out.services.push_back(std::move(service));
    }
    if (options_.adjust) options_.adjust(out);
    return out;
}

void SelvageHost::start() {
    ASSERT_FALSE(node_);
    host_.power_on();
    node_ = std::make_unique<node::Node>(
        node_options(), node::NodeEnvironment{
                            .runtime = host_.runtime(),
                            .pool = host_.pool(),
                            .sockets = host_,
                            .tuns = &host_.tun(),
                            .terminals = &host_.terminals(),
                            .host_name = host_.name(),
                            .host_addresses = [this] { return host_.addresses(); },
                            .fill_random = [this](MutableByteView out) { host_.fill_random(out); },
                            .log = host_.log(),
                        }
    );
    const auto started = world_.run(node_->start());
    EXPECT_TRUE(started) << options_.name << ": " << started.error().message();
    invariants_ = std::make_unique<NodeInvariants>(*node_, host_.pool());
}

void SelvageHost::end_node() {
    if (!node_) return;
    invariants_.reset();
    world_.run(node_->stop());
    node_.reset();
    world_.run_for(1s);
    EXPECT_EQ(host_.pool().in_use(), 0U) << options_.name << " did not give back its blocks";
    EXPECT_EQ(host_.udp_sockets(), 0U) << options_.name << " left a socket open";
}

void SelvageHost::stop() {
    end_node();
}

void SelvageHost::crash() {
    host_.power_off();
    end_node();
}

void SelvageHost::kill() {
    host_.reset_sockets();
    world_.loop().run_ready();
    crash();
}

IpAddress SelvageHost::address() const {
    if (!options_.dhcp) return address_.address;
    return node_ && node_->addresses().ipv4 ? node_->addresses().ipv4->address : IpAddress();
}

std::string SelvageHost::url(std::string_view scheme) const {
    return fmt::format("{}://{}:11010", scheme, host_.address());
}

netstack::OverlaySockets& SelvageHost::programs() {
    return kernel_ ? kernel_->sockets() : node_->overlay();
}

rt::Task<Result<rt::StreamPtr>> SelvageHost::dial(Endpoint to) {
    co_return co_await programs().dial_tcp(to, 30s);
}

bool SelvageHost::reaches(SelvageHost& other) {
    if (!node_ || !other.node_) return false;
    const auto table = node_->routes().table();
    const auto peer = table->peer_for(other.address());
    return peer == other.node_->id() && table->next_hop(*peer, route::Policy::least_hop);
}

bool SelvageHost::has_neighbour(SelvageHost& other) {
    return node_ && other.node_ && node_->peers().has(other.node_->id());
}

}  // namespace selvage::sim
