// The settings that scripts make with sysctl, read from where Linux keeps them, so that a script's
// first lines work as they are. The runner gives each script a private copy of that folder.
#pragma once

#include "netstack/core/stack_options.h"

namespace selvage::packetdrill {

// What the scripts' defaults.sh expects of a host, with what the settings say.
netstack::StackOptions options_from_system();

// What stands between our stack and the wire, as `tc qdisc` has set it up: see the runner.
enum class DeviceQueue { plain, paced, takes_nothing };
DeviceQueue device_queue();

}  // namespace selvage::packetdrill
