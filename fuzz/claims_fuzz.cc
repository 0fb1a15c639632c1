// Claims and flows: any packets of other nodes, of the host and of our stack, in any order, with
// claims that come and go. With a kernel behind the NIC
//
//   - a TCP segment reaches the stack only on a flow that its caller opened with a SYN to a claimed
//     port, or that the stack opened
//   - a datagram reaches the stack only at a claimed port or as an answer to the stack, and the
//     host at a claimed port only as an answer to the host
//   - flows stay within their bounds
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <tuple>

#include "dataplane/forwarder_test_support.h"

namespace selvage::dataplane {
namespace {

using packet::IpProtocol;

constexpr std::size_t kFlowsMax = 24;
constexpr std::size_t kFlowsPerPeer = 10;
// Few ports, so that things meet; two of them in the stack's own range.
constexpr std::uint16_t kPorts[] = {22, 53, 61000, 61001};

void require(bool holds) {
    if (!holds) __builtin_trap();
}

using Key = std::tuple<std::uint8_t, Endpoint, Endpoint>;  // protocol, ours, theirs

// Looks at every packet that the pipeline hands out.
struct Watched : World {
    Watched() : World(true, false, {.flow_limits = {kFlowsMax, kFlowsPerPeer}}) {}

    void deliver(packet::PacketBatch&& batch) override {
        for (const packet::PacketBuf& packet : batch) {
            const packet::IpMeta& ip = *packet.meta().ip;
            if (!ip.has_ports || from_ourselves(ip)) continue;
            const bool tcp = ip.protocol == static_cast<std::uint8_t>(IpProtocol::tcp);
            const bool answers = opened_by_stack.contains(key_of(ip));
            if (tcp) {
                require(answers || opened_by_caller.contains(key_of(ip)));
                const auto [protocol, ours, theirs] = key_of(ip);
                require(forwarder.peer_of_flow(protocol, ours, theirs) == packet.meta().from_peer);
            } else {
                require(answers || claimed(ip));
            }
        }
    }
    void send(packet::PacketBatch&& batch) override {
        for (const packet::PacketBuf& packet : batch) {
            const packet::IpMeta& ip = *packet.meta().ip;
            const bool udp = ip.protocol == static_cast<std::uint8_t>(IpProtocol::udp);
            if (udp && ip.has_ports && claimed(ip)) require(opened_by_host.contains(key_of(ip)));
        }
    }
    bool claimed(const packet::IpMeta& ip) {
        return forwarder.claims().has(ip.protocol, ip.destination_port);
    }
    static bool from_ourselves(const packet::IpMeta& ip) { return ip.source == kOurIp; }
    static Key key_of(const packet::IpMeta& ip) {
        return {ip.protocol, {ip.destination, ip.destination_port}, {ip.source, ip.source_port}};
    }
    void check_bounds() const { require(forwarder.flows().size() <= kFlowsMax); }

    std::set<Key> opened_by_stack, opened_by_host, opened_by_caller;
};

// One thing that happens, as eight bytes tell it.
struct Step {
    std::uint8_t what, port, other_port, flags, fragment, id, peer, seconds;
};

Endpoint ours(const Step& step) {
    return {kOurIp, kPorts[step.port % std::size(kPorts)]};
}
Endpoint theirs(const Step& step) {
    const bool near = step.peer % 2 == 0;
    return {near ? kNearIp : kFarIp, static_cast<std::uint16_t>(1 + step.other_port % 16)};
}
PeerId sender(const Step& step) {
    // Some forge their address.
    const bool near = step.peer % 2 == (step.peer > 240 ? 1 : 0);
    return near ? kNear : kFar;
}

void cut_in_pieces(packet::PacketBuf& packet, const Step& step) {
    if (step.fragment < 128) return;
    auto* ip = packet.header<packet::Ipv4Header>();
    ip->id = step.id;
    ip->fragment = static_cast<std::uint16_t>(packet::kIpv4MoreFragments | (step.fragment % 3));
}

void take(Watched& world, std::map<std::uint16_t, Claim>& claims, const Step& step) {
    const bool tcp = step.what % 16 < 8;
    const IpProtocol protocol = tcp ? IpProtocol::tcp : IpProtocol::udp;
    const Endpoint here = ours(step);
    const Endpoint there = theirs(step);
    const Key key{static_cast<std::uint8_t>(protocol), here, there};
    switch (step.what % 8) {
        case 0:
        case 1: {
            const auto slot = static_cast<std::uint16_t>(here.port + (tcp ? 0 : 1));
            claims.erase(slot);
            if (step.what % 8 == 1) break;
            auto claim = world.forwarder.claims().claim(protocol, here.port);
            if (claim) claims[slot] = std::move(*claim);
            break;
        }
        case 2: {
            auto packet = ip_packet(world.pool, here, there, protocol, step.flags);
            world.opened_by_host.insert(key);
            world.send_from_nic(std::move(packet));
            break;
        }
        case 3: {
            auto packet = ip_packet(world.pool, here, there, protocol, step.flags);
            world.opened_by_stack.insert(key);
            world.send_from_stack(std::move(packet));
            break;
        }
        case 4:
            world.stack_has_connection = step.flags % 2 == 0;
            world.runtime.run_for(std::chrono::seconds(step.seconds));
            world.forwarder.sweep();
            break;
        case 5:
            world.unreachable(here, there, protocol);
            break;
        default: {
            auto packet = ip_packet(world.pool, there, here, protocol, step.flags);
            const bool syn = (step.flags & 0x12) == packet::tcp_flag::kSyn;
            const bool taken =
                world.forwarder.claims().has(static_cast<std::uint8_t>(protocol), here.port);
            if (tcp && syn && taken) world.opened_by_caller.insert(key);
            cut_in_pieces(packet, step);
            world.arrive(std::move(packet), sender(step), kUs);
        }
    }
}

}  // namespace
}  // namespace selvage::dataplane

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace selvage::dataplane;
    Watched world;
    std::map<std::uint16_t, Claim> claims;
    for (Step step{}; size >= sizeof(step); data += sizeof(step), size -= sizeof(step)) {
        std::memcpy(&step, data, sizeof(step));
        take(world, claims, step);
        world.runtime.run_ready();
        world.to_near->sent.clear();
        world.check_bounds();
    }
    claims.clear();
    return 0;
}
