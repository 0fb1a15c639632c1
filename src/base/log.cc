// The stderr sink, over spdlog.
#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "base/bytes.h"

namespace selvage {
namespace {

constexpr LogLevel kAllLevels[] = {LogLevel::trace, LogLevel::debug, LogLevel::info,
                                   LogLevel::warn,  LogLevel::error, LogLevel::off};

spdlog::level::level_enum to_spdlog(LogLevel level) {
    switch (level) {
        case LogLevel::trace:
            return spdlog::level::trace;
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warn:
            return spdlog::level::warn;
        case LogLevel::error:
            return spdlog::level::err;
        case LogLevel::off:
            return spdlog::level::off;
    }
    return spdlog::level::off;
}

class StderrSink final : public LogSink {
public:
    explicit StderrSink(std::shared_ptr<const LogLevels> levels)
        : levels_(std::move(levels)),
          logger_("selvage", std::make_shared<spdlog::sinks::stderr_color_sink_mt>()) {
        logger_.set_level(spdlog::level::trace);  // LogLevels decides
        logger_.set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
        logger_.flush_on(spdlog::level::trace);
    }
    bool enabled(LogLevel level, std::string_view prefix) const override {
        return levels_->wants(level, prefix);
    }
    void write(LogLevel level, std::string_view prefix, std::string_view line) override {
        if (prefix.empty()) {
            logger_.log(to_spdlog(level), "{}", line);
        } else {
            logger_.log(to_spdlog(level), "{}: {}", prefix, line);
        }
    }

private:
    std::shared_ptr<const LogLevels> levels_;
    spdlog::logger logger_;
};

}  // namespace

std::shared_ptr<LogSink> make_stderr_sink(std::shared_ptr<const LogLevels> levels) {
    return std::make_shared<StderrSink>(std::move(levels));
}

std::optional<LogLevel> parse_log_level(std::string_view text) {
    for (const LogLevel level : kAllLevels) {
        if (log_level_name(level) == text) return level;
    }
    return std::nullopt;
}

std::string_view log_level_name(LogLevel level) {
    switch (level) {
        case LogLevel::trace:
            return "trace";
        case LogLevel::debug:
            return "debug";
        case LogLevel::info:
            return "info";
        case LogLevel::warn:
            return "warn";
        case LogLevel::error:
            return "error";
        case LogLevel::off:
            return "off";
    }
    return "off";
}

void LogLevels::set(LogLevel level) {
    const std::lock_guard lock(mutex_);
    base_ = level;
    find_lowest();
}

bool LogLevels::set(std::string_view name, LogLevel level) {
    const std::lock_guard lock(mutex_);
    const auto known = std::ranges::find(rules_, name, &Rule::name);
    if (known != rules_.end()) {
        known->level = level;
    } else if (rules_.size() < kRulesMax) {
        rules_.push_back({std::string(name), level});
    } else {
        return false;
    }
    find_lowest();
    return true;
}

void LogLevels::unset(std::string_view name) {
    const std::lock_guard lock(mutex_);
    std::erase_if(rules_, [&](const Rule& rule) { return rule.name == name; });
    find_lowest();
}

void LogLevels::find_lowest() {
    LogLevel lowest = base_;
    for (const Rule& rule : rules_)
        lowest = std::min(lowest, rule.level);
    lowest_ = lowest;
    has_rules_ = !rules_.empty();
}

std::vector<LogLevels::Rule> LogLevels::rules() const {
    const std::lock_guard lock(mutex_);
    return rules_;
}

bool LogLevels::wants(LogLevel level, std::string_view prefix) const {
    if (level < lowest_) return false;
    if (!has_rules_) return true;
    const std::lock_guard lock(mutex_);
    while (!prefix.empty()) {
        const auto space = prefix.rfind(' ');
        const auto word = space == std::string_view::npos ? prefix : prefix.substr(space + 1);
        const auto rule = std::ranges::find(rules_, word, &Rule::name);
        if (rule != rules_.end()) return level >= rule->level;
        prefix = prefix.substr(0, space == std::string_view::npos ? 0 : space);
    }
    return level >= base_;
}

void LogTail::write(LogLevel level, std::string_view prefix, std::string_view line) {
    inner_->write(level, prefix, line);
    if (level < LogLevel::info) return;
    Line kept{
        .at = clock_(),
        .level = level,
        .prefix = std::string(prefix),
        .text = printable(line, kLineBytesMax)
    };
    const std::lock_guard lock(mutex_);
    if (lines_.size() >= kLinesMax) {
        for (Reader* reader : readers_) {
            if (reader->next_ <= first_ && reader->wants(lines_.front())) ++reader->lost_;
        }
        lines_.pop_front();
        ++first_;
    }
    lines_.push_back(std::move(kept));
}

LogTail::Reader::Reader(LogTail& tail, std::string name, std::size_t count)
    : tail_(tail), name_(std::move(name)) {
    const std::lock_guard lock(tail_.mutex_);
    std::size_t at = tail_.lines_.size();
    while (count > 0 && at > 0) {
        if (wants(tail_.lines_[--at])) --count;
    }
    next_ = tail_.first_ + at;
    tail_.readers_.push_back(this);
}

LogTail::Reader::~Reader() {
    const std::lock_guard lock(tail_.mutex_);
    std::erase(tail_.readers_, this);
}

bool LogTail::Reader::wants(const Line& line) const {
    const std::string_view prefix = line.prefix;
    return prefix.starts_with(name_) &&
           (prefix.size() == name_.size() || prefix[name_.size()] == ' ');
}

LogTail::Reader::News LogTail::Reader::read(std::size_t limit) {
    const std::lock_guard lock(tail_.mutex_);
    News out;
    out.lost = std::exchange(lost_, 0);
    next_ = std::max(next_, tail_.first_);
    for (; out.lines.size() < limit && next_ < tail_.first_ + tail_.lines_.size(); ++next_) {
        const Line& line = tail_.lines_[next_ - tail_.first_];
        if (wants(line)) out.lines.push_back(line);
    }
    return out;
}

std::string printable(std::string_view text, std::size_t limit) {
    const bool utf8 = is_utf8(as_view(text));
    std::string out;
    for (const char c : text) {
        if (out.size() >= limit) {
            out += "...";
            break;
        }
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !utf8)) {
            out += fmt::format("\\x{:02x}", byte);
        } else {
            out.push_back(c);
        }
    }
    return out;
}

}  // namespace selvage
