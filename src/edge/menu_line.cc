// Keys, the history, completion, and how little is sent to show it.
#include "edge/menu_line.h"

#include <algorithm>

#include "base/bytes.h"

namespace selvage::edge {
namespace {

constexpr std::uint8_t control(char letter) {
    return static_cast<std::uint8_t>(letter - '@');
}
constexpr std::uint8_t kEscape = 0x1b;
constexpr std::uint8_t kDelete = 0x7f;
constexpr std::size_t kColumnsLeast = 20;

bool is_control(char32_t character) {
    return character < 0x20 || (character >= 0x7f && character < 0xa0);
}

void append_utf8(char32_t character, std::string& out) {
    const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (character < 0x80) {
        put(character);
    } else if (character < 0x800) {
        put(0xc0 | character >> 6);
        put(0x80 | (character & 0x3f));
    } else if (character < 0x10000) {
        put(0xe0 | character >> 12);
        put(0x80 | (character >> 6 & 0x3f));
        put(0x80 | (character & 0x3f));
    } else {
        put(0xf0 | character >> 18);
        put(0x80 | (character >> 12 & 0x3f));
        put(0x80 | (character >> 6 & 0x3f));
        put(0x80 | (character & 0x3f));
    }
}

std::string common_start(const std::vector<std::string>& words) {
    std::string out = words.front();
    for (const std::string& word : words) {
        const auto [end, ignored] = std::ranges::mismatch(out, word);
        out.erase(end, out.end());
    }
    return out;
}

}  // namespace

std::string to_utf8(std::u32string_view text) {
    std::string out;
    for (const char32_t character : text)
        append_utf8(character, out);
    return out;
}

std::string for_terminal(std::string_view text) {
    std::string out;
    out.reserve(text.size() + text.size() / 32);
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<std::uint8_t>(text[i]);
        const bool second_set =
            byte == 0xc2 && i + 1 < text.size() && static_cast<std::uint8_t>(text[i + 1]) < 0xa0;
        if (byte == '\n') {
            out += "\r\n";
        } else if (byte < 0x20 || byte == kDelete) {
            out.push_back('?');
        } else if (second_set) {
            out.push_back('?');
            ++i;
        } else {
            out.push_back(text[i]);
        }
    }
    return out;
}

void MenuLine::set_columns(std::size_t columns) {
    columns_ = std::max(columns, kColumnsLeast);
}

void MenuLine::start(std::string& out) {
    out += prompt_;
    row_used_ = prompt_.size();
}

std::string MenuLine::take() {
    const std::string line = to_utf8(text_);
    if (!text_.empty() && (history_.empty() || history_.back() != text_)) {
        if (history_.size() >= kHistoryMax) history_.pop_front();
        history_.push_back(text_);
    }
    text_.clear();
    new_line_.clear();
    cursor_ = first_shown_ = 0;
    recalled_ = history_.size();
    return line;
}

MenuLine::State MenuLine::type(std::uint8_t byte, std::string& out) {
    if (escape_ != Escape::none && escape_byte(byte, out)) return State::typing;
    const bool tab_again = std::exchange(asked_twice_, false);
    if (byte >= 0x20 && byte != kDelete) {
        if (const auto character = decode(byte)) insert(*character, out);
        return State::typing;
    }
    utf8_left_ = 0;
    if (byte == kEscape) {
        escape_ = Escape::started;
        return State::typing;
    }
    if (byte == control('I')) {
        asked_twice_ = true;
        complete(tab_again, out);
        return State::typing;
    }
    return key(byte, out);
}

MenuLine::State MenuLine::key(std::uint8_t byte, std::string& out) {
    if (byte == '\r' || byte == '\n') {
        out += "\r\n";
        return State::done;
    }
    if (byte == control('C')) {
        out += "^C\r\n";
        text_.clear();
        static_cast<void>(take());
        return State::aborted;
    }
    if (byte == control('D') && text_.empty()) {
        out += "\r\n";
        return State::ended;
    }
    edit(byte);
    if (byte == control('L')) {
        out += "\r\n";
        row_used_ = 0;
    }
    redraw(out);
    return State::typing;
}

void MenuLine::edit(std::uint8_t control_key) {
    switch (control_key) {
        case control('A'):
            cursor_ = 0;
            break;
        case control('B'):
            if (cursor_ != 0) --cursor_;
            break;
        case control('D'):
            erase(cursor_, cursor_ + 1);
            break;
        case control('E'):
            cursor_ = text_.size();
            break;
        case control('F'):
            if (cursor_ < text_.size()) ++cursor_;
            break;
        case control('H'):
        case kDelete:
            if (cursor_ != 0) erase(cursor_ - 1, cursor_);
            break;
        case control('K'):
            erase(cursor_, text_.size());
            break;
        case control('N'):
            newer();
            break;
        case control('P'):
            older();
            break;
        case control('U'):
            erase(0, cursor_);
            break;
        case control('W'):
            erase(word_start(), cursor_);
            break;
        default:
            break;
    }
}

bool MenuLine::escape_byte(std::uint8_t byte, std::string& out) {
    const Escape state = std::exchange(escape_, Escape::none);
    if (byte < 0x20 || byte >= kDelete) return false;  // Return and Ctrl-C work at any time
    if (state == Escape::started) {
        parameter_ = 0;
        if (byte == '[') escape_ = Escape::control;
        if (byte == 'O') escape_ = Escape::single;
        return true;
    }
    if (state == Escape::control && byte < 0x40) {
        // One digit is all that our keys have; the rest may be anything.
        if (byte >= '0' && byte <= '9') parameter_ = byte;
        escape_ = Escape::control;
        return true;
    }
    finish_escape(byte);
    redraw(out);
    return true;
}

