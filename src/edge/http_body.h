// Finds the end of an HTTP/1 body in the bytes that carry it, without changing them.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "edge/http_head.h"

namespace selvage::edge {

class BodyMeter {
public:
    explicit BodyMeter(BodyLength length);

    // How many of these bytes, from the front, belong to the body. Fewer than all only when it is
    // done or failed.
    std::size_t take(ByteView bytes);
    bool done() const { return state_ == State::done; }
    bool failed() const { return state_ == State::failed; }
    // Ends only with the connection.
    bool until_close() const { return state_ == State::endless; }

private:
    // Of a chunked body (RFC 9112, section 7.1), strictly: lines end with CR LF.
    enum class State : std::uint8_t {
        counted,       // left_ bytes to go
        endless,       // everything
        size,          // the hexadecimal digits of a chunk's size
        extension,     // from ';' to the end of the line
        size_lf,       // the LF of that line
        data,          // left_ bytes of a chunk to go
        data_cr,       // and its CR
        data_lf,       // and its LF
        trailer,       // the start of a line behind the last chunk
        trailer_line,  // within such a line
        trailer_lf,    // its LF
        last_lf,       // the LF of the empty line
        done,
        failed,
    };
    State step(std::uint8_t byte);
    State step_size(std::uint8_t byte);

    State state_;
    std::uint64_t left_ = 0;
    std::uint32_t digits_ = 0;
    std::uint32_t line_ = 0;  // bytes of the extension or trailers so far; bounded
};

}  // namespace selvage::edge
