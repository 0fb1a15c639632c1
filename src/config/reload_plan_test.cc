// What a reload finds, for every key that there is; and that the table of keys is complete.
#include "config/reload_plan.h"

#include <gtest/gtest.h>

#include <map>

#include "config/load.h"
#include "config/reference_keys.h"

namespace selvage::config {
namespace {

using Lines = std::map<std::string, std::string>;

// Enough that every key may stand beside it.
Lines base_lines() {
    return {
        {"network_identity.network_name", "\"meadow\""},
        {"service.proxy.enabled", "true"},
        {"service.proxy.allow", "[\"any-member\"]"},
    };
}

NodeOptions options_of(const Lines& lines) {
    std::string text;
    for (const auto& [key, value] : lines)
        text += fmt::format("{} = {}\n", key, value);
    auto options = parse_toml(text, "test.toml");
    EXPECT_TRUE(options) << (options ? "" : options.error().message()) << "\n" << text;
    return options ? std::move(*options) : NodeOptions();
}

std::string in_proxy(std::string key) {
    constexpr std::string_view kAny = "service.*.";
    if (key.starts_with(kAny)) key = "service.proxy." + key.substr(kAny.size());
    return key;
}

TEST(ReloadPlan, FindsEveryKeyAndSaysWhatBecomesOfIt) {
    for (const KeySpec& spec : key_table()) {
        const std::string key = in_proxy(std::string(spec.key));
        Lines without = base_lines();
        Lines with = base_lines();
        if (key == "service.proxy.enabled") without.erase(key);
        with[key] = spec.example;
        const auto changes = plan_reload(options_of(without), options_of(with));
        EXPECT_EQ(changes, (std::vector<KeyChange>{{key, spec.on_reload}})) << key;
        EXPECT_EQ(plan_reload(options_of(with), options_of(without)), changes) << key;
        EXPECT_TRUE(plan_reload(options_of(with), options_of(with)).empty()) << key;
    }
}

TEST(ReloadPlan, FindsNothingInOtherWordsForTheSame) {
    Lines a = base_lines();
    Lines b = base_lines();
    a["flags.mtu"] = "1300";
    b["flags.mtu"] = "\"1300\"";
    a["flags.latency_first"] = "true";
    b["flags.latencyFirst"] = "true";
    b["flags.enable_encryption"] = "true";  // the default
    b["flags.disable_p2p"] = "true";        // nothing to us
    EXPECT_TRUE(plan_reload(options_of(a), options_of(b)).empty());
}

TEST(ReloadPlan, KnowsWhatLiesBelowAKey) {
    const std::vector<KeyChange> changes = {{"service.proxy.port", OnReload::applied}};
    EXPECT_TRUE(changes_key(changes, "service"));
    EXPECT_TRUE(changes_key(changes, "service.proxy.port"));
    EXPECT_FALSE(changes_key(changes, "service.prox"));
    EXPECT_FALSE(changes_key(changes, "flags"));
}

TEST(ReloadPlan, KeepsSayingWhatNeedsARestart) {
    Lines a = base_lines();
    Lines b = base_lines();
    a["ipv4"] = "\"10.144.1.1/24\"";
    b["flags.mtu"] = "1300";
    b["hostname"] = "\"other\"";
    NodeOptions running = options_of(a);
    NodeOptions fresh = options_of(b);
    auto changes = plan_reload(running, fresh);
    ASSERT_EQ(changes.size(), 3U);
    keep_running_values(changes, running.document, fresh.document);
    running.document = std::move(fresh.document);
    changes = plan_reload(running, options_of(b));
    EXPECT_EQ(
        changes,
        (std::vector<KeyChange>{{"flags.mtu", OnReload::restart}, {"ipv4", OnReload::restart}})
    );
}

// The keys that the reader of one table asks for: the key "?" lists them.
std::vector<std::string> keys_of(const std::string& table) {
    const std::string question = table.empty() ? "\"?\" = 1" : fmt::format("{}.\"?\" = 1", table);
    auto options = parse_toml(question, "test.toml");
    EXPECT_FALSE(options);
    if (options) return {};
    const std::string text = options.error().message();
    constexpr std::string_view kMark = "?: known here: ";
    const auto begin = text.find(kMark);
    EXPECT_NE(begin, std::string::npos) << table << ": " << text;
    if (begin == std::string::npos) return {};
    std::string_view list = std::string_view(text).substr(begin + kMark.size());
    list = list.substr(0, list.find('\n'));
    std::vector<std::string> out;
    while (!list.empty()) {
        const auto comma = list.find(", ");
        const std::string name(list.substr(0, comma));
        out.push_back(table.empty() ? name : fmt::format("{}.{}", table, name));
        if (comma == std::string_view::npos) break;
        list.remove_prefix(comma + 2);
    }
    return out;
}

bool is_refused_or_idle(const std::string& key) {
    for (const FlagRule& rule : flag_rules()) {
        if (key == fmt::format("flags.{}", rule.key)) return true;
    }
    for (const DocumentRule& rule : document_rules()) {
        if (key == rule.key) return true;
    }
    return key == "source" || key == "secure_mode";  // refused where they are read
}

TEST(KeyTable, HasARowForEveryKeyThatIsRead) {
    std::vector<std::string> tables = {"", "flags", "network_identity"};
    for (const edge::ServiceSpec* spec : edge::service_table())
        tables.push_back(fmt::format("service.{}", spec->name));
    for (const std::string& table : tables) {
        for (const std::string& key : keys_of(table)) {
            if (key == "?" || is_refused_or_idle(key)) continue;
            const bool is_table = std::ranges::any_of(key_table(), [&](const KeySpec& spec) {
                return spec.key.starts_with(key + ".");
            });
            if (is_table) continue;
            EXPECT_NE(find_key(key), nullptr)
                << key
                << " is read: give it a row in config/key_table.cc, which says what it means "
                << "and whether a reload applies it (then node/reload.cc does)";
        }
    }
}

}  // namespace
}  // namespace selvage::config
