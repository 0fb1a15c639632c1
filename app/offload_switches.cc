// Reading of SELVAGE_OFFLOADS_OFF.
#include "offload_switches.h"

#include <fmt/format.h>

#include "base/log.h"

namespace selvage::app {
namespace {

struct Switch {
    std::string_view name;
    bool host::Offloads::* field;
};
constexpr Switch kSwitches[] = {
    {"tun", &host::Offloads::tun},
    {"udp-segment", &host::Offloads::udp_segment},
    {"udp-join", &host::Offloads::udp_join},
    {"cipher", &host::Offloads::cipher},
};

bool switch_off(std::string_view name, host::Offloads& out) {
    bool known = false;
    for (const Switch& one : kSwitches) {
        if (name != "all" && name != one.name) continue;
        out.*one.field = false;
        known = true;
    }
    return known;
}

}  // namespace

Result<host::Offloads> parse_offloads_off(std::string_view text) {
    constexpr std::string_view kBetween = ", ";
    host::Offloads out;
    while (!text.empty()) {
        const auto end = std::min(text.find_first_of(kBetween), text.size());
        const std::string_view name = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (!name.empty() && !switch_off(name, out)) {
            return Error(
                Errc::bad_argument, fmt::format(
                                        "SELVAGE_OFFLOADS_OFF: \"{}\" is none of tun, udp-segment, "
                                        "udp-join, cipher, all",
                                        printable(name)
                                    )
            );
        }
    }
    return out;
}

}  // namespace selvage::app
