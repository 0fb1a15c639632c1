// Counting, and the states of a chunked body.
#include "edge/http_body.h"

#include <algorithm>

namespace selvage::edge {
namespace {

constexpr std::uint32_t kDigitsMax = 15;        // 2^60 bytes in one chunk
constexpr std::uint32_t kExtrasMax = 8 * 1024;  // of one extension, or of all trailers

int hex_value(std::uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

BodyMeter::BodyMeter(BodyLength length) : state_(State::done) {
    switch (length.kind) {
        case BodyLength::Kind::none:
            break;
        case BodyLength::Kind::counted:
            left_ = length.bytes;
            if (left_ != 0) state_ = State::counted;
            break;
        case BodyLength::Kind::chunked:
            state_ = State::size;
            break;
        case BodyLength::Kind::until_close:
            state_ = State::endless;
            break;
    }
}

std::size_t BodyMeter::take(ByteView bytes) {
    std::size_t used = 0;
    while (used < bytes.size()) {
        if (state_ == State::done || state_ == State::failed) return used;
        if (state_ == State::endless) return bytes.size();
        if (state_ == State::counted || state_ == State::data) {
            const auto now =
                static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size() - used));
            used += now;
            left_ -= now;
            if (left_ == 0) state_ = state_ == State::data ? State::data_cr : State::done;
            continue;
        }
        state_ = step(bytes[used]);
        if (state_ != State::failed) ++used;
    }
    return used;
}

BodyMeter::State BodyMeter::step_size(std::uint8_t byte) {
    if (const int value = hex_value(byte); value >= 0) {
        if (++digits_ > kDigitsMax) return State::failed;
        left_ = left_ * 16 + static_cast<std::uint64_t>(value);
        return State::size;
    }
    if (digits_ == 0) return State::failed;
    line_ = 0;
    if (byte == '\r') return State::size_lf;
    return byte == ';' || byte == ' ' || byte == '\t' ? State::extension : State::failed;
}

BodyMeter::State BodyMeter::step(std::uint8_t byte) {
    const auto then = [byte](std::uint8_t wanted, State next) {
        return byte == wanted ? next : State::failed;
    };
    switch (state_) {
        case State::size:
            return step_size(byte);
        case State::extension:
            if (byte == '\r') return State::size_lf;
            return byte == '\n' || ++line_ > kExtrasMax ? State::failed : State::extension;
        case State::size_lf: {
            const bool last = left_ == 0;
            digits_ = 0;
            line_ = 0;
            return then('\n', last ? State::trailer : State::data);
        }
        case State::data_cr:
            return then('\r', State::data_lf);
        case State::data_lf:
            return then('\n', State::size);
        case State::trailer:
            if (byte == '\r') return State::last_lf;
            [[fallthrough]];
        case State::trailer_line:
            if (byte == '\r') return State::trailer_lf;
            return byte == '\n' || ++line_ > kExtrasMax ? State::failed : State::trailer_line;
        case State::trailer_lf:
            return then('\n', State::trailer);
        case State::last_lf:
            return then('\n', State::done);
        case State::counted:
        case State::endless:
        case State::data:
        case State::done:
        case State::failed:
            break;
    }
    return State::failed;
}

}  // namespace selvage::edge
