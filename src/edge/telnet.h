// The server side of a telnet connection, without I/O; libtelnet speaks the protocol.
//
// We offer to echo and to suppress go-ahead, and ask for the terminal's type and size. A client
// that speaks of character sets is told UTF-8 (RFC 2066). Nothing else is negotiated; environment
// variables in particular are neither asked for nor taken. What the client says is reduced to:
// typed bytes, a size, a terminal name of a harmless form, interrupts.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "edge/terminal.h"

struct telnet_t;
union telnet_event_t;

namespace selvage::edge {

// Lets through only what we want libtelnet to see: its parsers for compression, environments and
// other subnegotiations run even for options that were never agreed on.
class SubnegotiationFilter {
public:
    // Appends what may pass to `out`.
    void filter(ByteView bytes, Bytes& out);
    std::uint64_t dropped() const { return dropped_; }

private:
    enum class State : std::uint8_t { data, iac, verb, option, body, body_iac };
    State state_ = State::data;
    Bytes held_;  // the subnegotiation so far; bounded, see filter()
    bool dropping_ = false;
    std::uint64_t dropped_ = 0;
};

class Telnet {
public:
    Telnet();
    ~Telnet();
    Telnet(const Telnet&) = delete;
    Telnet& operator=(const Telnet&) = delete;

    // Makes the offers and requests; call once, at the start.
    void start();
    // Bytes from the network.
    void receive(ByteView bytes);
    // What was typed, with the network's line ends as the single CR that a keyboard sends.
    Bytes take_typed();
    // Shows bytes of a terminal to the client.
    void show(ByteView bytes);
    void show(std::string_view text) { show(as_view(text)); }
    // Bytes for the network.
    Bytes take_output();
    std::size_t output_size() const { return out_.size(); }

    // True once, when BREAK or "interrupt process" came.
    bool take_interrupt() { return std::exchange(interrupt_, false); }
    // The latest size, once for each change.
    std::optional<TerminalSize> take_resize() { return std::exchange(resize_, std::nullopt); }
    // Nothing is awaited any more: both questions of start() have been answered.
    bool settled() const { return type_settled_ && size_settled_; }
    const std::string& term() const { return term_; }
    // The client broke the protocol; close.
    bool failed() const { return failed_; }

private:
    static void on_event(telnet_t* telnet, telnet_event_t* event, void* self);
    void on_event(const telnet_event_t& event);
    void on_typed(ByteView bytes);
    void on_command(std::uint8_t command);
    void on_subnegotiation(std::uint8_t option, ByteView body);
    void on_charset(ByteView body);
    void say_charset(std::uint8_t verb, std::string_view text);
    void on_refused(std::uint8_t option);
    void on_agreed(std::uint8_t option);

    telnet_t* telnet_;
    SubnegotiationFilter filter_;
    Bytes typed_;
    Bytes out_;
    std::optional<TerminalSize> resize_;
    std::string term_ = "dumb";
    bool client_binary_ = false;  // it sends 8-bit data without line-end rules
    bool server_binary_ = false;  // it has let us do so
    bool after_cr_ = false;       // its last byte was CR: an LF or NUL belongs to it
    bool shown_cr_ = false;       // our last byte was CR
    bool interrupt_ = false;
    bool type_settled_ = false;
    bool size_settled_ = false;
    bool failed_ = false;
};

// A terminal type as terminfo names it ("xterm-256color"), or "dumb" for everything else.
std::string sanitise_term(std::string_view name);

}  // namespace selvage::edge
