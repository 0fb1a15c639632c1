// proxy: SOCKS5 CONNECT into the host's network and into the mesh.
//
//   handshake (10 s) -> where to? -> allowed? -> dial (10 s) -> reply -> copy both ways
//
// Names are resolved here, every address is checked, and the address that passed is the one that
// is dialled. Destinations in the mesh are dialled through our own stack, all others from a socket
// of the host.
#include <array>

#include "edge/destination.h"
#include "edge/login_guard.h"
#include "edge/relay.h"
#include "edge/service.h"
#include "edge/socks5.h"
#include "rt/with_timeout.h"

namespace selvage::edge {
namespace {

constexpr Duration kHandshakeLimit = std::chrono::seconds(10);
constexpr Duration kConnectLimit = std::chrono::seconds(10);
// Addresses of one name that are tried; a name with more is either broken or a trap.
constexpr std::size_t kAddressesTried = 4;

struct ProxyOptions {
    Users users;
    std::vector<DestinationRule> rules;
};

ProxyOptions read_options(OptionReader& in) {
    return {.users = read_users(in, "users"), .rules = read_destination_rules(in, "rule")};
}

ProxyOptions read_checked(const OptionTable& table) {
    std::vector<OptionProblem> ignored;
    OptionReader in(table, "", {}, ignored);
    return read_options(in);
}

class Proxy final : public Service {
public:
    Proxy(ServiceContext& context, ProxyOptions options)
        : context_(context),
          logins_(context.runtime, std::move(options.users)),
          policy_(std::move(options.rules), context.node) {}

    rt::Task<Result<>> serve(rt::StreamPtr stream, Caller caller) override {
        Socks5Handshake handshake(logins_.has_users());
        auto shaken = co_await rt::with_timeout(
            context_.runtime, kHandshakeLimit, shake_hands(*stream, handshake)
        );
        if (!shaken) co_return std::move(shaken).error().with("handshake");
        if (handshake.state() == Socks5Handshake::State::credentials_given) {
            auto logged_in = co_await log_in(*stream, handshake, caller);
            if (!logged_in) co_return logged_in.error();
        }
        const Destination to = handshake.request();
        context_.sessions.note(caller.session, fmt::format("to {}", text_of(to)));
        auto dialled =
            co_await rt::with_timeout(context_.runtime, kConnectLimit, connect(caller, to));
        if (!dialled) co_return co_await refuse(*stream, caller, to, dialled.error());
        rt::StreamPtr far = std::move(*dialled);
        auto replied =
            co_await stream->write_all(build_socks_reply(SocksReply::succeeded, far->local()));
        if (!replied) co_return replied.error();
        const Bytes early = handshake.take_rest();
        if (!early.empty()) {
            auto sent = co_await far->write_all(early);
            if (!sent) co_return sent.error();
        }
        co_return co_await relay(*stream, *far);
    }

private:
    static std::string text_of(const Destination& to) {
        if (to.name.empty()) return Endpoint{to.address, to.port}.to_string();
        return fmt::format("{}:{}", to.name, to.port);
    }

    // Until there is a request, a password to check, or an end.
    static rt::Task<Result<>> shake_hands(rt::Stream& stream, Socks5Handshake& handshake) {
        using State = Socks5Handshake::State;
        std::array<std::uint8_t, 1024> buffer;
        for (;;) {
            const Bytes out = handshake.take_output();
            if (!out.empty()) {
                auto sent = co_await stream.write_all(out);
                if (!sent) co_return sent.error();
            }
            if (handshake.state() == State::failed) co_return handshake.error();
            if (handshake.state() == State::done) co_return Result<>{};
            if (handshake.state() == State::credentials_given) co_return Result<>{};
            auto got = co_await stream.read_some(buffer);
            if (!got) co_return got.error();
            if (*got == 0) co_return Errc::closed;
            handshake.feed(std::span(buffer).first(*got));
            crypto::wipe(buffer);
        }
    }

    // Outside the handshake's time, because a wrong password is answered late on purpose.
    rt::Task<Result<>> log_in(
        rt::Stream& stream, Socks5Handshake& handshake, const Caller& caller
    ) {
        const std::string user = handshake.user();
        auto checked = co_await logins_.check(caller, user, handshake.password().duplicate());
        const bool good = checked && *checked;
        if (!good) {
            context_.log.warn(
                "login failed", "caller=\"{}\" user=\"{}\" failures={}", caller.to_string(),
                logins_.knows(user) ? user : "(unknown)", logins_.failures()
            );
        }
        handshake.on_verified(good);
        co_return co_await rt::with_timeout(
            context_.runtime, kHandshakeLimit, shake_hands(stream, handshake)
        );
    }

    rt::Task<Result<rt::StreamPtr>> connect(const Caller& caller, Destination to) {
        if (to.name.empty()) co_return co_await dial_checked(caller, std::move(to));
        auto possible = policy_.check_name(caller, to);
        if (!possible) co_return possible.error();
        auto found = co_await context_.dialer.resolve(to.name);
        if (!found) co_return std::move(found).error().with("resolve " + to.name);
        Error last = Errc::not_found;
        std::size_t tried = 0;
        for (const IpAddress& address : *found) {
            if (tried++ == kAddressesTried) break;
            to.address = address;
            auto dialled = co_await dial_checked(caller, to);
            if (dialled) co_return dialled;
            last = std::move(dialled).error();
        }
        co_return last;
    }

    rt::Task<Result<rt::StreamPtr>> dial_checked(const Caller& caller, Destination to) {
        auto allowed = policy_.check(caller, to);
        if (!allowed) co_return allowed.error();
        const Endpoint target{to.address.unmapped(), to.port};
        if (context_.node.in_mesh(target.address)) {
            co_return co_await context_.dialer.dial_mesh(target);
        }
        co_return co_await context_.dialer.dial_host(target);
    }

    rt::Task<Result<>> refuse(
        rt::Stream& stream, const Caller& caller, const Destination& to, const Error& error
    ) {
        if (error.is(Errc::denied)) {
            context_.log.warn(
                "destination refused", "caller=\"{}\" reason=\"{}\"", caller.to_string(),
                error.message()
            );
        }
        // What went wrong is known to the log; the client gets the code that the RFC has for it.
        static_cast<void>(co_await stream.write_all(build_socks_reply(socks_reply_of(error), {})));
        static_cast<void>(stream.shutdown_write());
        co_return error.with("connect " + text_of(to));
    }

    ServiceContext& context_;
    LoginGuard logins_;
    DestinationPolicy policy_;
};

}  // namespace

extern const ServiceSpec proxy_service;
const ServiceSpec proxy_service{
    .name = "proxy",
    .summary = "SOCKS5 proxy into the host's network and the mesh",
    .default_port = 1080,
    .default_max_sessions = 512,
    .default_max_sessions_per_caller = 256,
    .check = [](OptionReader& own) { static_cast<void>(read_options(own)); },
    .make = [](ServiceContext& context) -> std::unique_ptr<Service> {
        return std::make_unique<Proxy>(context, read_checked(context.options));
    },
};

}  // namespace selvage::edge
