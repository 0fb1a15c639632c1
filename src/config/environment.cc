// Substitution of environment variables.
#include "config/environment.h"

#include <fmt/format.h>

#include "base/log.h"

namespace selvage::config {
namespace {

bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The length of a crypt(3) hash at the start of the text, 0 if there is none: "$id$" and then what
// such hashes are made of.
std::size_t hash_length(std::string_view text) {
    const auto second = text.find('$', 1);
    if (second == std::string_view::npos || second < 2 || second > 4) return 0;
    const std::string_view id = text.substr(1, second - 1);
    if (id != "1" && id != "5" && id != "6" && id != "y" && id != "gy" && id != "7" &&
        !(id.size() == 2 && id[0] == '2')) {
        return 0;
    }
    std::size_t end = second;
    while (end < text.size()) {
        const char c = text[end];
        if (!is_name_char(c) && c != '$' && c != '.' && c != '/' && c != '=' && c != ',') break;
        ++end;
    }
    return end;
}

class Substitution {
public:
    Substitution(std::string_view text, const Environment& environment)
        : rest_(text), environment_(environment) {}

    Substituted run() {
        const std::string_view whole = rest_;
        while (!rest_.empty() && out_.left_because.empty()) {
            const auto dollar = rest_.find('$');
            out_.text += rest_.substr(0, dollar);
            if (dollar == std::string_view::npos) break;
            rest_.remove_prefix(dollar);
            reference();
        }
        if (!out_.left_because.empty()) {
            out_.text = whole;
            out_.changed = false;
        }
        return std::move(out_);
    }

private:
    void keep(std::size_t count) {
        out_.text += rest_.substr(0, count);
        rest_.remove_prefix(count);
    }

    void reference() {
        if (const std::size_t hash = hash_length(rest_)) return keep(hash);
        const std::string_view after = rest_.substr(1);
        if (after.starts_with('$')) {
            out_.text += '$';
            out_.changed = true;
            rest_.remove_prefix(2);
        } else if (after.starts_with('{')) {
            braced();
        } else {
            std::size_t end = 0;
            while (end < after.size() && is_name_char(after[end]))
                ++end;
            if (end == 0) return keep(1);  // a dollar sign on its own
            const std::string name(after.substr(0, end));
            rest_.remove_prefix(1 + end);
            put(name, std::nullopt);
        }
    }

    void braced() {
        const auto close = rest_.find('}');
        if (close == std::string_view::npos) {
            out_.left_because = "\"${\" without \"}\"";
            return;
        }
        const std::string_view inner = rest_.substr(2, close - 2);
        const auto dash = inner.find(":-");
        const std::string name(inner.substr(0, dash));
        std::optional<std::string> fallback;
        if (dash != std::string_view::npos) fallback = std::string(inner.substr(dash + 2));
        rest_.remove_prefix(close + 1);
        put(name, fallback);
    }

    void put(const std::string& name, const std::optional<std::string>& fallback) {
        auto value = environment_(name);
        if (!value) value = fallback;
        if (!value) {
            out_.left_because = fmt::format("${} is not defined", printable(name, 64));
            return;
        }
        out_.text += *value;
        out_.changed = true;
    }

    std::string_view rest_;
    const Environment& environment_;
    Substituted out_;
};

}  // namespace

Substituted substitute(std::string_view text, const Environment& environment) {
    return Substitution(text, environment).run();
}

}  // namespace selvage::config
