// The calls behind `selvage acl` and drops.
#include "node/watch_api.h"

#include "base/log.h"
#include "node/acl_messages.h"
#include "rpc/typed.h"

namespace selvage::node {

namespace api = ::selvage::api;

rt::Task<Result<Bytes>> WatchApi::call(rpc::Caller, std::uint32_t method, Bytes) {
    switch (method) {
        case 1:
            co_return list_acl();
        case 2:
            co_return list_drops();
        default:
            co_return Errc::unsupported;
    }
}

Bytes WatchApi::list_acl() const {
    const dataplane::Acl& acl = instance_.acl();
    const dataplane::AclGroups& groups = acl.groups();
    api::ListAclResponse out;
    fill_acl_chains(acl, out);
    for (const std::string& name : groups.names_of(groups.own()))
        out.add_own_groups(printable(name, 256));
    for (const NodeFacts& node : instance_.nodes()) {
        const auto names = groups.names_of(groups.of(node.peer));
        if (names.empty()) continue;
        api::AclMember& member = *out.add_members();
        member.set_peer_id(node.peer.raw());
        member.set_hostname(printable(node.host_name));
        for (const std::string& name : names)
            member.add_groups(printable(name, 256));
    }
    return rpc::to_wire(out);
}

Bytes WatchApi::list_drops() const {
    const auto side = [](const packet::IpMeta& ip, const IpAddress& address, std::uint16_t port) {
        return ip.has_ports ? Endpoint{address, port}.to_string() : address.to_string();
    };
    api::ListDropsResponse out;
    for (const dataplane::DropSample& sample : instance_.drop_samples()) {
        api::DropSample& row = *out.add_samples();
        row.set_reason(std::string(dataplane::describe(sample.reason).name));
        row.set_milliseconds_ago(static_cast<std::uint64_t>(std::max<std::int64_t>(
            0, std::chrono::duration_cast<std::chrono::milliseconds>(instance_.now() - sample.at)
                   .count()
        )));
        row.set_neighbour(sample.arrival.neighbour.raw());
        if (const auto& header = sample.arrival.header) {
            row.set_from_peer(header->from_peer);
            row.set_to_peer(header->to_peer);
            row.set_type(header->type);
        }
        if (sample.ip) {
            row.set_source(side(*sample.ip, sample.ip->source, sample.ip->source_port));
            row.set_destination(
                side(*sample.ip, sample.ip->destination, sample.ip->destination_port)
            );
            row.set_protocol(sample.ip->protocol);
        }
        row.set_bytes(sample.arrival.bytes);
    }
    return rpc::to_wire(out);
}

}  // namespace selvage::node
