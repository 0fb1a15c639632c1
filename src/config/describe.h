// Options as TOML for people, without anything secret: what `selvage status` and other nodes'
// tools may see.
#pragma once

#include <string>

#include "config/options.h"

namespace selvage::config {

// Network secret and password hashes are left out; each service shows who may use it.
std::string describe(const NodeOptions& options);

}  // namespace selvage::config
