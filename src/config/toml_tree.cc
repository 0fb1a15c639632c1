// toml++ behind a function, so that nothing else knows it.
#include "config/toml_tree.h"

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <fmt/format.h>

// The parser promises the compiler what it was not told: that a table header begins with a key
// ("[!" does not). With the promise taken out it goes on to the branch that reports the mistake.
#include <toml++/impl/preprocessor.h>
#undef TOML_ASSERT_ASSUME
#define TOML_ASSERT_ASSUME(condition) static_assert(true)
#include <toml++/toml.h>

namespace selvage::config {
namespace {

// Deeper nesting is nothing that a person wrote.
constexpr int kDeepest = 8;

SourcePos position_of(const toml::node& node) {
    const auto& at = node.source().begin;
    return {
        .line = static_cast<std::uint32_t>(at.line),
        .column = static_cast<std::uint32_t>(at.column),
        .option = {}
    };
}

class Converter {
public:
    explicit Converter(std::vector<OptionProblem>& problems) : problems_(problems) {}

    OptionTable table(const toml::table& from, const std::string& path, int depth) {
        OptionTable out;
        for (const auto& [key, node] : from) {
            const std::string name(key.str());
            const std::string full = path.empty() ? name : fmt::format("{}.{}", path, name);
            if (auto made = value(node, full, depth + 1)) out.set(name, std::move(*made));
        }
        return out;
    }

private:
    std::optional<OptionValue> value(const toml::node& node, const std::string& path, int depth) {
        const SourcePos at = position_of(node);
        if (depth > kDeepest) {
            problems_.push_back({at, path, "is nested too deeply"});
            return std::nullopt;
        }
        if (const auto* inner = node.as_table()) return OptionValue(table(*inner, path, depth), at);
        if (const auto* array = node.as_array()) {
            OptionList list;
            for (const toml::node& item : *array) {
                if (auto made = value(item, path, depth + 1)) list.push_back(std::move(*made));
            }
            return OptionValue(std::move(list), at);
        }
        if (const auto* text = node.as_string()) return OptionValue(text->get(), at);
        if (const auto* flag = node.as_boolean()) return OptionValue(flag->get(), at);
        if (const auto* number = node.as_integer()) return OptionValue(number->get(), at);
        if (const auto* number = node.as_floating_point()) return OptionValue(number->get(), at);
        problems_.push_back({at, path, "is a date or time; no key takes one"});
        return std::nullopt;
    }

    std::vector<OptionProblem>& problems_;
};

}  // namespace

OptionTable parse_toml_tree(std::string_view text, std::vector<OptionProblem>& problems) {
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
        const toml::parse_error& error = parsed.error();
        const auto& at = error.source().begin;
        // The parser's sentence names characters and key kinds, never values.
        problems.push_back(
            {{.line = static_cast<std::uint32_t>(at.line),
              .column = static_cast<std::uint32_t>(at.column),
              .option = {}},
             "",
             std::string(error.description())}
        );
        return {};
    }
    return Converter(problems).table(parsed.table(), "", 0);
}

}  // namespace selvage::config
