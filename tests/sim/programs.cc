// The programs.
#include "programs.h"

#include <fmt/format.h>

#include "rt/with_timeout.h"

namespace selvage::sim {
namespace {

std::uint8_t pattern_byte(std::size_t at) {
    return static_cast<std::uint8_t>(at * 131 >> 4);
}

Bytes pattern(std::size_t begin, std::size_t count) {
    Bytes out(count);
    for (std::size_t i = 0; i < count; ++i)
        out[i] = pattern_byte(begin + i);
    return out;
}

rt::Task<> serve_page(rt::StreamPtr stream) {
    std::string request;
    Bytes buffer(512);
    while (request.find("\r\n\r\n") == std::string::npos) {
        const auto got = co_await stream->read_some(buffer);
        if (!got || *got == 0 || request.size() > 4096) co_return;
        request += as_text(ByteView(buffer).first(*got));
    }
    const std::size_t bytes = std::strtoull(request.c_str() + 5, nullptr, 10);
    for (std::size_t at = 0; at < bytes;) {
        const Bytes piece = pattern(at, std::min<std::size_t>(8192, bytes - at));
        if (!co_await stream->write_all(piece)) co_return;
        at += piece.size();
    }
    (void)stream->shutdown_write();
    // Until the client has closed, so that nothing it has not read yet is lost with a reset.
    while (true) {
        const auto got = co_await stream->read_some(buffer);
        if (!got || *got == 0) co_return;
    }
}

rt::Task<> accept_pages(Host& host, rt::AcceptorPtr acceptor) {
    for (;;) {
        auto stream = co_await acceptor->accept();
        if (!stream) co_return;
        host.tasks().spawn("page", serve_page(std::move(*stream)));
    }
}

// Compares what comes with the pattern, until `bytes` have come or the stream ends.
rt::Task<Result<std::size_t>> read_pattern(rt::Stream& stream, std::size_t bytes) {
    Bytes buffer(4096);
    std::size_t seen = 0;
    while (seen < bytes) {
        const auto got = co_await stream.read_some(buffer);
        if (!got) co_return Error(got.error()).with(fmt::format("after {} bytes", seen));
        if (*got == 0) break;
        for (std::size_t i = 0; i < *got; ++i) {
            if (buffer[i] != pattern_byte(seen + i)) {
                co_return Error(Errc::malformed, fmt::format("byte {} is wrong", seen + i));
            }
        }
        seen += *got;
    }
    co_return seen;
}

rt::Task<> write_pattern(rt::Stream& stream, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes;) {
        const Bytes piece = pattern(at, std::min<std::size_t>(3000, bytes - at));
        if (!co_await stream.write_all(piece)) co_return;
        at += piece.size();
    }
}

}  // namespace

void start_web_server(Host& host, std::uint16_t port) {
    host.tasks().spawn("web", accept_pages(host, host.listen_tcp({IpAddress(), port}, {}).value()));
}

rt::Task<Result<std::uint8_t>> socks_connect(rt::Stream& stream, SocksTarget target) {
    const Bytes greeting{5, 1, 0};
    if (auto sent = co_await stream.write_all(greeting); !sent) co_return sent.error();
    Bytes chosen(2);
    if (auto got = co_await stream.read_exactly(chosen); !got) co_return got.error();
    if (chosen[0] != 5 || chosen[1] != 0) co_return Error(Errc::denied, "no method in common");

    Bytes request{5, 1, 0};
    if (!target.name.empty()) {
        request.push_back(3);
        request.push_back(static_cast<std::uint8_t>(target.name.size()));
        request.insert(request.end(), target.name.begin(), target.name.end());
    } else {
        request.push_back(target.at.address.is_v4() ? 1 : 4);
        const ByteView address = target.at.address.bytes();
        request.insert(request.end(), address.begin(), address.end());
    }
    request.push_back(static_cast<std::uint8_t>(target.at.port >> 8));
    request.push_back(static_cast<std::uint8_t>(target.at.port));
    if (auto sent = co_await stream.write_all(request); !sent) co_return sent.error();

    Bytes reply(4);
    if (auto got = co_await stream.read_exactly(reply); !got) co_return got.error();
    Bytes bound(reply[3] == 4 ? 18 : 6);
    if (auto got = co_await stream.read_exactly(bound); !got) co_return got.error();
    co_return reply[1];
}

rt::Task<Result<std::size_t>> fetch(rt::Stream& stream, std::size_t bytes) {
    const std::string request = fmt::format("GET /{} HTTP/1.0\r\n\r\n", bytes);
    if (auto sent = co_await stream.write_all(as_view(request)); !sent) co_return sent.error();
    co_return co_await read_pattern(stream, bytes);
}

rt::Task<Result<std::size_t>> echo_round(Host& host, rt::Stream& stream, std::size_t bytes) {
    // The reader runs here, the writer beside it; it is gone when this returns.
    rt::TaskScope writer(host.runtime(), host.log());
    writer.spawn("write", write_pattern(stream, bytes));
    const auto seen = co_await read_pattern(stream, bytes);
    if (!seen) stream.close();
    co_await writer.close();
    co_return seen;
}