void MenuLine::finish_escape(std::uint8_t byte) {
    switch (byte) {
        case 'A':
            older();
            break;
        case 'B':
            newer();
            break;
        case 'C':
            edit(control('F'));
            break;
        case 'D':
            edit(control('B'));
            break;
        case 'H':
            cursor_ = 0;
            break;
        case 'F':
            cursor_ = text_.size();
            break;
        case '~':
            if (parameter_ == '1' || parameter_ == '7') cursor_ = 0;
            if (parameter_ == '3') erase(cursor_, cursor_ + 1);
            if (parameter_ == '4' || parameter_ == '8') cursor_ = text_.size();
            break;
        default:
            break;
    }
}

std::optional<char32_t> MenuLine::decode(std::uint8_t byte) {
    const bool continuation = (byte & 0xc0) == 0x80;
    if (continuation && utf8_left_ != 0) {
        utf8_ = utf8_ << 6 | (byte & 0x3f);
        if (--utf8_left_ != 0) return std::nullopt;
        const bool bad = utf8_ < utf8_least_ || utf8_ > 0x10ffff ||
                         (utf8_ >= 0xd800 && utf8_ < 0xe000) || is_control(utf8_);
        if (bad) return std::nullopt;
        return utf8_;
    }
    utf8_left_ = 0;
    if (byte < 0x80) return byte;
    if (continuation || byte >= 0xf8) return std::nullopt;
    utf8_left_ = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    utf8_ = byte & (0x3f >> utf8_left_);
    utf8_least_ = utf8_left_ == 1 ? 0x80 : utf8_left_ == 2 ? 0x800 : 0x10000;
    return std::nullopt;
}

void MenuLine::insert(char32_t character, std::string& out) {
    if (text_.size() >= kLineMax) return;
    const bool at_end = cursor_ == text_.size();
    text_.insert(text_.begin() + static_cast<std::ptrdiff_t>(cursor_), character);
    ++cursor_;
    if (at_end && first_shown_ == 0 && row_used_ + 1 < columns_) {
        append_utf8(character, out);
        ++row_used_;
    } else {
        redraw(out);
    }
}

void MenuLine::erase(std::size_t from, std::size_t to) {
    to = std::min(to, text_.size());
    if (from >= to) return;
    text_.erase(from, to - from);
    if (cursor_ > from) cursor_ = cursor_ >= to ? cursor_ - (to - from) : from;
}

// Of the word left of the cursor, and of the spaces between.
std::size_t MenuLine::word_start() const {
    std::size_t at = cursor_;
    while (at != 0 && text_[at - 1] == ' ')
        --at;
    while (at != 0 && text_[at - 1] != ' ')
        --at;
    return at;
}

void MenuLine::recall(std::size_t at) {
    if (recalled_ == history_.size()) new_line_ = text_;
    recalled_ = at;
    text_ = at == history_.size() ? new_line_ : history_[at];
    cursor_ = text_.size();
}

void MenuLine::older() {
    if (recalled_ != 0) recall(recalled_ - 1);
}

void MenuLine::newer() {
    if (recalled_ < history_.size()) recall(recalled_ + 1);
}

void MenuLine::complete(bool list_choices, std::string& out) {
    std::size_t start = cursor_;
    while (start != 0 && text_[start - 1] != ' ')
        --start;
    const std::u32string_view all = text_;
    const std::string word = to_utf8(all.substr(start, cursor_ - start));
    std::vector<std::string> choices = complete_(to_utf8(all.substr(0, start)), word);
    std::erase_if(choices, [&](const std::string& choice) {
        return !choice.starts_with(word) || choice.find(' ') != std::string::npos ||
               !is_utf8(as_view(choice)) || for_terminal(choice) != choice;
    });
    std::ranges::sort(choices);
    const auto same = std::ranges::unique(choices);
    choices.erase(same.begin(), same.end());
    if (choices.empty()) return;
    std::string rest = common_start(choices).substr(word.size());
    if (choices.size() == 1) rest.push_back(' ');
    for (const char byte : rest) {
        // Half a character, where two choices differ within one, waits for its other half.
        if (const auto character = decode(static_cast<std::uint8_t>(byte))) insert(*character, out);
    }
    utf8_left_ = 0;
    if (!rest.empty() || !list_choices) return;
    out += "\r\n";
    for (std::size_t i = 0; i < std::min(choices.size(), kChoicesShown); ++i)
        out += choices[i] + "  ";
    out += choices.size() > kChoicesShown ? "...\r\n" : "\r\n";
    row_used_ = 0;
    redraw(out);
}

void MenuLine::redraw(std::string& out) {
    // The last column stays free: some terminals go to the next row after it.
    const std::size_t width = columns_ - 1 - std::min(prompt_.size(), columns_ - 2);
    if (cursor_ < first_shown_) first_shown_ = cursor_;
    if (cursor_ - first_shown_ > width) first_shown_ = cursor_ - width;
    if (text_.size() <= width) first_shown_ = 0;
    const auto shown = std::u32string_view(text_).substr(first_shown_, width);
    const std::size_t used = prompt_.size() + shown.size();
    const std::size_t left_over = row_used_ > used ? row_used_ - used : 0;
    out += "\r" + prompt_ + to_utf8(shown);
    out.append(left_over, ' ');
    out.append(left_over + shown.size() - (cursor_ - first_shown_), '\b');
    row_used_ = used;
}

}  // namespace selvage::edge
