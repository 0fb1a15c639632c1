// The few keys that matter at a login prompt.
#include "edge/line_editor.h"

namespace selvage::edge {
namespace {

constexpr std::uint8_t kControlC = 0x03;
constexpr std::uint8_t kControlD = 0x04;
constexpr std::uint8_t kBackspace = 0x08;
constexpr std::uint8_t kControlU = 0x15;
constexpr std::uint8_t kDelete = 0x7f;

bool is_continuation(std::uint8_t byte) {
    return (byte & 0xc0) == 0x80;
}

}  // namespace

void LineEditor::erase_one(std::string& echo) {
    while (!text_.empty()) {
        const std::uint8_t last = text_.back();
        text_.back() = 0;
        text_.pop_back();
        if (!is_continuation(last)) break;  // a character of UTF-8 goes as a whole
    }
    if (shown_) echo += "\b \b";
}

LineEditor::State LineEditor::type(std::uint8_t byte, std::string& echo) {
    switch (byte) {
        case '\r':
        case '\n':
            echo += "\r\n";
            return State::done;
        case kControlC:
            echo += "\r\n";
            return State::aborted;
        case kControlD:
            if (text_.empty()) {
                echo += "\r\n";
                return State::aborted;
            }
            return State::typing;
        case kBackspace:
        case kDelete:
            if (!text_.empty()) erase_one(echo);
            return State::typing;
        case kControlU:
            while (!text_.empty())
                erase_one(echo);
            return State::typing;
        default:
            break;
    }
    if (byte < 0x20 || text_.size() >= limit_) return State::typing;
    text_.push_back(byte);
    if (shown_) echo.push_back(static_cast<char>(byte));
    return State::typing;
}

}  // namespace selvage::edge