// --- telnet, RFC 854, 857, 858, 1073, 1091 ---

namespace {

constexpr std::uint8_t kIac = 255;
constexpr std::uint8_t kDont = 254;
constexpr std::uint8_t kDo = 253;
constexpr std::uint8_t kWont = 252;
constexpr std::uint8_t kWill = 251;
constexpr std::uint8_t kSubnegotiation = 250;
constexpr std::uint8_t kSubnegotiationEnd = 240;
constexpr std::uint8_t kEcho = 1;
constexpr std::uint8_t kSuppressGoAhead = 3;
constexpr std::uint8_t kTerminalType = 24;
constexpr std::uint8_t kWindowSize = 31;

}  // namespace

TelnetClient::TelnetClient(rt::Runtime& runtime, rt::StreamPtr stream)
    : runtime_(runtime), stream_(std::move(stream)) {}

void TelnetClient::append_size(Bytes& replies) const {
    const Bytes body{
        kIac,
        kSubnegotiation,
        kWindowSize,
        static_cast<std::uint8_t>(columns_ >> 8),
        static_cast<std::uint8_t>(columns_),
        static_cast<std::uint8_t>(rows_ >> 8),
        static_cast<std::uint8_t>(rows_),
        kIac,
        kSubnegotiationEnd
    };
    replies.insert(replies.end(), body.begin(), body.end());
}

void TelnetClient::on_command(std::uint8_t verb, std::uint8_t option, Bytes& replies) {
    const auto say = [&](std::uint8_t answer) {
        replies.insert(replies.end(), {kIac, answer, option});
    };
    if (verb == kDo) {
        const bool can = option == kTerminalType || option == kWindowSize;
        say(can || option == kSuppressGoAhead ? kWill : kWont);
        if (option == kWindowSize) {
            size_wanted_ = true;
            append_size(replies);
        }
    } else if (verb == kWill) {
        say(option == kEcho || option == kSuppressGoAhead ? kDo : kDont);
    }
}

// "TERMINAL-TYPE SEND" is the only one that needs an answer.
void TelnetClient::on_subnegotiation(Bytes& replies) {
    if (pending_.size() < 6 || pending_[2] != kTerminalType || pending_[3] != 1) return;
    replies.insert(replies.end(), {kIac, kSubnegotiation, kTerminalType, 0});
    for (const char c : std::string_view("xterm"))
        replies.push_back(static_cast<std::uint8_t>(c));
    replies.insert(replies.end(), {kIac, kSubnegotiationEnd});
}

void TelnetClient::take(ByteView bytes, Bytes& replies) {
    for (const std::uint8_t byte : bytes) {
        if (pending_.empty()) {
            if (byte == kIac) {
                pending_.push_back(byte);
            } else if (byte != 0) {
                shown_ += static_cast<char>(byte);
            }
            continue;
        }
        pending_.push_back(byte);
        if (pending_[1] == kSubnegotiation) {
            const bool ended = pending_.size() > 4 && pending_[pending_.size() - 2] == kIac &&
                               byte == kSubnegotiationEnd;
            if (!ended) continue;
            on_subnegotiation(replies);
            pending_.clear();
        } else if (pending_[1] >= kWill && pending_[1] <= kDont) {
            if (pending_.size() < 3) continue;
            on_command(pending_[1], pending_[2], replies);
            pending_.clear();
        } else {
            pending_.clear();
        }
    }
}

rt::Task<Result<>> TelnetClient::expect(std::string text) {
    Bytes buffer(1024);
    for (;;) {
        if (const auto at = shown_.find(text); at != std::string::npos) {
            shown_.erase(0, at + text.size());
            co_return Result<>{};
        }
        const auto got = co_await rt::with_timeout(
            runtime_, std::chrono::seconds(60), stream_->read_some(buffer)
        );
        if (!got || *got == 0) {
            const std::string why = got ? std::string("the end") : got.error().message();
            co_return Error(
                Errc::not_found, fmt::format("\"{}\" wanted, {} after \"{}\"", text, why, shown_)
            );
        }
        Bytes replies;
        take(ByteView(buffer).first(*got), replies);
        if (replies.empty()) continue;
        if (auto sent = co_await stream_->write_all(replies); !sent) co_return sent.error();
    }
}

rt::Task<Result<>> TelnetClient::type(std::string text) {
    co_return co_await stream_->write_all(as_view(text));
}

rt::Task<Result<>> TelnetClient::resize(std::uint16_t columns, std::uint16_t rows) {
    columns_ = columns;
    rows_ = rows;
    if (!size_wanted_) co_return Error(Errc::unsupported, "the server never asked for the size");
    Bytes message;
    append_size(message);
    co_return co_await stream_->write_all(message);
}

rt::Task<Result<>> TelnetClient::expect_end() {
    Bytes buffer(1024);
    for (;;) {
        const auto got = co_await rt::with_timeout(
            runtime_, std::chrono::seconds(60), stream_->read_some(buffer)
        );
        if (!got) co_return got.error();
        if (*got == 0) co_return Result<>{};
    }
}

}  // namespace selvage::sim
