// A command line under edit, without I/O: keys in, what the terminal must show out.
//
// One row of the terminal is used, and shows a part of a line that is longer. Nothing but carriage
// returns, backspaces and spaces moves the cursor, so every terminal will do, a dumb one too. Keys:
// arrows, Home, End, Delete, Backspace, Tab, and of the control keys A B C D E F H K L N P U W.
//
// Whatever comes in, a line has at most kLineMax characters, the history kHistoryMax lines, and an
// escape sequence that is not one of ours is skipped to its end.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace selvage::edge {

class MenuLine {
public:
    static constexpr std::size_t kLineMax = 256;    // further characters are not taken
    static constexpr std::size_t kHistoryMax = 50;  // the oldest goes
    static constexpr std::size_t kChoicesShown = 40;

    enum class State : std::uint8_t {
        typing,
        done,     // take() has the line
        aborted,  // Ctrl-C: the line is gone
        ended     // Ctrl-D on an empty line
    };
    // What may stand where `word` does, given what is before it: whole words.
    using Complete =
        std::function<std::vector<std::string>(std::string_view before, std::string_view word)>;

    MenuLine(std::string prompt, Complete complete)
        : prompt_(std::move(prompt)), complete_(std::move(complete)) {}

    // Of the terminal; fewer than 20 are taken for 20.
    void set_columns(std::size_t columns);
    // Shows the prompt, where the cursor's row is empty and so is the line.
    void start(std::string& out);
    State type(std::uint8_t byte, std::string& out);
    // The line, which goes into the history.
    std::string take();

    std::size_t size() const { return text_.size(); }
    std::size_t history_size() const { return history_.size(); }

private:
    // Where in an escape sequence we are: ESC, then [ and parameters, or O and one byte.
    enum class Escape : std::uint8_t { none, started, control, single };

    State key(std::uint8_t byte, std::string& out);
    void edit(std::uint8_t control);
    // False when the byte is no part of the sequence, which ends with it.
    bool escape_byte(std::uint8_t byte, std::string& out);
    void finish_escape(std::uint8_t byte);
    // The character that ends with this byte, if one does.
    std::optional<char32_t> decode(std::uint8_t byte);
    void insert(char32_t character, std::string& out);
    void erase(std::size_t from, std::size_t to);
    std::size_t word_start() const;
    void recall(std::size_t at);
    void older();
    void newer();
    void complete(bool list_choices, std::string& out);
    void redraw(std::string& out);

    std::string prompt_;
    Complete complete_;
    std::size_t columns_ = 80;

    std::u32string text_;
    std::size_t cursor_ = 0;
    std::size_t first_shown_ = 0;
    std::size_t row_used_ = 0;  // characters on the terminal's row now

    std::deque<std::u32string> history_;
    std::size_t recalled_ = 0;  // index into the history; its size for the new line
    std::u32string new_line_;   // put aside while an old one is shown

    Escape escape_ = Escape::none;
    std::uint8_t parameter_ = 0;
    std::uint8_t utf8_left_ = 0;
    char32_t utf8_ = 0;
    char32_t utf8_least_ = 0;
    bool asked_twice_ = false;  // Tab was the last key: one more lists the choices
};

// As UTF-8.
std::string to_utf8(std::u32string_view text);

// Text of others for a terminal: control characters, those of the second set too, become '?'; line
// ends become CR LF.
std::string for_terminal(std::string_view text);

}  // namespace selvage::edge
