// ForeignNetworks: what makes a node a shared server. Decides which clients of other networks come
// in, keeps a ForeignNetwork for each network that has clients here, tells our own network about
// them, and joins them with the same networks on other servers.
//
//   client --hello--> admit() --> (the network is made) --> take() --> ForeignNetwork
//                       |
//                       +-- refused: private mode, not on the whitelist, no secret, another secret
//                           than the network's first client, limits
//
//   client of X here <--> ForeignNetwork "X" <== type 10, through our own network ==> other server
//
// A network goes with its last client. Source: protocol document 2-control.md, section 6.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/forwarder.h"
#include "node/foreign_network.h"

namespace selvage::node {

struct ForeignNetworksOptions {
    std::string network_name;  // of our own network
    crypto::NetworkDigest network_digest{};
    std::string host_name;
    // Patterns of networks whose data we carry, separated by spaces.
    std::string whitelist = "*";
    // Networks that the whitelist does not name are admitted, for calls only.
    bool relay_all_peer_rpc = false;
    // Only clients that show the digest of our own network are let in.
    bool private_mode = false;
    bool relays_data = true;
    std::optional<std::uint64_t> bytes_per_second;  // for each network

    // Networks at a time, those that are being left included; clients of one network. More are
    // refused.
    std::size_t networks_max = 128;
    std::size_t clients_max = 256;
};

// Of clients that were refused, by reason.
struct ForeignRefusals {
    std::uint64_t private_mode = 0;
    std::uint64_t not_listed = 0;
    std::uint64_t no_secret = 0;
    std::uint64_t other_secret = 0;
    std::uint64_t limit = 0;  // of networks, clients or connections
    std::uint64_t other = 0;  // our own peer id, or we are stopping
};

class ForeignNetworks final : public peer::ForeignDesk, public dataplane::ForeignSink {
public:
    // Everything by reference outlives it; `routes` and `forwarder` are those of our own network.
    ForeignNetworks(
        ForeignNetworksOptions options, const NodeEnvironment& environment,
        route::RouteService& routes, dataplane::Forwarder& forwarder, Log log
    );
    ~ForeignNetworks() override;  // Precondition: stop() has finished, or start() was never called

    void start();
    rt::Task<> stop();

    Result<PeerId> admit(const peer::Hello& client) override;
    Result<> take(std::unique_ptr<peer::PeerConn>& conn) override;
    std::optional<dataplane::DropReason> on_foreign_packet(packet::PacketBuf&& packet) override;

    void for_each(const std::function<void(const ForeignNetwork&)>& visit) const;  // by name
    const ForeignNetwork* find(std::string_view name) const;
    std::size_t size() const { return networks_.size(); }
    const dataplane::ForeignCounters& counters() const { return counters_; }
    const dataplane::DropCounters& drops() const { return drops_; }
    const ForeignRefusals& refusals() const { return refusals_; }

private:
    Result<> check(const peer::Hello& client);
    Result<> refuse(std::uint64_t ForeignRefusals::* reason, Error error);
    ForeignNetwork& open(const peer::Hello& client);
    void retire(const std::string& name);
    void announce();
    void join_servers();
    rt::Task<> keep_house();
    rt::Task<> clear_away();

    const ForeignNetworksOptions options_;
    const NodeEnvironment& environment_;
    route::RouteService& routes_;
    dataplane::Forwarder& forwarder_;
    Log log_;
    dataplane::ForeignCounters counters_;
    dataplane::DropCounters drops_;
    ForeignRefusals refusals_;
    bool running_ = false;
    std::optional<TimePoint> announced_at_;
    std::map<std::string, std::unique_ptr<ForeignNetwork>, std::less<>> networks_;
    std::deque<std::unique_ptr<ForeignNetwork>> leaving_;  // together at most networks_max
    rt::Event left_;
    rt::TaskScope scope_;
};

}  // namespace selvage::node
