// The conversation's steps.
#include "edge/http_proxy.h"

#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "edge/http_body.h"
#include "edge/relay.h"
#include "rt/event.h"
#include "rt/with_timeout.h"

namespace selvage::edge {
namespace {

constexpr Duration kHeadLimit = std::chrono::seconds(10);
constexpr Duration kNextRequestLimit = std::chrono::seconds(60);
constexpr std::size_t kReadSize = 16 * 1024;

rt::Task<Result<>> read_more(rt::Stream& stream, Bytes& into) {
    std::array<std::uint8_t, 4096> buffer;
    auto got = co_await stream.read_some(buffer);
    if (!got) co_return got.error();
    if (*got == 0) co_return Errc::closed;
    into.insert(into.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*got));
    crypto::wipe(buffer);  // may hold credentials
    co_return Result<>{};
}

void drop_front(Bytes& bytes, std::size_t count) {
    crypto::wipe(MutableByteView(bytes).first(count));
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
}

// Copies a body, beginning with what `early` holds; what follows the body is left in `early`.
rt::Task<Result<>> copy_body(rt::Stream& from, Bytes& early, rt::Stream& to, BodyLength length) {
    BodyMeter meter(length);
    Bytes buffer;
    while (!meter.done()) {
        if (early.empty()) {
            buffer.resize(kReadSize);
            auto got = co_await from.read_some(buffer);
            if (!got) co_return got.error();
            if (*got == 0) {
                if (meter.until_close()) co_return Result<>{};
                co_return Errc::closed;
            }
            early.assign(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*got));
        }
        const std::size_t count = meter.take(early);
        if (meter.failed()) co_return Error(Errc::malformed, "a body that is not chunked");
        auto sent = co_await to.write_all(ByteView(early).first(count));
        if (!sent) co_return sent;
        drop_front(early, count);
    }
    co_return Result<>{};
}

std::pair<unsigned, std::string_view> status_of(const Error& error) {
    if (error.is(Errc::denied)) return {403, ""};
    if (error.is(Errc::timed_out)) return {504, ""};
    return {502, ""};
}

std::string_view reason_of(unsigned status) {
    switch (status) {
        case 200:
            return "Connection established";
        case 400:
            return "Bad Request";
        case 403:
            return "Forbidden";
        case 407:
            return "Proxy Authentication Required";
        case 431:
            return "Request Header Fields Too Large";
        case 501:
            return "Not Implemented";
        case 502:
            return "Bad Gateway";
        default:
            return "Gateway Timeout";
    }
}

}  // namespace

// A request on its way, and its response.
struct HttpProxy::Exchange {
    Exchange(rt::Runtime& runtime, HttpRequest asked) : request(std::move(asked)), never(runtime) {}
    const HttpRequest request;
    bool uploaded = false;
    bool answered = false;  // the client has got a part of the response
    bool keep_client = false;
    bool keep_server = false;
    Result<> outcome;
    rt::Event never;
};

rt::Task<Result<>> HttpProxy::run(Bytes first) {
    in_ = std::move(first);
    for (bool again = false;; again = true) {
        if (again && in_.empty()) {
            auto more = co_await rt::with_timeout(
                core_.runtime(), kNextRequestLimit, read_more(client_, in_)
            );
            // Between requests both ends of a conversation are clean.
            if (!more) co_return Result<>{};
        }
        std::size_t size = 0;
        auto read = co_await rt::with_timeout(core_.runtime(), kHeadLimit, read_head(size));
        if (!read) {
            if (read.error().is(Errc::bad_length))
                static_cast<void>(co_await answer(431, "", false));
            co_return std::move(read).error().with("head");
        }
        auto request = parse_http_request(ByteView(in_).first(size));
        drop_front(in_, size);
        if (!request) {
            const bool unknown = request.error().is(Errc::unsupported);
            static_cast<void>(co_await answer(unknown ? 501 : 400, "", false));
            co_return request.error();
        }
        auto goes_on = co_await serve_one(std::move(*request));
        if (!goes_on) co_return goes_on.error();
        if (!*goes_on) co_return Result<>{};
    }
}

rt::Task<Result<>> HttpProxy::read_head(std::size_t& size) {
    for (;;) {
        auto found = find_http_head(in_);
        if (!found) co_return found.error();
        if (*found) {
            size = **found;
            co_return Result<>{};
        }
        auto more = co_await read_more(client_, in_);
        if (!more) co_return more;
    }
}

rt::Task<bool> HttpProxy::log_in(HttpRequest& request) {
    if (!core_.needs_password()) co_return true;
    if (!request.credentials) co_return false;
    co_return co_await core_.log_in(
        visit_, std::move(request.credentials->user), std::move(request.credentials->password)
    );
}

