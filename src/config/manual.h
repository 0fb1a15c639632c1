// The manual page selvage.toml(5), made from the table of keys.
#pragma once

#include <string>

namespace selvage::config {

std::string build_key_manual();

}  // namespace selvage::config
