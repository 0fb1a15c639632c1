// The calls behind `selvage acl`, drops and capture.
#include "node/watch_api.h"

#include "base/log.h"
#include "node/acl_messages.h"
#include "node/capture.h"
#include "node/find_node.h"
#include "rpc/typed.h"

namespace selvage::node {

namespace api = ::selvage::api;

rt::Task<Result<Bytes>> WatchApi::call(rpc::Caller caller, std::uint32_t method, Bytes request) {
    switch (method) {
        case 1:
            co_return list_acl();
        case 2:
            co_return list_drops();
        case 3:
            co_return capture(caller, request);
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

Result<Bytes> WatchApi::capture(rpc::Caller caller, ByteView request) {
    auto message = rpc::from_wire<api::CaptureRequest>(request);
    if (!message) return message.error();
    if (caller.session == nullptr) return Errc::unsupported;  // not over the mesh
    if (captures_ == Captures::refused) {
        return Error(Errc::refused, "captures are for the unix socket, not for the portal");
    }
    dataplane::TapOptions tap;
    if (!message->flow().empty()) {
        auto filter = dataplane::parse_flow(message->flow());
        if (!filter) return filter.error();
        tap.filter = std::move(*filter);
    }
    if (!message->peer().empty()) {
        auto node = find_node(instance_, message->peer());
        if (!node) return node.error();
        tap.filter.peer = node->peer;
    }
    if (instance_.taps().full()) {
        return Error(
            Errc::limit, fmt::format("{} captures are running already", dataplane::Taps::kLimit)
        );
    }
    tap.packets_limit = message->packets_limit();
    tap.snap_bytes = message->snap_bytes();
    const std::string device = instance_.facts().device;
    Capture::Options options{
        .interface_name = device.empty() ? "selvage" : device,
        .snap_bytes = message->snap_bytes(),
        .duration = std::nullopt
    };
    if (message->duration_ms() != 0) {
        options.duration = std::chrono::milliseconds(message->duration_ms());
    }
    caller.session->upgrade(
        std::make_unique<Capture>(runtime_, instance_.taps(), std::move(tap), std::move(options))
    );
    return Bytes{};
}

}  // namespace selvage::node
