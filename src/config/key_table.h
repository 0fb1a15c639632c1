// Every key of a configuration file: what it means, what it is without it, and whether a running
// instance takes a new value. The manual page selvage.toml(5) is made from this table, and a reload
// is planned by it; a test compares it with what the readers ask for.
//
// Keys of EasyTier that are refused or change nothing have their own tables: reference_keys.h.
#pragma once

#include <span>
#include <string_view>

namespace selvage::config {

enum class OnReload : std::uint8_t {
    applied,  // at once, without losing flows that are still allowed
    restart,  // said by name; the next start takes it
};

struct KeySpec {
    // "flags.mtu"; "service.*.port" is every service's.
    std::string_view key;
    std::string_view value;     // what is written there: "true or false"
    std::string_view fallback;  // without the key; in the file's own words where it has some
    OnReload on_reload;
    std::string_view meaning;
    std::string_view example;  // TOML, other than the fallback
};

std::span<const KeySpec> key_table();
// The row for a path such as "service.proxy.port"; null for a key without one.
const KeySpec* find_key(std::string_view path);

}  // namespace selvage::config
