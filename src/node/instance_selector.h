// Which instance a call of the management RPC means.
#pragma once

#include "api_instance.pb.h"
#include "base/error.h"
#include "base/uuid.h"
#include "node/instance_view.h"

namespace selvage::node {

// Four big-endian words.
Uuid uuid_of(const common::UUID& message);
// Errc::not_found when another instance than this one is meant; no selector means any.
Result<> is_selected(const ::api::instance::InstanceIdentifier& wanted, const InstanceFacts& facts);

}  // namespace selvage::node