// True when the client may send another request.
rt::Task<Result<bool>> HttpProxy::serve_one(HttpRequest request) {
    if (!logged_in_) {
        if (!co_await log_in(request)) {
            const bool keep = request.keep_alive && request.body == BodyLength{};
            auto told =
                co_await answer(407, "Proxy-Authenticate: Basic realm=\"selvage\"\r\n", keep);
            if (!told) co_return told.error();
            co_return keep;
        }
        logged_in_ = true;
    }
    if (request.connect) {
        auto tunnelled = co_await tunnel(request);
        if (!tunnelled) co_return tunnelled.error();
        co_return false;
    }
    if (auto reached = co_await reach(request); !reached) {
        const bool keep = request.keep_alive && request.body == BodyLength{};
        auto told = co_await answer(status_of(reached.error()).first, "", keep);
        if (!told) co_return told.error();
        if (keep) co_return true;
        co_return reached.error();
    }
    using namespace boost::asio::experimental::awaitable_operators;
    Exchange exchange(core_.runtime(), std::move(request));
    // The response may be complete before the request is: then nobody wants the rest of it.
    co_await (upload(exchange) || download(exchange));
    if (!exchange.outcome && !exchange.answered) {
        static_cast<void>(co_await answer(status_of(exchange.outcome.error()).first, "", false));
    }
    if (!exchange.keep_server || !exchange.uploaded || !exchange.outcome) server_.reset();
    if (!exchange.outcome) co_return exchange.outcome.error();
    co_return exchange.keep_client&& exchange.uploaded;
}

rt::Task<Result<>> HttpProxy::tunnel(const HttpRequest& request) {
    auto far = co_await core_.connect(visit_, request.to);
    if (!far) {
        static_cast<void>(co_await answer(status_of(far.error()).first, "", false));
        co_return std::move(far).error().with("connect " + request.to.to_string());
    }
    auto told = co_await client_.write_all(
        as_view(std::string_view("HTTP/1.1 200 Connection established\r\n\r\n"))
    );
    if (!told) co_return told;
    if (!in_.empty()) {
        auto sent = co_await (*far)->write_all(std::exchange(in_, {}));
        if (!sent) co_return sent;
    }
    co_return co_await relay(core_.runtime(), client_, **far, kHalfClosedLimit);
}

// Makes server_ lead to where the request wants to go.
rt::Task<Result<>> HttpProxy::reach(const HttpRequest& request) {
    const std::string name = request.to.to_string();
    // A body cannot be sent twice, so only a request without one risks a connection that the
    // server may just be closing. Nor does it matter then: the client repeats what it may.
    if (server_ && server_name_ == name && request.body == BodyLength{}) co_return Result<>{};
    server_.reset();
    from_server_.clear();
    auto far = co_await core_.connect(visit_, request.to);
    if (!far) co_return far.error();
    server_ = std::move(*far);
    server_name_ = name;
    co_return Result<>{};
}

rt::Task<> HttpProxy::upload(Exchange& exchange) {
    const std::string head = build_http_request(exchange.request);
    auto sent = co_await server_->write_all(as_view(head));
    if (sent) sent = co_await copy_body(client_, in_, *server_, exchange.request.body);
    if (sent) {
        exchange.uploaded = true;
    } else if (sent.error().is(Errc::malformed)) {
        exchange.outcome = std::move(sent);
        co_return;
    }
    // Also after a failure: the server may have answered before it stopped reading.
    for (;;)
        co_await exchange.never.wait();
}

rt::Task<> HttpProxy::download(Exchange& exchange) {
    exchange.outcome = co_await copy_response(exchange);
}

rt::Task<Result<HttpResponse>> HttpProxy::read_response(Exchange& exchange) {
    for (;;) {
        auto found = find_http_head(from_server_);
        if (!found) co_return found.error();
        if (!*found) {
            auto more = co_await read_more(*server_, from_server_);
            if (!more) co_return more.error();
            continue;
        }
        auto response =
            parse_http_response(ByteView(from_server_).first(**found), exchange.request);
        drop_front(from_server_, **found);
        co_return response;
    }
}

rt::Task<Result<>> HttpProxy::copy_response(Exchange& exchange) {
    const HttpRequest& request = exchange.request;
    for (;;) {
        auto response = co_await read_response(exchange);
        if (!response) co_return response.error();
        const bool interim = response->status / 100 == 1;
        // Nobody asked to switch protocols: we took that out of the request.
        if (response->status == 101) co_return Error(Errc::malformed, "an unasked-for upgrade");
        if (interim && request.http_1_0) continue;
        const bool endless = response->body.kind == BodyLength::Kind::until_close;
        exchange.keep_client = request.keep_alive && !endless;
        exchange.keep_server = response->keep_alive && !request.http_1_0;
        const std::string head =
            build_http_response(*response, request.http_1_0, exchange.keep_client);
        exchange.answered = true;
        auto sent = co_await client_.write_all(as_view(head));
        if (!sent) co_return sent;
        if (interim) continue;
        co_return co_await copy_body(*server_, from_server_, client_, response->body);
    }
}

rt::Task<Result<>> HttpProxy::answer(unsigned status, std::string_view extra, bool keep_alive) {
    const std::string text = fmt::format(
        "HTTP/1.1 {} {}\r\n{}Content-Length: 0\r\nConnection: {}\r\n\r\n", status,
        reason_of(status), extra, keep_alive ? "keep-alive" : "close"
    );
    auto sent = co_await client_.write_all(as_view(text));
    // The session ends with an error, but what was said shall arrive.
    if (sent && !keep_alive) static_cast<void>(client_.shutdown_write());
    co_return sent;
}

}  // namespace selvage::edge
