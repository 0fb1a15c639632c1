// TOML text as a tree of options that know where they were written.
#pragma once

#include <string_view>
#include <vector>

#include "base/option_tree.h"

namespace selvage::config {

// A syntax error becomes a problem with its position, and the tree is empty then. Only what can be
// an option comes through: dates and times are problems, too.
OptionTable parse_toml_tree(std::string_view text, std::vector<OptionProblem>& problems);

}  // namespace selvage::config
