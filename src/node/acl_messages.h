// The ACL as messages of the management channel.
#pragma once

#include "acl.pb.h"
#include "dataplane/acl.h"
#include "selvage_watch.pb.h"

namespace selvage::node {

// Two clocks at one moment, to tell times of the one by the other.
struct Clocks {
    TimePoint now;
    WallTime wall;
};

void fill_acl_rule(const dataplane::AclRule& rule, acl::Rule& out);
// As EasyTier's tools read it.
void fill_acl_stats(const dataplane::Acl& acl, const Clocks& clocks, acl::AclStats& out);
// Chains in the order of the configuration.
void fill_acl_chains(const dataplane::Acl& acl, ::selvage::api::ListAclResponse& out);

}  // namespace selvage::node
