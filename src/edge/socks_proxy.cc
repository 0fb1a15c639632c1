// The steps of a SOCKS conversation.
#include "edge/socks_proxy.h"

#include <array>

#include "edge/relay.h"
#include "rt/with_timeout.h"

namespace selvage::edge {
namespace {

constexpr Duration kHandshakeLimit = std::chrono::seconds(10);

rt::Task<Result<Socks4Request>> read_socks4(rt::Stream& stream, Bytes& bytes) {
    for (;;) {
        auto request = parse_socks4(bytes);
        if (!request) co_return request.error();
        if (*request) co_return std::move(**request);
        std::array<std::uint8_t, 512> buffer;
        auto got = co_await stream.read_some(buffer);
        if (!got) co_return got.error();
        if (*got == 0) co_return Errc::closed;
        bytes.insert(
            bytes.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*got)
        );
    }
}

}  // namespace

rt::Task<Result<>> SocksProxy::run(Bytes first) {
    version_4_ = first.front() == 4;
    if (version_4_) co_return co_await run_4(std::move(first));
    co_return co_await run_5(std::move(first));
}

rt::Task<Result<>> SocksProxy::run_4(Bytes first) {
    if (core_.needs_password()) {
        co_return co_await refuse(Error(Errc::denied, "SOCKS4 has no passwords"));
    }
    auto request =
        co_await rt::with_timeout(core_.runtime(), kHandshakeLimit, read_socks4(client_, first));
    if (!request) co_return co_await refuse(std::move(request).error().with("handshake"));
    Bytes early(first.begin() + static_cast<std::ptrdiff_t>(request->size), first.end());
    if (request->bind) co_return co_await bind(std::move(request->to), std::move(early));
    co_return co_await connect(std::move(request->to), std::move(early));
}

rt::Task<Result<>> SocksProxy::run_5(Bytes first) {
    Socks5Handshake handshake(core_.needs_password());
    handshake.feed(first);
    crypto::wipe(first);
    auto shaken =
        co_await rt::with_timeout(core_.runtime(), kHandshakeLimit, shake_hands(handshake));
    if (shaken && handshake.state() == Socks5Handshake::State::credentials_given) {
        // Outside the handshake's time, because a wrong password is answered late on purpose.
        const bool good =
            co_await core_.log_in(visit_, handshake.user(), handshake.password().duplicate());
        handshake.on_verified(good);
        shaken =
            co_await rt::with_timeout(core_.runtime(), kHandshakeLimit, shake_hands(handshake));
    }
    if (!shaken) {
        static_cast<void>(client_.shutdown_write());
        co_return std::move(shaken).error().with("handshake");
    }
    Destination to = handshake.request();
    switch (handshake.command()) {
        case SocksCommand::connect:
            co_return co_await connect(std::move(to), handshake.take_rest());
        case SocksCommand::bind:
            co_return co_await bind(std::move(to), handshake.take_rest());
        case SocksCommand::udp_associate:
            co_return co_await associate(to.port);
    }
    co_return Errc::internal;
}

// Until there is a request, a password to check, or an end.
rt::Task<Result<>> SocksProxy::shake_hands(Socks5Handshake& handshake) {
    using State = Socks5Handshake::State;
    std::array<std::uint8_t, 1024> buffer;
    for (;;) {
        const Bytes out = handshake.take_output();
        if (!out.empty()) {
            auto sent = co_await client_.write_all(out);
            if (!sent) co_return sent.error();
        }
        if (handshake.state() == State::failed) co_return handshake.error();
        if (handshake.state() == State::done) co_return Result<>{};
        if (handshake.state() == State::credentials_given) co_return Result<>{};
        auto got = co_await client_.read_some(buffer);
        if (!got) co_return got.error();
        if (*got == 0) co_return Errc::closed;
        handshake.feed(std::span(buffer).first(*got));
        crypto::wipe(buffer);
    }
}

rt::Task<Result<>> SocksProxy::connect(Destination to, Bytes early) {
    auto far = co_await core_.connect(visit_, to);
    if (!far) co_return co_await refuse(std::move(far).error().with("connect " + to.to_string()));
    auto told = co_await grant((*far)->local());
    if (told && !early.empty()) told = co_await (*far)->write_all(early);
    if (!told) co_return told;
    co_return co_await relay(core_.runtime(), client_, **far, kHalfClosedLimit);
}

rt::Task<Result<>> SocksProxy::bind(Destination to, Bytes early) {
    auto binding = co_await core_.bind(visit_, to);
    if (!binding) {
        co_return co_await refuse(std::move(binding).error().with("bind for " + to.to_string()));
    }
    auto told = co_await grant(binding->bound);
    if (!told) co_return told;
    auto far = co_await core_.accept_expected(visit_, *binding);
    binding->acceptor.reset();
    if (!far) co_return co_await refuse(std::move(far).error().with("bind for " + to.to_string()));
    told = co_await grant((*far)->remote());
    if (told && !early.empty()) told = co_await (*far)->write_all(early);
    if (!told) co_return told;
    co_return co_await relay(core_.runtime(), client_, **far, kHalfClosedLimit);
}

rt::Task<Result<>> SocksProxy::associate(std::uint16_t client_port) {
    auto port = core_.open_relay_port(visit_, client_);
    if (!port) co_return co_await refuse(std::move(port).error().with("udp associate"));
    // The address where the client reached us serves for its datagrams, too.
    auto told = co_await grant({client_.local().address, (*port)->local().port});
    if (!told) co_return told;
    co_return co_await core_.relay_datagrams(visit_, client_, std::move(*port), client_port);
}

rt::Task<Result<>> SocksProxy::grant(Endpoint bound) {
    co_return co_await client_.write_all(
        version_4_ ? build_socks4_reply(Socks4Reply::granted, bound)
                   : build_socks_reply(SocksReply::succeeded, bound)
    );
}

rt::Task<Result<>> SocksProxy::refuse(Error error) {
    // What went wrong is known to the log; the client gets the code that the protocol has for it.
    const Bytes reply = version_4_ ? build_socks4_reply(Socks4Reply::rejected, {})
                                   : build_socks_reply(socks_reply_of(error), {});
    static_cast<void>(co_await client_.write_all(reply));
    static_cast<void>(client_.shutdown_write());
    co_return error;
}

}  // namespace selvage::edge
