// Environment variables: their lookup as a value, and their substitution in files.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace selvage::config {

using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// Replaces $NAME, ${NAME} and ${NAME:-default}; $$ is a dollar sign. If any variable without a
// default is undefined, or the syntax is bad, the whole text stays as it is, as in the reference,
// and `left_because` says why. A crypt(3) hash ("$6$...") is not a reference and is kept.
struct Substituted {
    std::string text;
    bool changed = false;
    std::string left_because;
};
Substituted substitute(std::string_view text, const Environment& environment);

}  // namespace selvage::config
