// From a tree of keys to the options of an instance, with everything that is wrong in it.
#pragma once

#include <vector>

#include "base/option_tree.h"
#include "config/options.h"

namespace selvage::config {

// Every problem is reported, not only the first. The options are worth something only if there is
// none.
NodeOptions read_options(const OptionTable& document, std::vector<OptionProblem>& problems);

}  // namespace selvage::config
