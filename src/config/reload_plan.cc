// Walks two documents side by side down to the keys of the table.
#include "config/reload_plan.h"

#include <algorithm>
#include <set>

#include "config/read_acl.h"
#include "config/reference_keys.h"

namespace selvage::config {
namespace {

// Keys of the reference that we accept and that mean nothing to us.
bool has_no_effect(std::string_view path) {
    constexpr std::string_view kFlags = "flags.";
    if (path.starts_with(kFlags)) {
        const std::string_view key = path.substr(kFlags.size());
        return std::ranges::any_of(flag_rules(), [&](const FlagRule& rule) {
            return rule.key == key;
        });
    }
    if (path == "source") return true;
    return std::ranges::any_of(document_rules(), [&](const DocumentRule& rule) {
        return rule.key == path;
    });
}

class Comparison {
public:
    void compare(const std::string& path, const OptionValue* a, const OptionValue* b) {
        const KeySpec* spec = find_key(path);
        const auto* inner_a = a == nullptr ? nullptr : a->get<OptionTable>();
        const auto* inner_b = b == nullptr ? nullptr : b->get<OptionTable>();
        if (spec == nullptr && (inner_a != nullptr || inner_b != nullptr)) {
            return compare_tables(path, inner_a, inner_b);
        }
        if (spec == nullptr && has_no_effect(path)) return;
        if (a != nullptr && b != nullptr && same_value(*a, *b)) return;
        if (spec != nullptr && (a == nullptr || b == nullptr)) {
            // Writing a default down is no change.
            const OptionValue& written = a == nullptr ? *b : *a;
            if (scalar_text(written) == spec->fallback) return;
        }
        changes_.push_back({path, spec == nullptr ? OnReload::restart : spec->on_reload});
    }

    void compare_tables(const std::string& path, const OptionTable* a, const OptionTable* b) {
        static const OptionTable kEmpty;
        if (a == nullptr) a = &kEmpty;
        if (b == nullptr) b = &kEmpty;
        std::set<std::string> keys;
        for (const OptionTable* table : {a, b}) {
            for (const auto& entry : table->entries())
                keys.insert(entry.key);
        }
        for (const std::string& key : keys) {
            compare(
                path.empty() ? key : fmt::format("{}.{}", path, key), a->find(key), b->find(key)
            );
        }
    }

    void add(KeyChange change) { changes_.push_back(std::move(change)); }

    std::vector<KeyChange> take() {
        std::ranges::sort(changes_, {}, &KeyChange::key);
        return std::move(changes_);
    }

private:
    std::vector<KeyChange> changes_;
};

}  // namespace

std::vector<KeyChange> plan_reload(const NodeOptions& running, const NodeOptions& fresh) {
    Comparison comparison;
    comparison.compare_tables("", &running.document, &fresh.document);
    // The document does not hold it.
    if (!running.network_secret.equals(fresh.network_secret)) {
        constexpr std::string_view kSecret = "network_identity.network_secret";
        comparison.add({std::string(kSecret), find_key(kSecret)->on_reload});
    }
    const auto* before = running.document.find("acl");
    const auto* after = fresh.document.find("acl");
    const bool listed = before == nullptr || after == nullptr || !same_value(*before, *after);
    if (!listed && !same_group_secrets(running.acl, fresh.acl)) {
        comparison.add({"acl", find_key("acl")->on_reload});
    }
    return comparison.take();
}

bool changes_key(const std::vector<KeyChange>& changes, std::string_view key) {
    return std::ranges::any_of(changes, [&](const KeyChange& change) {
        const std::string_view changed = change.key;
        return changed.starts_with(key) &&
               (changed.size() == key.size() || changed[key.size()] == '.');
    });
}

namespace {

void copy_value(std::string_view path, const OptionTable& from, OptionTable& to) {
    const auto dot = path.find('.');
    const std::string_view key = path.substr(0, dot);
    const OptionValue* value = from.find(key);
    if (dot == std::string_view::npos) {
        to.erase(key);
        if (value != nullptr) to.set(key, *value);
        return;
    }
    static const OptionTable kEmpty;
    const auto* inner = value == nullptr ? nullptr : value->get<OptionTable>();
    const OptionValue* target = to.find(key);
    if (target != nullptr && target->get<OptionTable>() == nullptr) to.erase(key);
    copy_value(path.substr(dot + 1), inner == nullptr ? kEmpty : *inner, to.table(key));
}

}  // namespace

void keep_running_values(
    const std::vector<KeyChange>& changes, const OptionTable& running, OptionTable& fresh
) {
    for (const KeyChange& change : changes) {
        if (change.on_reload == OnReload::restart) copy_value(change.key, running, fresh);
    }
}

}  // namespace selvage::config
