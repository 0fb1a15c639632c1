// The log of one instance as lines of text, for the menu's `log`.
#pragma once

#include "base/log.h"
#include "edge/node_commands.h"

namespace selvage::node {

class LogFeed final : public edge::NodeFeed {
public:
    // Begins with the last `count` lines of the instance. The tail outlives it.
    LogFeed(LogTail& tail, std::string instance, std::size_t count, std::size_t lines_at_once)
        : reader_(tail, std::move(instance), count), lines_at_once_(lines_at_once) {}

    std::string next() override;

private:
    LogTail::Reader reader_;
    std::size_t lines_at_once_;
};

}  // namespace selvage::node
