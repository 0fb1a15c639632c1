// Logging: events with fields, a prefix that grows down the tree, spdlog behind it.
//
//   log.info("peer up", "peer={} conn={} rtt_ms={}", peer, conn, rtt);
//
// error: someone must act. warn: something was refused or lost. info: the life of instances,
// peers and services. debug: decisions. trace: packets, sampled. Nothing per packet above trace.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace selvage {

enum class LogLevel : int { trace, debug, info, warn, error, off };

// Where log lines go. Implementations must not throw.
class LogSink {
public:
    virtual ~LogSink() = default;
    virtual bool enabled(LogLevel level) const = 0;
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
        if (!sink_ || !sink_->enabled(level)) return;
        std::string line(event);
        const std::string tail = fmt::format(fields, std::forward<Args>(args)...);
        if (!tail.empty()) line += " " + tail;
        sink_->write(level, prefix_, line);
    }

    std::shared_ptr<LogSink> sink_;  // shared by a whole process; outlives every instance
    std::string prefix_;
};

// Lines on stderr, "2026-11-22 16:40:01.123 info node1 peer up peer=7", coloured on a terminal.
std::shared_ptr<LogSink> make_stderr_sink(LogLevel level);

// Text from outside made harmless for logs and terminals: control characters and bytes that are
// not printable ASCII or UTF-8 become "\xNN"; cut to `limit` bytes.
std::string printable(std::string_view text, std::size_t limit = 200);

}  // namespace selvage
