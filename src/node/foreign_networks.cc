// Admission, announcements, and the way to other servers.
#include "node/foreign_networks.h"

#include <algorithm>

#include "base/wildcard.h"
#include "crypto/secret.h"
#include "packet/foreign_packet.h"

namespace selvage::node {

using dataplane::DropReason;

namespace {

constexpr Duration kHousekeeping = std::chrono::seconds(1);
// Clients that come and go all the time must not make our network talk of nothing else.
constexpr Duration kAnnouncePause = std::chrono::seconds(10);

}  // namespace

ForeignNetworks::ForeignNetworks(
    ForeignNetworksOptions options, const NodeEnvironment& environment, route::RouteService& routes,
    dataplane::Forwarder& forwarder, Log log
)
    : options_(std::move(options)),
      environment_(environment),
      routes_(routes),
      forwarder_(forwarder),
      log_(std::move(log)),
      left_(environment.runtime),
      scope_(environment.runtime, log_) {}

ForeignNetworks::~ForeignNetworks() = default;

void ForeignNetworks::start() {
    running_ = true;
    scope_.spawn("foreign networks", keep_house());
    scope_.spawn("networks that are left", clear_away());
}

rt::Task<> ForeignNetworks::stop() {
    running_ = false;
    co_await scope_.close();
    while (!networks_.empty())
        retire(networks_.begin()->first);
    while (!leaving_.empty()) {
        co_await leaving_.front()->stop();
        leaving_.pop_front();
    }
}

Result<> ForeignNetworks::refuse(std::uint64_t ForeignRefusals::* reason, Error error) {
    ++(refusals_.*reason);
    return error;
}

Result<> ForeignNetworks::check(const peer::Hello& client) {
    const std::string name = printable(client.network_name);
    if (!running_) return refuse(&ForeignRefusals::other, Error(Errc::closed, "the node stops"));
    if (options_.private_mode &&
        !crypto::equal_constant_time(client.digest, options_.network_digest)) {
        return refuse(
            &ForeignRefusals::private_mode,
            Error(Errc::denied, fmt::format("private mode: network \"{}\" is not ours", name))
        );
    }
    if (!options_.relay_all_peer_rpc &&
        !matches_wildcard_list(options_.whitelist, client.network_name)) {
        return refuse(
            &ForeignRefusals::not_listed,
            Error(
                Errc::denied, fmt::format("network \"{}\" is not in relay_network_whitelist", name)
            )
        );
    }
    // Who shows no secret could claim any network, and would fix its digest for all who have one.
    if (client.digest == crypto::NetworkDigest{}) {
        return refuse(
            &ForeignRefusals::no_secret,
            Error(Errc::denied, fmt::format("a client of network \"{}\" shows no secret", name))
        );
    }
    const ForeignNetwork* network = find(client.network_name);
    if (network == nullptr) {
        if (networks_.size() + leaving_.size() < options_.networks_max) return {};
        return refuse(&ForeignRefusals::limit, Error(Errc::limit, "too many foreign networks"));
    }
    if (!crypto::equal_constant_time(client.digest, network->options().digest)) {
        return refuse(
            &ForeignRefusals::other_secret,
            Error(
                Errc::denied,
                fmt::format(
                    "a client of network \"{}\" has another secret than those already here", name
                )
            )
        );
    }
    if (client.peer == network->options().self) {
        return refuse(
            &ForeignRefusals::other, Error(Errc::incompatible, "the other side has our peer id")
        );
    }
    return {};
}

Result<PeerId> ForeignNetworks::admit(const peer::Hello& client) {
    if (auto checked = check(client); !checked) return checked.error();
    if (const ForeignNetwork* network = find(client.network_name)) return network->options().self;
    return open(client).options().self;
}

ForeignNetwork& ForeignNetworks::open(const peer::Hello& client) {
    rt::Rng& rng = environment_.runtime.rng();
    PeerId self;
    while (!self || self == client.peer)
        self = PeerId(static_cast<std::uint32_t>(rng.next()));
    ForeignNetworkOptions options{
        .self = self,
        .name = client.network_name,
        .digest = client.digest,
        .instance = Uuid::from_random(rng.next(), rng.next()),
        .host_name = options_.host_name,
        .relays_data = matches_wildcard_list(options_.whitelist, client.network_name),
        .avoids_relay = !options_.relays_data,
        .clients_max = options_.clients_max,
        .bytes_per_second = options_.bytes_per_second
    };
    log_.info(
        "hosting a foreign network", "network=\"{}\" peer_id={} relays_data={}",
        printable(options.name), self, options.relays_data
    );
    auto network = std::make_unique<ForeignNetwork>(
        std::move(options), environment_, forwarder_, counters_, drops_,
        [this, name = client.network_name] { retire(name); },
        log_.child(printable(client.network_name, 32))
    );
    ForeignNetwork& out = *network;
    networks_.emplace(client.network_name, std::move(network));
    out.start();
    join_servers();
    return out;
}

Result<> ForeignNetworks::take(std::unique_ptr<peer::PeerConn>& conn) {
    const auto found = networks_.find(conn->hello().network_name);
    if (found == networks_.end()) return Error(Errc::closed, "the network has just been left");
    ForeignNetwork& network = *found->second;
    if (auto adopted = network.adopt(conn); !adopted) {
        if (network.is_empty()) retire(std::string(found->first));
        return refuse(&ForeignRefusals::limit, adopted.error());
    }
    return {};
}

// In a later turn: the network is on the call stack.
void ForeignNetworks::retire(const std::string& name) {
    const auto found = networks_.find(name);
    if (found == networks_.end()) return;
    log_.info("leaving a foreign network", "network=\"{}\"", printable(found->first));
    leaving_.push_back(std::move(found->second));
    networks_.erase(found);
    left_.notify();
}

rt::Task<> ForeignNetworks::clear_away() {
    for (;;) {
        while (!leaving_.empty()) {
            co_await leaving_.front()->stop();
            leaving_.pop_front();
        }
        co_await left_.wait();
    }
}

rt::Task<> ForeignNetworks::keep_house() {
    for (;;) {
        co_await rt::sleep_for(environment_.runtime, kHousekeeping);
        for (auto& [name, network] : networks_)
            network->keep_house();
        // A client whose connection broke during the handshake leaves an empty network behind.
        for (auto at = networks_.begin(); at != networks_.end();) {
            const auto next = std::next(at);
            if (at->second->is_empty()) retire(std::string(at->first));
            at = next;
        }
        join_servers();
        const TimePoint now = environment_.runtime.now();
        if (announced_at_ && now - *announced_at_ < kAnnouncePause) continue;
        announce();
    }
}

void ForeignNetworks::announce() {
    std::vector<route::HostedNetwork> hosted;
    for (const auto& [name, network] : networks_) {
        const ForeignNetworkOptions& options = network->options();
        hosted.push_back(
            {.name = name,
             .secret_digest = Bytes(options.digest.begin(), options.digest.end()),
             .self_there = options.self,
             .members = network->peers().neighbours()}
        );
    }
    if (routes_.set_hosted(hosted)) announced_at_ = environment_.runtime.now();
}

void ForeignNetworks::join_servers() {
    std::map<std::string_view, std::map<PeerId, PeerId>> servers;
    const auto table = routes_.table();
    for (const route::ForeignHost& host : table->foreign_hosts()) {
        const ForeignNetwork* network = find(host.network_name);
        if (network != nullptr &&
            std::ranges::equal(host.secret_digest, network->options().digest)) {
            servers[network->options().name].emplace(host.server_there, host.server);
        }
    }
    for (auto& [name, network] : networks_)
        network->set_servers(std::move(servers[name]));
}

std::optional<DropReason> ForeignNetworks::on_foreign_packet(packet::PacketBuf&& packet) {
    packet::PacketBuf outer = std::move(packet);
    outer.pop_front(sizeof(packet::PeerHeader));
    const auto parsed = packet::parse_foreign_packet(outer.bytes());
    if (!parsed) return DropReason::malformed_foreign;
    const auto found = networks_.find(parsed->network_name);
    if (found == networks_.end()) return DropReason::foreign_unknown;
    const PeerId to = parsed->to;
    outer.pop_front(outer.size() - parsed->inner.size());
    found->second->from_server(to, std::move(outer));
    return std::nullopt;
}

void ForeignNetworks::for_each(const std::function<void(const ForeignNetwork&)>& visit) const {
    for (const auto& [name, network] : networks_)
        visit(*network);
}

const ForeignNetwork* ForeignNetworks::find(std::string_view name) const {
    const auto found = networks_.find(name);
    return found == networks_.end() ? nullptr : found->second.get();
}

}  // namespace selvage::node
