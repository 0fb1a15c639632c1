// Lines of the log as text.
#include "node/log_feed.h"

#include <fmt/chrono.h>

namespace selvage::node {
namespace {

std::string time_text(WallTime time) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    return fmt::format("{:%Y-%m-%d %H:%M:%S}Z", fmt::gmtime(seconds.time_since_epoch().count()));
}

}  // namespace

std::string LogFeed::next() {
    const LogTail::Reader::News news = reader_.read(lines_at_once_);
    std::string out;
    if (news.lost > 0) out += fmt::format("... {} lines not shown\n", news.lost);
    for (const LogTail::Line& line : news.lines) {
        out += fmt::format(
            "{} {} {}: {}\n", time_text(line.at), log_level_name(line.level), line.prefix, line.text
        );
    }
    return out;
}

}  // namespace selvage::node
