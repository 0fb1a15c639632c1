// Verifying membership proofs.
#include "dataplane/acl_groups.h"

#include <algorithm>

#include "crypto/keys.h"

namespace selvage::dataplane {

void AclGroups::declare(std::vector<AclGroup> groups, const std::vector<std::string>& members) {
    declared_ = std::move(groups);
    declared_.resize(std::min(declared_.size(), kAclGroupsMax));
    own_ = set_of(members);
    members_.clear();
}

void AclGroups::update(const route::RouteTable& routes, PeerId self) {
    self_ = self;
    if (declared_.empty()) return;
    std::unordered_map<PeerId, Member> next;
    for (const route::RouteEntry& entry : routes.entries()) {
        if (entry.record->groups.empty() || entry.peer() == self) continue;
        const auto known = members_.find(entry.peer());
        if (known != members_.end() && known->second.record == entry.record) {
            next.insert(*known);
        } else if (const GroupSet groups = verify(*entry.record); groups != 0) {
            next.emplace(entry.peer(), Member{entry.record, groups});
        }
    }
    members_ = std::move(next);
}

GroupSet AclGroups::verify(const route::PeerRecord& record) const {
    GroupSet out = 0;
    for (const route::GroupClaim& claim : record.groups) {
        for (std::size_t i = 0; i < declared_.size(); ++i) {
            if (declared_[i].name != claim.name || (out >> i & 1) != 0) continue;
            const auto proof =
                crypto::group_proof(claim.name, declared_[i].secret, record.peer.raw());
            if (crypto::equal_constant_time(proof, claim.proof)) out |= GroupSet{1} << i;
        }
    }
    return out;
}

GroupSet AclGroups::of(PeerId peer) const {
    if (peer == self_) return own_;
    const auto found = members_.find(peer);
    return found == members_.end() ? 0 : found->second.groups;
}

GroupSet AclGroups::set_of(const std::vector<std::string>& names) const {
    GroupSet out = 0;
    for (std::size_t i = 0; i < declared_.size(); ++i) {
        if (std::ranges::find(names, declared_[i].name) != names.end()) out |= GroupSet{1} << i;
    }
    return out;
}

std::vector<std::string> AclGroups::names_of(GroupSet groups) const {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < declared_.size(); ++i) {
        if ((groups >> i & 1) != 0) out.push_back(declared_[i].name);
    }
    return out;
}

std::vector<route::GroupClaim> AclGroups::claims(PeerId self) const {
    std::vector<route::GroupClaim> out;
    for (std::size_t i = 0; i < declared_.size(); ++i) {
        if ((own_ >> i & 1) == 0) continue;
        const AclGroup& group = declared_[i];
        const auto proof = crypto::group_proof(group.name, group.secret, self.raw());
        out.push_back({.name = group.name, .proof = Bytes(proof.begin(), proof.end())});
    }
    return out;
}

}  // namespace selvage::dataplane
