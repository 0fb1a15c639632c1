// [acl] and the port whitelists, as EasyTier writes them (5-management.md sections 1.4 and 4.8).
#pragma once

#include "base/option_tree.h"
#include "dataplane/acl_options.h"

namespace selvage::config {

// Entries that the reference would skip without a word (and a list of nothing but such would then
// match everything) are problems here, with their place.
dataplane::AclRules read_acl(OptionReader& document);

// Without the secrets of groups, for keeping.
void remove_group_secrets(OptionTable& document);
// Whether the groups and their secrets are the same; what remove_group_secrets() leaves tells not.
bool same_group_secrets(const dataplane::AclRules& a, const dataplane::AclRules& b);

// As TOML, without the secrets of groups; empty if there is nothing to tell.
std::string describe_acl(const dataplane::AclRules& rules);

}  // namespace selvage::config
