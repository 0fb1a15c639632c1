// Look-ups, checks and suggestions over a configuration tree.
#include "base/option_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace selvage {
namespace {

// Edits to get from one name to the other: insert, delete, replace, swap neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    // Names of keys are short; a longer text is no typing mistake for one of them.
    constexpr std::size_t kLongest = 64;
    if (a.size() > kLongest || b.size() > kLongest) return kLongest;
    std::vector<std::vector<std::size_t>> cost(
        a.size() + 1, std::vector<std::size_t>(b.size() + 1)
    );
    for (std::size_t i = 0; i <= a.size(); ++i)
        cost[i][0] = i;
    for (std::size_t j = 0; j <= b.size(); ++j)
        cost[0][j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replace = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            cost[i][j] = std::min({replace, cost[i - 1][j] + 1, cost[i][j - 1] + 1});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
            }
        }
    }
    return cost[a.size()][b.size()];
}

// "90 s" reads better than a count of nanoseconds.
std::string duration_text(Duration d) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
    if (ms % 3'600'000 == 0 && ms != 0) return fmt::format("{}h", ms / 3'600'000);
    if (ms % 1000 == 0) return fmt::format("{}s", ms / 1000);
    return fmt::format("{}ms", ms);
}

}  // namespace

std::string SourcePos::to_string(std::string_view file) const {
    if (!option.empty()) return option;
    if (line == 0) return std::string(file);
    return fmt::format("{}:{}:{}", file, line, column);
}

const OptionValue* OptionTable::find(std::string_view key) const {
    for (const Entry& entry : entries_) {
        if (entry.key == key) return &entry.value;
    }
    return nullptr;
}

OptionValue* OptionTable::find(std::string_view key) {
    return const_cast<OptionValue*>(std::as_const(*this).find(key));
}

void OptionTable::set(std::string_view key, OptionValue value) {
    if (OptionValue* old = find(key)) {
        *old = std::move(value);
    } else {
        entries_.push_back({std::string(key), std::move(value)});
    }
}

OptionTable& OptionTable::table(std::string_view key) {
    OptionValue* value = find(key);
    if (value == nullptr || value->get<OptionTable>() == nullptr) {
        set(key, OptionValue(OptionTable{}, {}));
        value = find(key);
    }
    return *value->get<OptionTable>();
}

void OptionTable::append(std::string_view key, OptionValue value) {
    OptionValue* list = find(key);
    if (list == nullptr || list->get<OptionList>() == nullptr) {
        set(key, OptionValue(OptionList{}, value.at()));
        list = find(key);
    }
    list->get<OptionList>()->push_back(std::move(value));
}

void OptionTable::erase(std::string_view key) {
    std::erase_if(entries_, [&](const Entry& entry) { return entry.key == key; });
}

std::optional<std::string> scalar_text(const OptionValue& value) {
    if (const auto* flag = value.get<bool>()) return *flag ? "true" : "false";
    if (const auto* number = value.get<std::int64_t>()) return fmt::format("{}", *number);
    if (const auto* number = value.get<double>()) return fmt::format("{}", *number);
    if (const auto* text = value.get<std::string>()) return *text;
    return std::nullopt;
}

bool same_value(const OptionValue& a, const OptionValue& b) {
    if (const auto text = scalar_text(a)) return text == scalar_text(b);
    const auto* list = a.get<OptionList>();
    const auto* other_list = b.get<OptionList>();
    if (list != nullptr && other_list != nullptr) {
        return std::ranges::equal(*list, *other_list, same_value);
    }
    const auto* table = a.get<OptionTable>();
    const auto* other_table = b.get<OptionTable>();
    return table != nullptr && other_table != nullptr && same_table(*table, *other_table);
}

bool same_table(const OptionTable& a, const OptionTable& b) {
    return a.entries().size() == b.entries().size() &&
           std::ranges::all_of(a.entries(), [&b](const OptionTable::Entry& entry) {
               const OptionValue* other = b.find(entry.key);
               return other != nullptr && same_value(entry.value, *other);
           });
}

std::string_view OptionValue::kind() const {
    switch (data_.index()) {
        case 0:
            return "true or false";
        case 1:
            return "a number";
        case 2:
            return "a fraction";
        case 3:
            return "a string";
        case 4:
            return "a list";
        default:
            return "a table";
    }
}

const OptionValue* OptionReader::take(std::string_view key) {
    known_.emplace_back(key);
    return table_.find(key);
}

