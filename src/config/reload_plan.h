// What a newly read configuration changes, key by key, and what a running instance can do about it.
#pragma once

#include <string>
#include <vector>

#include "config/key_table.h"
#include "config/options.h"

namespace selvage::config {

struct KeyChange {
    std::string key;
    OnReload on_reload = OnReload::restart;
    friend bool operator==(const KeyChange&, const KeyChange&) = default;
};

// In the order of their names. Keys that change nothing in either version are left out.
std::vector<KeyChange> plan_reload(const NodeOptions& running, const NodeOptions& fresh);

// Whether one of the changes is this key, or lies below it ("service").
bool changes_key(const std::vector<KeyChange>& changes, std::string_view key);

// Puts the running values of keys that need a restart back into the fresh document, so that it says
// what runs.
void keep_running_values(
    const std::vector<KeyChange>& changes, const OptionTable& running, OptionTable& fresh
);

}  // namespace selvage::config
