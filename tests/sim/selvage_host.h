// A whole production node on a simulated host, with or without a TUN device. Its invariants are
// checked after every turn of the world; a violation fails the test.
//
//   SelvageHost a(world, {.name = "a", .address = "10.144.1.1/24"});
//   SelvageHost b(world, {.name = "b", .address = "10.144.1.2/24", .peers = {"tcp://" + ...}});
//   a.start(); b.start();
//   EXPECT_TRUE(world.run_until([&] { return a.reaches(b) && b.reaches(a); }, 30s));
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "invariants.h"
#include "node/node.h"
#include "sim/kernel_stack.h"
#include "sim/world.h"

namespace selvage::sim {

struct SelvageOptions {
    std::string name;
    std::string address;  // virtual, with its network; empty: none
    std::string address6 = {};
    bool dhcp = false;
    bool tun = false;
    std::vector<std::string> peers;  // URLs
    std::string network = "n1";
    std::string secret = "s1";
    bool encryption = true;
    bool latency_first = false;
    bool relays_data = true;
    bool watched = true;  // false: the test checks the invariants itself, when it has time
    // The services echo, proxy and shell for these callers; empty: none is enabled.
    std::vector<std::string> allow = {"any-member"};
    // The last word on the options.
    std::function<void(config::NodeOptions&)> adjust;
};

class SelvageHost {
public:
    // Adds a host of that name, with an account "ops" for shells. Nodes listen on tcp and udp
    // 11010.
    SelvageHost(World& world, SelvageOptions options);
    SelvageHost(const SelvageHost&) = delete;
    SelvageHost& operator=(const SelvageHost&) = delete;
    ~SelvageHost();  // stops the node; all blocks must be back then

    void start();
    void stop();
    // The host loses power: nobody hears from it again until start().
    void crash();
    // The process is killed: the kernel resets its connections. Until start().
    void kill();

    Host& host() { return host_; }
    bool running() const { return node_ != nullptr; }
    node::Node& node() { return *node_; }
    IpAddress address() const;  // virtual
    std::string url(std::string_view scheme) const;

    // A program of this host connects to a virtual address: through the kernel and the TUN device,
    // or without one through the node's own stack.
    rt::Task<Result<rt::StreamPtr>> dial(Endpoint to);
    netstack::OverlaySockets& programs();
    // Whether our routes lead to the other's address.
    bool reaches(SelvageHost& other);
    bool has_neighbour(SelvageHost& other);

private:
    config::NodeOptions node_options() const;
    void end_node();

    World& world_;
    SelvageOptions options_;
    Host& host_;
    Prefix address_;
    std::unique_ptr<KernelStack> kernel_;
    std::unique_ptr<node::Node> node_;
    std::unique_ptr<NodeInvariants> invariants_;  // while the node runs
};

}  // namespace selvage::sim
