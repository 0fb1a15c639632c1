// The stderr sink, over spdlog.
#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "base/bytes.h"

namespace selvage {
namespace {

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
    explicit StderrSink(LogLevel level)
        : logger_("selvage", std::make_shared<spdlog::sinks::stderr_color_sink_mt>()) {
        logger_.set_level(to_spdlog(level));
        logger_.set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
        logger_.flush_on(spdlog::level::trace);
    }
    bool enabled(LogLevel level) const override { return logger_.should_log(to_spdlog(level)); }
    void write(LogLevel level, std::string_view prefix, std::string_view line) override {
        if (prefix.empty()) {
            logger_.log(to_spdlog(level), "{}", line);
        } else {
            logger_.log(to_spdlog(level), "{}: {}", prefix, line);
        }
    }

private:
    spdlog::logger logger_;
};

}  // namespace

std::shared_ptr<LogSink> make_stderr_sink(LogLevel level) {
    return std::make_shared<StderrSink>(level);
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
