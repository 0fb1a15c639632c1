// Strings and lists as TOML writes them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace selvage::config {

// Quotes, backslashes and control characters escaped.
std::string quoted(std::string_view text);
std::string quoted_list(const std::vector<std::string>& texts);

}  // namespace selvage::config