std::string OptionReader::path_of(std::string_view key) const {
    return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

SourcePos OptionReader::position_of(std::string_view key) const {
    const OptionValue* value = table_.find(key);
    return value == nullptr ? at_ : value->at();
}

void OptionReader::problem(std::string_view key, const SourcePos& at, std::string text) {
    problems_.push_back({at, path_of(key), std::move(text)});
}

void OptionReader::problem(std::string_view key, std::string text) {
    problem(key, position_of(key), std::move(text));
}

bool OptionReader::boolean(std::string_view key, bool fallback) {
    const OptionValue* value = take(key);
    if (value == nullptr) return fallback;
    if (const bool* flag = value->get<bool>()) return *flag;
    problem(key, fmt::format("must be true or false, not {}", value->kind()));
    return fallback;
}

std::int64_t OptionReader::integer(
    std::string_view key, std::int64_t fallback, std::int64_t least, std::int64_t most
) {
    const OptionValue* value = take(key);
    if (value == nullptr) return fallback;
    std::optional<std::int64_t> number;
    if (const auto* direct = value->get<std::int64_t>()) number = *direct;
    // Numbers from a command line, and from files in the reference's style, may be in quotes.
    if (const auto* text = value->get<std::string>()) {
        std::int64_t parsed = 0;
        const auto [end, error] =
            std::from_chars(text->data(), text->data() + text->size(), parsed);
        if (error == std::errc{} && end == text->data() + text->size()) number = parsed;
    }
    if (!number || *number < least || *number > most) {
        problem(key, fmt::format("must be a whole number from {} to {}", least, most));
        return fallback;
    }
    return *number;
}

std::string OptionReader::text(std::string_view key, std::string_view fallback) {
    const OptionValue* value = take(key);
    if (value == nullptr) return std::string(fallback);
    if (const auto* text = value->get<std::string>()) return *text;
    problem(key, fmt::format("must be a string in quotes, not {}", value->kind()));
    return std::string(fallback);
}

std::string OptionReader::word(
    std::string_view key, std::string_view fallback, std::initializer_list<std::string_view> words
) {
    const std::size_t before = problems_.size();
    std::string word = text(key, fallback);
    if (std::find(words.begin(), words.end(), word) != words.end()) return word;
    if (problems_.size() == before) {
        problem(key, fmt::format("must be one of: {}", fmt::join(words, ", ")));
    }
    return std::string(fallback);
}

Duration OptionReader::duration(
    std::string_view key, Duration fallback, Duration least, Duration most
) {
    const OptionValue* value = take(key);
    if (value == nullptr) return fallback;
    std::optional<Duration> parsed;
    if (const auto* text = value->get<std::string>()) parsed = parse_duration(*text);
    if (const auto* number = value->get<std::int64_t>()) {
        // The bound keeps the product within 64 bits.
        if (*number >= 0 && *number <= 4'000'000'000) parsed = std::chrono::seconds(*number);
    }
    if (!parsed || *parsed < least || *parsed > most) {
        problem(
            key, fmt::format(
                     "must be a time from {} to {}, as \"90s\", \"15m\" or a number of seconds",
                     duration_text(least), duration_text(most)
                 )
        );
        return fallback;
    }
    return *parsed;
}

std::vector<std::pair<std::string, SourcePos>> OptionReader::texts(std::string_view key) {
    std::vector<std::pair<std::string, SourcePos>> out;
    const OptionValue* value = take(key);
    if (value == nullptr) return out;
    if (const auto* single = value->get<std::string>()) {
        out.emplace_back(*single, value->at());
        return out;
    }
    const auto* list = value->get<OptionList>();
    if (list == nullptr) {
        problem(key, fmt::format("must be a list of strings, not {}", value->kind()));
        return out;
    }
    for (const OptionValue& item : *list) {
        if (const auto* text = item.get<std::string>()) {
            out.emplace_back(*text, item.at());
        } else {
            problem(key, item.at(), fmt::format("must hold strings, not {}", item.kind()));
        }
    }
    return out;
}

const OptionTable* OptionReader::table(std::string_view key) {
    const OptionValue* value = take(key);
    if (value == nullptr) return nullptr;
    if (const auto* table = value->get<OptionTable>()) return table;
    problem(key, fmt::format("must be a table, not {}", value->kind()));
    return nullptr;
}

std::vector<std::pair<const OptionTable*, SourcePos>> OptionReader::tables(std::string_view key) {
    std::vector<std::pair<const OptionTable*, SourcePos>> out;
    const OptionValue* value = take(key);
    if (value == nullptr) return out;
    const auto* list = value->get<OptionList>();
    if (list == nullptr) {
        problem(
            key, fmt::format("must be written as [[{}]], not as {}", path_of(key), value->kind())
        );
        return out;
    }
    for (const OptionValue& item : *list) {
        if (const auto* table = item.get<OptionTable>()) {
            out.emplace_back(table, item.at());
        } else {
            problem(key, item.at(), fmt::format("must hold tables, not {}", item.kind()));
        }
    }
    return out;
}

void OptionReader::finish() {
    for (const OptionTable::Entry& entry : table_.entries()) {
        if (std::find(known_.begin(), known_.end(), entry.key) != known_.end()) continue;
        if (entry.key == "?") {
            std::ranges::sort(known_);
            problem("?", entry.value.at(), fmt::format("known here: {}", fmt::join(known_, ", ")));
            continue;
        }
        const std::string near = nearest_name(entry.key, known_);
        problem(
            entry.key, entry.value.at(),
            near.empty() ? std::string("is not a key that is known here")
                         : fmt::format("is not a key that is known here; did you mean `{}`?", near)
        );
    }
}

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
    std::string best;
    std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
    for (const std::string& candidate : known) {
        const std::size_t distance = edit_distance(name, candidate);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

std::optional<Duration> parse_duration(std::string_view text) {
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    // Bounded so that the count of nanoseconds fits 64 bits, here for seconds, below for days.
    if (error != std::errc{} || count < 0 || count > 4'000'000'000) return std::nullopt;
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    if (unit == "ms") return std::chrono::milliseconds(count);
    if (unit.empty() || unit == "s") return std::chrono::seconds(count);
    if (count > 100'000) return std::nullopt;
    if (unit == "m") return std::chrono::minutes(count);
    if (unit == "h") return std::chrono::hours(count);
    if (unit == "d") return std::chrono::hours(24 * count);
    return std::nullopt;
}

}  // namespace selvage
