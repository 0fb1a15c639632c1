// One caller's telnet connection: its stream, the protocol on it, what was typed and not yet used,
// and what waits to be written. The shell and the menu are built on it.
#pragma once

#include <cstdint>

#include "edge/line_editor.h"
#include "edge/recording.h"
#include "edge/telnet.h"
#include "edge/terminal.h"
#include "rt/event.h"
#include "rt/runtime.h"
#include "rt/stream.h"

namespace selvage::edge {

class TelnetSession {
public:
    TelnetSession(rt::Runtime& runtime, rt::StreamPtr stream)
        : runtime_(runtime), stream_(std::move(stream)), output_changed_(runtime) {}

    Telnet& telnet() { return telnet_; }

    // Where one coroutine does everything: writes what there is, then reads.
    rt::Task<Result<>> exchange();
    rt::Task<Result<>> flush();
    rt::Task<Result<>> read();
    // As flush(), and what was said reaches the client although the session ends with an error.
    rt::Task<Result<>> last_words();
    // A line that the user types after `prompt`.
    rt::Task<Result<>> ask(std::string_view prompt, LineEditor& line);
    // Until the client has said what its terminal is. One that says nothing, such as netcat, is
    // waited for a second.
    rt::Task<Result<>> settle();
    // One typed byte; nothing when all have been taken.
    std::optional<std::uint8_t> take_typed();
    bool typed_waits() const { return !typed_.empty(); }
    // Reads until an interrupt, by key or by telnet, or the end of the stream. What was typed
    // before it is forgotten, what comes after it stays. Keys beyond a few thousand wait unread.
    rt::Task<> interrupted();
    // Reads until one of these keys, an interrupt, or the end of the stream. Other keys are
    // dropped.
    rt::Task<> pressed(std::string_view keys);
    // Joins client and terminal until one of them ends, or there is no room to record what the
    // terminal shows. Without a recording it is null.
    rt::Task<> run(Terminal& terminal, SessionRecording* recording);

private:
    LineEditor::State type_into(LineEditor& line);
    rt::Task<Result<>> settle_without_limit();
    rt::Task<> from_client(Terminal& terminal, SessionRecording* recording);
    rt::Task<> from_terminal(Terminal& terminal, SessionRecording* recording);
    rt::Task<> to_client();
    rt::Task<> room_for_output();

    rt::Runtime& runtime_;
    rt::StreamPtr stream_;
    Telnet telnet_;
    Bytes typed_;  // bounded by one read, in interrupted() by its limit
    bool writing_ = false;
    rt::Event output_changed_;
};

}  // namespace selvage::edge
