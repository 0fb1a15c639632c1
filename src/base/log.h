// Logging: events with fields, a prefix that grows down the tree, spdlog behind it.
//
//   log.info("peer up", "peer={} conn={} rtt_ms={}", peer, conn, rtt);
//
// error: someone must act. warn: something was refused or lost. info: the life of instances,
// peers and services. debug: decisions. trace: packets, sampled. Nothing per packet above trace.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/time.h"

namespace selvage {

enum class LogLevel : int { trace, debug, info, warn, error, off };

// Where log lines go. Implementations must not throw.
class LogSink {
public:
    virtual ~LogSink() = default;
    // Whether a line of this level under this prefix would be written.
    virtual bool enabled(LogLevel level, std::string_view prefix) const = 0;
    virtual void write(LogLevel level, std::string_view prefix, std::string_view line) = 0;
};

class Log {
public:
    Log() = default;  // discards everything
    explicit Log(std::shared_ptr<LogSink> sink, std::string prefix = {})
        : sink_(std::move(sink)), prefix_(std::move(prefix)) {}

    // The same log with one more name in front of its lines: "node1 peer 7".
    Log child(std::string_view name) const {
        return Log(
            sink_, prefix_.empty() ? std::string(name) : fmt::format("{} {}", prefix_, name)
        );
    }

    template <class... Args>
    void trace(std::string_view event, fmt::format_string<Args...> fields = "", Args&&... args)
        const {
        write(LogLevel::trace, event, fields, std::forward<Args>(args)...);
    }
    template <class... Args>
    void debug(std::string_view event, fmt::format_string<Args...> fields = "", Args&&... args)
        const {
        write(LogLevel::debug, event, fields, std::forward<Args>(args)...);
    }
    template <class... Args>
    void info(std::string_view event, fmt::format_string<Args...> fields = "", Args&&... args)
        const {
        write(LogLevel::info, event, fields, std::forward<Args>(args)...);
    }
    template <class... Args>
    void warn(std::string_view event, fmt::format_string<Args...> fields = "", Args&&... args)
        const {
        write(LogLevel::warn, event, fields, std::forward<Args>(args)...);
    }
    template <class... Args>
    void error(std::string_view event, fmt::format_string<Args...> fields = "", Args&&... args)
        const {
        write(LogLevel::error, event, fields, std::forward<Args>(args)...);
    }

private:
    template <class... Args>
    void write(
        LogLevel level, std::string_view event, fmt::format_string<Args...> fields, Args&&... args
    ) const {
        if (!sink_ || !sink_->enabled(level, prefix_)) return;
        std::string line(event);
        const std::string tail = fmt::format(fields, std::forward<Args>(args)...);
        if (!tail.empty()) line += " " + tail;
        sink_->write(level, prefix_, line);
    }

    std::shared_ptr<LogSink> sink_;  // shared by a whole process; outlives every instance
    std::string prefix_;
};

// "off", "error", "warn", "info", "debug", "trace".
std::optional<LogLevel> parse_log_level(std::string_view text);
std::string_view log_level_name(LogLevel level);

// Which lines are wanted: one level for all, and others for names that stand in a line's prefix
// ("peer", "home"). Of several such names the last in the prefix counts. Changed while running;
// may be used on any thread.
class LogLevels {
public:
    struct Rule {
        std::string name;
        LogLevel level = LogLevel::info;
    };
    static constexpr std::size_t kRulesMax = 64;

    explicit LogLevels(LogLevel level) : base_(level), lowest_(level) {}

    void set(LogLevel level);
    // False when there are kRulesMax names already.
    bool set(std::string_view name, LogLevel level);
    void unset(std::string_view name);
    LogLevel base() const { return base_; }
    std::vector<Rule> rules() const;
    bool wants(LogLevel level, std::string_view prefix) const;

private:
    void find_lowest();

    std::atomic<LogLevel> base_;
    std::atomic<LogLevel> lowest_;  // of all levels: what is below needs no look at the rules
    std::atomic<bool> has_rules_ = false;
    mutable std::mutex mutex_;
    std::vector<Rule> rules_;
};

// Lines on stderr, "2026-11-22 16:40:01.123 info node1 peer up peer=7", coloured on a terminal.
std::shared_ptr<LogSink> make_stderr_sink(std::shared_ptr<const LogLevels> levels);

// Passes lines on and keeps the last ones, for who asks what happened lately. What the inner sink
// does not want is kept neither, nor is what lies below info. May be used on any thread.
class LogTail final : public LogSink {
public:
    // Beyond them the oldest line goes; a longer line is cut.
    static constexpr std::size_t kLinesMax = 512;
    static constexpr std::size_t kLineBytesMax = 512;

    struct Line {
        WallTime at;
        LogLevel level = LogLevel::info;
        std::string prefix;
        std::string text;
    };

    LogTail(std::shared_ptr<LogSink> inner, std::function<WallTime()> clock)
        : inner_(std::move(inner)), clock_(std::move(clock)) {}

    bool enabled(LogLevel level, std::string_view prefix) const override {
        return inner_->enabled(level, prefix);
    }
    void write(LogLevel level, std::string_view prefix, std::string_view line) override;

    // Reads the lines whose prefix begins with one word, oldest first. It holds none itself, so
    // that who reads slowly costs nothing: what the tail let go of before it was read is counted.
    class Reader {
    public:
        struct News {
            std::uint64_t lost = 0;  // before the first of the lines
            std::vector<Line> lines;
        };

        // The last `count` lines that are there come first. The tail outlives it.
        Reader(LogTail& tail, std::string name, std::size_t count);
        Reader(const Reader&) = delete;
        Reader& operator=(const Reader&) = delete;
        ~Reader();
        // At most `limit` lines that were not read yet.
        News read(std::size_t limit);

    private:
        friend class LogTail;
        bool wants(const Line& line) const;

        LogTail& tail_;
        const std::string name_;
        std::uint64_t next_ = 0;  // number of the first line that was not looked at
        std::uint64_t lost_ = 0;
    };

private:
    std::shared_ptr<LogSink> inner_;
    std::function<WallTime()> clock_;
    std::mutex mutex_;
    std::deque<Line> lines_;
    std::uint64_t first_ = 0;       // number of the oldest kept line
    std::vector<Reader*> readers_;  // as many as there are sessions that read
};

// Text from outside made harmless for logs and terminals: control characters and bytes that are
// not printable ASCII or UTF-8 become "\xNN"; cut to `limit` bytes.
std::string printable(std::string_view text, std::size_t limit = 200);

}  // namespace selvage
