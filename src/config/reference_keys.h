// Keys of EasyTier's configuration that this version does not serve, or serves by doing nothing.
//
// Nothing of theirs is ignored: a key that asks for what we do anyway, or stands at a harmless
// value, is accepted; any other value is refused with a sentence. A key leaves these tables when
// the feature arrives.
#pragma once

#include <span>
#include <string_view>

namespace selvage::config {

// A key of [flags]. `accepted` lists values separated by '|', "*" is any; a value of the wrong type
// is refused in any case.
enum class FlagType { boolean, number, text };
struct FlagRule {
    std::string_view key;
    FlagType type;
    std::string_view accepted;
    std::string_view why;  // completes "`flags.KEY = VALUE` is not supported yet: "
};
std::span<const FlagRule> flag_rules();

// A key of the document itself that is accepted only when it is false, empty or absent.
struct DocumentRule {
    std::string_view key;
    std::string_view why;
};
std::span<const DocumentRule> document_rules();

}  // namespace selvage::config
