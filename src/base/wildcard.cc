// Matching with one place to come back to: the last star, and what it had swallowed.
#include "base/wildcard.h"

#include <cstddef>
#include <optional>

namespace selvage {
namespace {

// Bytes of the UTF-8 character at the front; 1 for anything that is not UTF-8.
std::size_t character_bytes(std::string_view text) {
    std::size_t bytes = 1;
    while (bytes < text.size() && bytes < 4 &&
           (static_cast<unsigned char>(text[bytes]) & 0xc0U) == 0x80U) {
        ++bytes;
    }
    return bytes;
}

struct Star {
    std::string_view pattern;  // behind the star
    std::string_view text;     // what the star has not swallowed yet
};

}  // namespace

bool matches_wildcard(std::string_view pattern, std::string_view text) {
    std::optional<Star> star;
    while (!text.empty()) {
        if (!pattern.empty() && pattern.front() == '*') {
            pattern.remove_prefix(1);
            star = Star{pattern, text};
        } else if (!pattern.empty() && pattern.front() == '?') {
            pattern.remove_prefix(1);
            text.remove_prefix(character_bytes(text));
        } else if (!pattern.empty() && pattern.front() == text.front()) {
            pattern.remove_prefix(1);
            text.remove_prefix(1);
        } else if (star) {
            star->text.remove_prefix(character_bytes(star->text));
            pattern = star->pattern;
            text = star->text;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*') == std::string_view::npos;
}

bool matches_wildcard_list(std::string_view patterns, std::string_view text) {
    for (;;) {
        const auto space = patterns.find(' ');
        if (matches_wildcard(patterns.substr(0, space), text)) return true;
        if (space == std::string_view::npos) return false;
        patterns.remove_prefix(space + 1);
    }
}

}  // namespace selvage
