// Environment variables, for what reads configuration files.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>

namespace selvage::app {

inline std::optional<std::string> variable(const std::string& name) {
    const char* value =
        std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): nothing sets any
    if (value == nullptr) return std::nullopt;
    return std::string(value);
}

}  // namespace selvage::app
