// The commands of the menu.
#include "edge/node_commands.h"

#include <algorithm>

namespace selvage::edge {

std::span<const NodeCommandInfo> node_commands() {
    static constexpr NodeCommandInfo kCommands[] = {
        {.name = "peers", .arguments = "", .summary = "connections to our neighbours"},
        {.name = "routes", .arguments = "", .summary = "members of the network and the way to each"
        },
        {.name = "services", .arguments = "", .summary = "what this node offers at its address"},
        {.name = "sessions", .arguments = "", .summary = "who uses our services"},
        {.name = "ping",
         .arguments = "MEMBER",
         .summary = "measures the way to a member",
         .arguments_min = 1,
         .arguments_max = 1},
        {.name = "whois",
         .arguments = "IP[:PORT]",
         .summary = "which member is behind an address",
         .arguments_min = 1,
         .arguments_max = 1},
        {.name = "log",
         .arguments = "[-f] [LINES]",
         .summary = "what the node logged last; -f goes on until Ctrl-C or q",
         .arguments_min = 0,
         .arguments_max = 1,
         .follows = true},
    };
    return kCommands;
}

const NodeCommandInfo* find_node_command(std::string_view name) {
    const auto all = node_commands();
    const auto found = std::ranges::find(all, name, &NodeCommandInfo::name);
    return found == all.end() ? nullptr : &*found;
}

}  // namespace selvage::edge
