// shell: the account's login shell over telnet.
//
//   negotiate -> log in (60 s, three attempts) -> terminal -> copy both ways -> hang up
//
// A caller needs a place on the allow list and, unless auth = "mesh", a password. Callers from this
// host have no mesh identity, so they need the password in any case. Nothing that the client sends
// reaches the shell's arguments or environment but a terminal type of harmless form and a size.
#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "edge/line_editor.h"
#include "edge/login_guard.h"
#include "edge/service.h"
#include "edge/telnet.h"
#include "rt/event.h"
#include "rt/with_timeout.h"

namespace selvage::edge {
namespace {

constexpr Duration kLoginLimit = std::chrono::seconds(60);
constexpr int kAttempts = 3;
constexpr std::size_t kUserMax = 64;
constexpr std::size_t kPasswordMax = 512;
// Sessions that have not logged in yet; beyond it a caller is closed at once, so that strangers
// cannot use up the sessions of those who may come in.
constexpr std::uint32_t kLoggingIn = 8;
// Bytes on the way to the client; the shell waits beyond it.
constexpr std::size_t kOutputLimit = 128 * 1024;
// How long a client may take to answer what its terminal is.
constexpr Duration kSettleLimit = std::chrono::seconds(1);
// How long a client may take to read the last words of an ended shell.
constexpr Duration kFlushLimit = std::chrono::seconds(5);

struct ShellOptions {
    bool needs_password = true;
    Users users;
    TerminalAccount account;
};

ShellOptions read_options(OptionReader& in) {
    ShellOptions options;
    options.needs_password = in.word("auth", "password", {"password", "mesh"}) == "password";
    options.users = read_users(in, "users");
    options.account.account = in.text("account", "");
    options.account.shell = in.text("shell", "");
    options.account.allow_root = in.boolean("allow_root", false);
    if (!options.account.shell.empty() && !options.account.shell.starts_with('/')) {
        in.problem("shell", "must be an absolute path, as \"/bin/bash\"");
    }
    return options;
}

ShellOptions read_checked(const OptionTable& table) {
    std::vector<OptionProblem> ignored;
    OptionReader in(table, "", {}, ignored);
    return read_options(in);
}

// One caller's connection: its stream, the telnet protocol on it, and what waits to be written.
class Session {
public:
    Session(rt::Runtime& runtime, rt::StreamPtr stream)
        : runtime_(runtime), stream_(std::move(stream)), output_changed_(runtime) {}

    Telnet& telnet() { return telnet_; }

    // Until log-in one coroutine does everything: writes what there is, then reads.
    rt::Task<Result<>> exchange() {
        auto flushed = co_await flush();
        if (!flushed) co_return flushed;
        co_return co_await read();
    }

    rt::Task<Result<>> flush() {
        while (telnet_.output_size() != 0) {
            const Bytes out = telnet_.take_output();
            auto sent = co_await stream_->write_all(out);
            if (!sent) co_return sent;
        }
        co_return Result<>{};
    }

    // As flush(), and what was said reaches the client although the session ends with an error.
    rt::Task<Result<>> last_words() {
        auto flushed = co_await flush();
        if (!flushed) co_return flushed;
        co_return stream_->shutdown_write();
    }

