// What became of a newly read configuration.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/time.h"
#include "config/reload_plan.h"
#include "rt/task.h"

namespace selvage::node {

struct ReloadReport {
    std::vector<config::KeyChange> changes;  // in the order of their names
    // What was applied and does not work, such as a service whose port is taken.
    std::vector<std::string> failures;
};

// The process that instances run in, as far as their management channels may use it.
class ProcessControl {
public:
    virtual ~ProcessControl() = default;
    // Reads the configuration again and applies it to every instance; the report is about the one
    // of this name, and about instances that appeared or went. On an error nothing has changed.
    virtual rt::Task<Result<ReloadReport>> reload(std::string instance) = 0;
    virtual LogLevels& log_levels() = 0;
    virtual Duration longest_turn() const = 0;
};

}  // namespace selvage::node
