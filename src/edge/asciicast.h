// What a terminal showed, in the format of asciinema (asciicast v2): a line of JSON that says how
// large the terminal was, then a line for each piece of output and each change of size. What was
// typed is not in it, because it may be a password. Without I/O.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/time.h"
#include "edge/terminal.h"

namespace selvage::edge {

class Asciicast {
public:
    explicit Asciicast(TimePoint began) : began_(began) {}

    static std::string header(
        TerminalSize size, WallTime at, std::string_view term, std::string_view title
    );
    // Bytes that are not UTF-8 become U+FFFD; a character that is cut waits for its rest.
    std::string output(ByteView bytes, TimePoint now);
    std::string resize(TerminalSize size, TimePoint now) const;

private:
    std::string event(char kind, std::string_view escaped, TimePoint now) const;

    TimePoint began_;
    Bytes cut_;  // at most three bytes of a character
};

}  // namespace selvage::edge
