// The keys that every service has.
#include "edge/options.h"

#include <algorithm>

namespace selvage::edge {
namespace {

constexpr std::string_view kCommonKeys[] = {
    "enabled",      "port",        "allow",       "max_sessions", "max_sessions_per_caller",
    "idle_timeout", "listen_host", "shadow_host", "advertise"
};

bool is_common(std::string_view key) {
    return std::ranges::find(kCommonKeys, key) != std::end(kCommonKeys);
}

OptionTable without_common_keys(const OptionTable& table) {
    OptionTable out;
    for (const auto& entry : table.entries()) {
        if (!is_common(entry.key)) out.set(entry.key, entry.value);
    }
    return out;
}

}  // namespace

bool same_own_options(const OptionTable& a, const OptionTable& b) {
    return same_table(without_common_keys(a), without_common_keys(b));
}

ServiceOptions default_options(const ServiceSpec& spec) {
    ServiceOptions options;
    options.spec = &spec;
    options.port = spec.default_port;
    options.max_sessions = spec.default_max_sessions;
    options.max_sessions_per_caller = spec.default_max_sessions_per_caller;
    options.idle_timeout = spec.default_idle_timeout;
    return options;
}

ServiceOptions read_service_options(
    const ServiceSpec& spec, const OptionTable& table, const SourcePos& at,
    std::vector<OptionProblem>& problems
) {
    constexpr std::int64_t kMostSessions = 65'536;  // what ports and memory could ever carry
    ServiceOptions options = default_options(spec);
    OptionReader in(table, fmt::format("service.{}", spec.name), at, problems);
    options.enabled = in.boolean("enabled", false);
    options.port = static_cast<std::uint16_t>(in.integer("port", spec.default_port, 1, 65'535));
    options.allow = AllowList::read(in, "allow");
    options.max_sessions = static_cast<std::uint32_t>(
        in.integer("max_sessions", spec.default_max_sessions, 1, kMostSessions)
    );
    options.max_sessions_per_caller = static_cast<std::uint32_t>(in.integer(
        "max_sessions_per_caller", spec.default_max_sessions_per_caller, 1, kMostSessions
    ));
    options.idle_timeout = in.duration(
        "idle_timeout", spec.default_idle_timeout, Duration(0), std::chrono::hours(24 * 365)
    );
    if (in.take("listen_host") != nullptr) {
        const std::string text = in.text("listen_host", "");
        auto endpoint = Endpoint::parse(text);
        if (endpoint && endpoint->port != 0) {
            options.listen_host = *endpoint;
        } else {
            in.problem("listen_host", "must be an address and port, as \"127.0.0.1:1080\"");
        }
    }
    options.shadow_host = in.boolean("shadow_host", false);
    options.advertise = in.boolean("advertise", false);
    if (spec.check != nullptr) spec.check(in);
    in.finish();
    options.own = table;
    if (options.enabled && options.allow.empty() && !options.listen_host &&
        table.find("allow") == nullptr) {
        in.problem(
            "enabled", "nobody could use it: name who may in `allow`, for example [\"any-member\"]"
        );
    }
    return options;
}

}  // namespace selvage::edge
