// Small programs that run on simulated hosts in tests: a web server, a SOCKS5 client, a telnet
// client. Each speaks over any rt::Stream.
#pragma once

#include <string>

#include "base/error.h"
#include "rt/runtime.h"
#include "rt/stream.h"
#include "sim/host.h"

namespace selvage::sim {

// Serves "GET /N": N bytes of a fixed pattern, then the end. Runs in the host's tasks.
void start_web_server(Host& host, std::uint16_t port);

// What a SOCKS5 server is asked for: an address or a name, or both empty for no request.
struct SocksTarget {
    std::string name;  // when not empty, the server resolves it
    Endpoint at;       // else this; only its port counts for a name
};
// The reply code of RFC 1928 section 6; 0 is success and leaves the stream connected.
rt::Task<Result<std::uint8_t>> socks_connect(rt::Stream& stream, SocksTarget target);

// Asks for /N and compares the answer with the pattern: the number of bytes, or what went wrong.
rt::Task<Result<std::size_t>> fetch(rt::Stream& stream, std::size_t bytes);

// Sends `bytes` of the pattern to an echo server and compares what comes back, at the same time.
rt::Task<Result<std::size_t>> echo_round(Host& host, rt::Stream& stream, std::size_t bytes);

// A telnet client that agrees to what a terminal needs (NAWS, terminal type, echo), and collects
// what it shows.
class TelnetClient {
public:
    TelnetClient(rt::Runtime& runtime, rt::StreamPtr stream);

    // Reads until the shown text contains `text`; what was before it is forgotten afterwards. The
    // error says what was shown instead.
    rt::Task<Result<>> expect(std::string text);
    rt::Task<Result<>> type(std::string text);
    rt::Task<Result<>> resize(std::uint16_t columns, std::uint16_t rows);
    // Reads until the server closes.
    rt::Task<Result<>> expect_end();
    // Vanishes without goodbye.
    void drop() { stream_->reset(); }

private:
    void take(ByteView bytes, Bytes& replies);
    void on_command(std::uint8_t verb, std::uint8_t option, Bytes& replies);
    void on_subnegotiation(Bytes& replies);
    void append_size(Bytes& replies) const;

    rt::Runtime& runtime_;
    rt::StreamPtr stream_;
    std::string shown_;
    Bytes pending_;  // of an unfinished telnet command
    std::uint16_t columns_ = 80;
    std::uint16_t rows_ = 24;
    bool size_wanted_ = false;
};

}  // namespace selvage::sim
