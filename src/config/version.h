// The version of Selvage, for people and for peers.
#pragma once

#include <string_view>

namespace selvage::config {

constexpr std::string_view kVersion = "0.1.0";

}  // namespace selvage::config
