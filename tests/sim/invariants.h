// What must hold for a node at every moment, whatever the network does: the invariants of
// docs/architecture.md section 16 as far as a running node shows them, and agreement between its
// modules. SelvageHost checks its node after every turn of the world.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "node/node.h"

namespace selvage::sim {

class SelvageHost;

// Watches one node from its start to its end.
class NodeInvariants {
public:
    explicit NodeInvariants(node::Node& node, packet::PacketPool& pool)
        : node_(node), pool_(pool) {}

    // What is wrong, or nothing.
    std::string check();

private:
    std::string check_bounds() const;
    std::string check_neighbours() const;
    std::string check_own_versions();
    std::string check_table(const route::RouteTable& table) const;

    node::Node& node_;
    packet::PacketPool& pool_;
    std::uint64_t generation_ = 0;
    std::uint32_t record_version_ = 0;
    std::uint32_t row_version_ = 0;
};

// What never happens where every node is honest, however bad the network is: packets that fail to
// open, to parse or to belong to their sender, and parts of route syncs that are refused.
std::string check_honest(node::Node& node);

// What holds once a network has come to rest: every node reaches every other one and nobody else,
// all have the same records and connections, and a packet that follows the tables of the nodes on
// its way arrives, under both policies, after as many hops as its sender's table says.
std::string check_agreement(const std::vector<SelvageHost*>& nodes);

// Who is connected to whom, asks whom, and reaches whom: for the message of a failing test.
std::string describe_network(const std::vector<SelvageHost*>& nodes);

}  // namespace selvage::sim
