// The calls behind `selvage acl`, drops and capture.
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

}  // namespace selvage::node
