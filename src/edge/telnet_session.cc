// The loops between a client, its telnet connection and what it talks to.
#include "edge/telnet_session.h"

#include <algorithm>
#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "crypto/secret.h"
#include "rt/with_timeout.h"

namespace selvage::edge {
namespace {

constexpr std::size_t kReadSize = 4096;
// Bytes on the way to the client; the shell waits beyond it.
constexpr std::size_t kOutputLimit = 128 * 1024;
// How long a client may take to answer what its terminal is.
constexpr Duration kSettleLimit = std::chrono::seconds(1);
// How long a client may take to read the last words of an ended shell.
constexpr Duration kFlushLimit = std::chrono::seconds(5);
// Keys typed ahead while a command runs.
constexpr std::size_t kTypedAheadMax = 4096;
constexpr std::uint8_t kControlC = 0x03;

}  // namespace

rt::Task<Result<>> TelnetSession::exchange() {
    auto flushed = co_await flush();
    if (!flushed) co_return flushed;
    co_return co_await read();
}

rt::Task<Result<>> TelnetSession::flush() {
    while (telnet_.output_size() != 0) {
        const Bytes out = telnet_.take_output();
        auto sent = co_await stream_->write_all(out);
        output_changed_.notify();
        if (!sent) co_return sent;
    }
    co_return Result<>{};
}

rt::Task<Result<>> TelnetSession::last_words() {
    auto flushed = co_await flush();
    if (!flushed) co_return flushed;
    co_return stream_->shutdown_write();
}

rt::Task<Result<>> TelnetSession::read() {
    std::array<std::uint8_t, kReadSize> buffer;
    auto got = co_await stream_->read_some(buffer);
    if (!got) co_return got.error();
    if (*got == 0) co_return Errc::closed;
    telnet_.receive(std::span(buffer).first(*got));
    crypto::wipe(buffer);  // may hold a password
    if (telnet_.failed()) co_return Error(Errc::malformed, "not telnet");
    const Bytes typed = telnet_.take_typed();
    typed_.insert(typed_.end(), typed.begin(), typed.end());
    co_return Result<>{};
}

rt::Task<Result<>> TelnetSession::ask(std::string_view prompt, LineEditor& line) {
    telnet_.show(prompt);
    for (;;) {
        const auto state = type_into(line);
        if (state == LineEditor::State::aborted) co_return Errc::closed;
        if (state == LineEditor::State::done) co_return co_await flush();
        auto exchanged = co_await exchange();
        if (!exchanged) co_return exchanged;
    }
}

rt::Task<Result<>> TelnetSession::settle() {
    auto settled = co_await rt::with_timeout(runtime_, kSettleLimit, settle_without_limit());
    if (!settled && !settled.error().is(Errc::timed_out)) co_return settled;
    co_return Result<>{};
}

rt::Task<Result<>> TelnetSession::settle_without_limit() {
    while (!telnet_.settled()) {
        auto exchanged = co_await exchange();
        if (!exchanged) co_return exchanged;
    }
    co_return Result<>{};
}

std::optional<std::uint8_t> TelnetSession::take_typed() {
    if (typed_.empty()) return std::nullopt;
    const std::uint8_t byte = typed_.front();
    typed_.erase(typed_.begin());
    return byte;
}

rt::Task<> TelnetSession::interrupted() {
    for (;;) {
        const auto key = std::ranges::find(typed_, kControlC);
        if (key != typed_.end()) {
            typed_.erase(typed_.begin(), key + 1);
            co_return;
        }
        if (telnet_.take_interrupt()) {
            typed_.clear();
            co_return;
        }
        if (typed_.size() >= kTypedAheadMax || telnet_.output_size() > kOutputLimit) {
            // Until the other task has written, or ends. Answers to negotiation are output, too.
            co_await output_changed_.wait();
        } else {
            auto got = co_await read();
            if (!got) co_return;
        }
    }
}

rt::Task<> TelnetSession::pressed(std::string_view keys) {
    for (;;) {
        while (const auto byte = take_typed()) {
            if (keys.contains(static_cast<char>(*byte))) co_return;
        }
        if (telnet_.take_interrupt()) co_return;
        co_await room_for_output();
        auto got = co_await read();
        if (!got) co_return;
    }
}

// Gives the line what was typed, up to its end; what follows stays for later.
LineEditor::State TelnetSession::type_into(LineEditor& line) {
    auto state = LineEditor::State::typing;
    std::size_t used = 0;
    std::string echo;
    while (used < typed_.size() && state == LineEditor::State::typing) {
        state = line.type(std::exchange(typed_[used++], 0), echo);
    }
    typed_.erase(typed_.begin(), typed_.begin() + static_cast<std::ptrdiff_t>(used));
    if (!echo.empty()) telnet_.show(echo);
    return state;
}

rt::Task<> TelnetSession::run(Terminal& terminal, SessionRecording* recording) {
    using namespace boost::asio::experimental::awaitable_operators;
    // Whoever ends first ends the others.
    co_await (
        from_client(terminal, recording) || from_terminal(terminal, recording) || to_client()
    );
}

rt::Task<> TelnetSession::from_client(Terminal& terminal, SessionRecording* recording) {
    for (;;) {
        if (const auto size = telnet_.take_resize()) {
            terminal.resize(*size);
            if (recording != nullptr) {
                // Full: the next output ends the session.
                static_cast<void>(recording->add_resize(*size, runtime_.now()));
                co_await recording->room();
            }
        }
        if (telnet_.take_interrupt()) terminal.interrupt();
        const Bytes typed = std::exchange(typed_, {});
        if (!typed.empty()) {
            auto sent = co_await terminal.stream().write_all(typed);
            if (!sent) co_return;
        }
        // Answers to negotiation are output, too: a client that floods us with it waits.
        co_await room_for_output();
        auto got = co_await read();
        output_changed_.notify();
        if (!got) co_return;
    }
}

rt::Task<> TelnetSession::from_terminal(Terminal& terminal, SessionRecording* recording) {
    Bytes buffer(16 * 1024);
    for (;;) {
        co_await room_for_output();
        auto got = co_await terminal.stream().read_some(buffer);
        if (!got || *got == 0) break;
        const ByteView shown = ByteView(buffer).first(*got);
        if (recording != nullptr) {
            if (!recording->add_output(shown, runtime_.now())) {
                telnet_.show("\r\nThere is no room to record this session; it ends.\r\n");
                output_changed_.notify();
                break;
            }
            co_await recording->room();
        }
        telnet_.show(shown);
        output_changed_.notify();
    }
    const TimePoint deadline = runtime_.now() + kFlushLimit;
    while (writing_ || telnet_.output_size() != 0) {
        if (!co_await output_changed_.wait_until(deadline)) co_return;
    }
}

rt::Task<> TelnetSession::to_client() {
    for (;;) {
        while (telnet_.output_size() == 0)
            co_await output_changed_.wait();
        writing_ = true;
        auto sent = co_await flush();
        writing_ = false;
        output_changed_.notify();
        if (!sent) co_return;
    }
}

rt::Task<> TelnetSession::room_for_output() {
    while (telnet_.output_size() > kOutputLimit)
        co_await output_changed_.wait();
}

}  // namespace selvage::edge