    rt::Task<Result<>> read() {
        std::array<std::uint8_t, 4096> buffer;
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

    // A line that the user types after `prompt`.
    rt::Task<Result<>> ask(std::string_view prompt, LineEditor& line) {
        telnet_.show(prompt);
        for (;;) {
            const auto state = type_into(line);
            if (state == LineEditor::State::aborted) co_return Errc::closed;
            if (state == LineEditor::State::done) co_return co_await flush();
            auto exchanged = co_await exchange();
            if (!exchanged) co_return exchanged;
        }
    }

    rt::Task<Result<>> settle() {
        while (!telnet_.settled()) {
            auto exchanged = co_await exchange();
            if (!exchanged) co_return exchanged;
        }
        co_return Result<>{};
    }

    rt::Task<> run(Terminal& terminal) {
        using namespace boost::asio::experimental::awaitable_operators;
        // Whoever ends first ends the others.
        co_await (from_client(terminal) || from_terminal(terminal) || to_client());
    }

private:
    // Gives the line what was typed, up to its end; what follows stays for later.
    LineEditor::State type_into(LineEditor& line) {
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

    rt::Task<> from_client(Terminal& terminal) {
        for (;;) {
            if (const auto size = telnet_.take_resize()) terminal.resize(*size);
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

    rt::Task<> from_terminal(Terminal& terminal) {
        Bytes buffer(16 * 1024);
        for (;;) {
            co_await room_for_output();
            auto got = co_await terminal.stream().read_some(buffer);
            if (!got || *got == 0) break;
            telnet_.show(ByteView(buffer).first(*got));
            output_changed_.notify();
        }
        const TimePoint deadline = runtime_.now() + kFlushLimit;
        while (writing_ || telnet_.output_size() != 0) {
            if (!co_await output_changed_.wait_until(deadline)) co_return;
        }
    }

    rt::Task<> to_client() {
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

    rt::Task<> room_for_output() {
        while (telnet_.output_size() > kOutputLimit)
            co_await output_changed_.wait();
    }

    rt::Runtime& runtime_;
    rt::StreamPtr stream_;
    Telnet telnet_;
    Bytes typed_;  // bounded by one read
    bool writing_ = false;
    rt::Event output_changed_;
};

class Shell final : public Service {
public:
    Shell(ServiceContext& context, ShellOptions options)
        : context_(context),
          options_(std::move(options)),
          logins_(context.runtime, options_.users) {}

    rt::Task<Result<>> serve(rt::StreamPtr stream, Caller caller) override {
        if (context_.terminals == nullptr) co_return Errc::unsupported;
        Session session(context_.runtime, std::move(stream));
        session.telnet().start();
        auto entered = co_await enter(session, caller);
        if (!entered) co_return entered;
        auto terminal = context_.terminals->open({
            .account = options_.account,
            .term = session.telnet().term(),
            .size = session.telnet().take_resize().value_or(TerminalSize{}),
        });
        if (!terminal) {
            context_.log.error("no shell", "reason=\"{}\"", terminal.error().message());
            session.telnet().show("No shell here; the node's log says why.\r\n");
            static_cast<void>(co_await session.last_words());
            co_return terminal.error();
        }
        context_.sessions.note(caller.session, "shell, " + session.telnet().term());
        co_await session.run(**terminal);
        co_return Result<>{};
    }

private:
    class LoggingIn {
    public:
        explicit LoggingIn(std::uint32_t& count) : count_(count) { ++count_; }
        LoggingIn(const LoggingIn&) = delete;
        LoggingIn& operator=(const LoggingIn&) = delete;
        ~LoggingIn() { --count_; }

    private:
        std::uint32_t& count_;
    };

    rt::Task<Result<>> enter(Session& session, const Caller& caller) {
        if (logging_in_ >= kLoggingIn) co_return Error(Errc::limit, "too many are logging in");
        const LoggingIn counted(logging_in_);
        if (!options_.needs_password && caller.origin == Origin::mesh) {
            // A client that says nothing, such as netcat, gets the shell after the wait.
            auto settled =
                co_await rt::with_timeout(context_.runtime, kSettleLimit, session.settle());
            if (!settled && !settled.error().is(Errc::timed_out)) co_return settled;
            co_return Result<>{};
        }
        co_return co_await rt::with_timeout(context_.runtime, kLoginLimit, log_in(session, caller));
    }

    rt::Task<Result<>> log_in(Session& session, const Caller& caller) {
        for (int attempt = 0; attempt < kAttempts; ++attempt) {
            LineEditor user(kUserMax, true);
            LineEditor password(kPasswordMax, false);
            auto asked = co_await session.ask("login: ", user);
            if (asked) asked = co_await session.ask("Password: ", password);
            if (!asked) co_return asked;
            const std::string name(user.text());
            auto checked =
                co_await logins_.check(caller, name, crypto::SecretText(password.text()));
            if (!checked) co_return checked.error();
            if (*checked) {
                context_.log.info("login", "caller=\"{}\" user={}", caller.to_string(), name);
                co_return Result<>{};
            }
            // People type passwords at the wrong prompt: an unknown name is not repeated.
            context_.log.warn(
                "login failed", "caller=\"{}\" user=\"{}\" failures={}", caller.to_string(),
                logins_.knows(name) ? name : "(unknown)", logins_.failures()
            );
            session.telnet().show("Login incorrect\r\n");
        }
        static_cast<void>(co_await session.last_words());
        co_return Error(Errc::denied, "too many failed attempts");
    }

    ServiceContext& context_;
    const ShellOptions options_;
    LoginGuard logins_;
    std::uint32_t logging_in_ = 0;
};

void check_options(OptionReader& own) {
    const ShellOptions options = read_options(own);
    if (options.needs_password && options.users.empty() && own.boolean("enabled", false)) {
        own.problem(
            "users",
            "nobody could log in: give users = { name = \"HASH\" } with hashes from "
            "`selvage passwd`, or auth = \"mesh\" if the allow list is enough"
        );
    }
}

}  // namespace

extern const ServiceSpec shell_service;
const ServiceSpec shell_service{
    .name = "shell",
    .summary = "a login shell over telnet",
    .default_port = 23,
    .default_max_sessions = 32,
    .default_max_sessions_per_caller = 8,
    .default_idle_timeout = std::chrono::hours(12),
    .check = check_options,
    .make = [](ServiceContext& context) -> std::unique_ptr<Service> {
        return std::make_unique<Shell>(context, read_checked(context.options));
    },
};

}  // namespace selvage::edge
