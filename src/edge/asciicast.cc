// JSON by hand: strings and numbers are all there is.
#include "edge/asciicast.h"

#include <fmt/format.h>

#include <algorithm>

namespace selvage::edge {
namespace {

// Of a character that begins so; 1 for what begins none.
std::size_t length_of(std::uint8_t first) {
    if (first >= 0xf0 && first < 0xf8) return 4;
    if (first >= 0xe0 && first < 0xf0) return 3;
    if (first >= 0xc0 && first < 0xe0) return 2;
    return 1;
}

void append_ascii(std::uint8_t byte, std::string& out) {
    if (byte == '"' || byte == '\\') {
        out.push_back('\\');
        out.push_back(static_cast<char>(byte));
    } else if (byte < 0x20 || byte == 0x7f) {
        out += fmt::format("\\u{:04x}", byte);
    } else {
        out.push_back(static_cast<char>(byte));
    }
}

bool is_continuation(std::uint8_t byte) {
    return (byte & 0xc0) == 0x80;
}

// The bytes for the inside of a JSON string; what is left is the beginning of a character.
ByteView escape(ByteView bytes, std::string& out) {
    while (!bytes.empty()) {
        const std::size_t length = length_of(bytes.front());
        const ByteView first = bytes.first(std::min(length, bytes.size()));
        if (length == 1 && bytes.front() < 0x80) {
            append_ascii(bytes.front(), out);
        } else if (is_utf8(first)) {
            out += as_text(first);
        } else if (first.size() < length &&
                   std::ranges::all_of(first.subspan(1), is_continuation)) {
            return first;
        } else {
            out += "\\ufffd";
            bytes = bytes.subspan(1);
            continue;
        }
        bytes = bytes.subspan(length);
    }
    return {};
}

std::string escaped(std::string_view text) {
    std::string out;
    static_cast<void>(escape(as_view(text), out));
    return out;
}

}  // namespace

std::string Asciicast::header(
    TerminalSize size, WallTime at, std::string_view term, std::string_view title
) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(at).time_since_epoch().count();
    return fmt::format(
        "{{\"version\": 2, \"width\": {}, \"height\": {}, \"timestamp\": {}, \"title\": \"{}\", "
        "\"env\": {{\"TERM\": \"{}\"}}}}\n",
        size.columns, size.rows, seconds, escaped(title), escaped(term)
    );
}

std::string Asciicast::output(ByteView bytes, TimePoint now) {
    Bytes joined = std::exchange(cut_, {});
    joined.insert(joined.end(), bytes.begin(), bytes.end());
    std::string text;
    text.reserve(joined.size() + joined.size() / 8);
    const ByteView rest = escape(joined, text);
    cut_.assign(rest.begin(), rest.end());
    return event('o', text, now);
}

std::string Asciicast::resize(TerminalSize size, TimePoint now) const {
    return event('r', fmt::format("{}x{}", size.columns, size.rows), now);
}

std::string Asciicast::event(char kind, std::string_view text, TimePoint now) const {
    const std::chrono::duration<double> since = now - began_;
    return fmt::format("[{:.6f}, \"{}\", \"{}\"]\n", since.count(), kind, text);
}

}  // namespace selvage::edge
