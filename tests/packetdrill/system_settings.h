// The settings that scripts make with sysctl, read from where Linux keeps them, so that a script's
// first lines work as they are. The runner gives each script a private copy of that folder.
#pragma once

#include "netstack/core/stack_options.h"

namespace selvage::packetdrill {

// What the scripts' defaults.sh expects of a host, with what the settings say.
netstack::StackOptions options_from_system();

}  // namespace selvage::packetdrill
