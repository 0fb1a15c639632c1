// Configuration files: whatever they hold, reading them ends in options or in sentences that do not
// tell the secrets of the file.
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "config/describe.h"
#include "config/environment.h"
#include "config/load.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace selvage;
    const auto text = as_text({data, size});
    static_cast<void>(config::substitute(text, [](const std::string&) { return std::nullopt; }));
    const auto parsed = config::parse_toml(text, "fuzz.toml");
    if (!parsed) {
        if (parsed.error().message().empty()) __builtin_trap();
        return 0;
    }
    static_cast<void>(config::describe(*parsed));
    return 0;
}
