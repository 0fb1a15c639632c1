// The member that a person means.
#pragma once

#include <string_view>

#include "node/instance_view.h"

namespace selvage::node {

// By peer id, host name or virtual address. Errors: not_found.
Result<NodeFacts> find_node(const InstanceView& instance, std::string_view target);

}  // namespace selvage::node
