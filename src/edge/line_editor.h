// Reads one line from a terminal in raw mode: a user name, or a password that is not shown.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "crypto/secret.h"

namespace selvage::edge {

class LineEditor {
public:
    enum class State : std::uint8_t { typing, done, aborted };

    // Beyond `limit` bytes further ones are not taken, as on a terminal whose line is full.
    LineEditor(std::size_t limit, bool shown) : limit_(limit), shown_(shown) {
        text_.reserve(limit);
    }
    ~LineEditor() { crypto::wipe(text_); }
    LineEditor(const LineEditor&) = delete;
    LineEditor& operator=(const LineEditor&) = delete;

    // Takes one typed byte; what it makes the terminal show is appended to `echo`.
    State type(std::uint8_t byte, std::string& echo);
    std::string_view text() const { return as_text(text_); }

private:
    void erase_one(std::string& echo);

    const std::size_t limit_;
    const bool shown_;
    Bytes text_;
};

}  // namespace selvage::edge
