// AclGroups: which nodes are in which of the groups that our ACL names.
//
// A node announces its groups in its route record, each with a proof that it knows the group's
// secret. We verify the proofs of groups that our own configuration declares and ignore all
// others. A proof is bound to the peer id of the node, so nobody can show another's; but whoever
// holds a group's secret can claim membership, and so does everybody who declares it.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "dataplane/acl_options.h"
#include "route/route_table.h"

namespace selvage::dataplane {

// A set of the declared groups, by their place in the declaration.
using GroupSet = std::uint64_t;
static_assert(kAclGroupsMax <= 64);

class AclGroups {
public:
    // Forgets what was known; update() has to follow.
    void declare(std::vector<AclGroup> groups, const std::vector<std::string>& members);
    // Verifies the claims of records that are new.
    void update(const route::RouteTable& routes, PeerId self);

    GroupSet of(PeerId peer) const;
    GroupSet own() const { return own_; }
    // The members of `names` that are declared.
    GroupSet set_of(const std::vector<std::string>& names) const;
    std::vector<std::string> names_of(GroupSet groups) const;
    // What our own record is to say.
    std::vector<route::GroupClaim> claims(PeerId self) const;

private:
    // The record that was verified stays alive here, so that its address cannot be another's.
    struct Member {
        std::shared_ptr<const route::PeerRecord> record;
        GroupSet groups = 0;
    };
    GroupSet verify(const route::PeerRecord& record) const;

    std::vector<AclGroup> declared_;  // at most kAclGroupsMax
    GroupSet own_ = 0;
    PeerId self_;
    std::unordered_map<PeerId, Member> members_;  // at most as many as the table has records
};

}  // namespace selvage::dataplane
