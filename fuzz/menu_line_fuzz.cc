// Keys from strangers at the menu: the line and its history stay within their bounds, and what is
// shown is harmless and in proportion to what came in.
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "edge/menu_line.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace selvage;
    using edge::MenuLine;
    if (size == 0) return 0;
    MenuLine line("selvage> ", [](std::string_view before, std::string_view word) {
        // A member calls itself as it likes; the word itself is the likeliest to go wrong.
        return std::vector<std::string>{
            "peers",
            "ping",
            "w\xc3\xa4hler",
            "w\xc3\xb6rter",
            std::string(word) + "x",
            std::string(before) + std::string(word)
        };
    });
    line.set_columns(data[0]);
    std::string out;
    line.start(out);
    for (std::size_t i = 1; i < size; ++i) {
        out.clear();
        const auto state = line.type(data[i], out);
        // At most a list of choices and the row twice, in characters of up to four bytes.
        if (out.size() > 64 * 1024) __builtin_trap();
        for (const char c : out) {
            const bool plain = static_cast<std::uint8_t>(c) >= 0x20 && c != 0x7f;
            if (!plain && c != '\r' && c != '\n' && c != '\b') __builtin_trap();
        }
        if (!is_utf8(as_view(out))) __builtin_trap();
        if (line.size() > MenuLine::kLineMax) __builtin_trap();
        if (line.history_size() > MenuLine::kHistoryMax) __builtin_trap();
        if (state == MenuLine::State::ended) return 0;
        if (state == MenuLine::State::typing) continue;
        const std::string text = state == MenuLine::State::done ? line.take() : "";
        if (!is_utf8(as_view(text))) __builtin_trap();
        line.start(out);
    }
    return 0;
}
