// Names against patterns: `*` stands for any text, `?` for any one character, everything else for
// itself. Case matters. This is how the reference matches names of networks.
#pragma once

#include <string_view>

namespace selvage {

// Takes time in proportion to the product of the lengths at most, whatever the pattern.
bool matches_wildcard(std::string_view pattern, std::string_view text);

// Whether one of the patterns, separated by single spaces, matches. An empty list is one empty
// pattern, and matches the empty text only.
bool matches_wildcard_list(std::string_view patterns, std::string_view text);

}  // namespace selvage
