// shell: the account's login shell over telnet.
//
//   negotiate -> log in (60 s, three attempts) -> terminal -> copy both ways -> hang up
//
// A caller needs a place on the allow list and, unless auth = "mesh", a password or a one-time
// token. Callers from this host have no mesh identity, so they need one of them in any case.
// Nothing that the client sends reaches the shell's arguments or environment but a terminal type of
// harmless form and a size.
#include "edge/line_editor.h"
#include "edge/login_guard.h"
#include "edge/service.h"
#include "edge/telnet_session.h"
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

struct ShellOptions {
    // password: a password or a token. token: a token. mesh: the allow list is enough.
    enum class Auth : std::uint8_t { password, token, mesh } auth = Auth::password;
    Users users;
    TerminalAccount account;
    RecordingOptions recording;
};

ShellOptions read_options(OptionReader& in) {
    ShellOptions options;
    const std::string auth = in.word("auth", "password", {"password", "token", "mesh"});
    options.auth = auth == "mesh"    ? ShellOptions::Auth::mesh
                   : auth == "token" ? ShellOptions::Auth::token
                                     : ShellOptions::Auth::password;
    options.users = read_users(in, "users");
    options.account.account = in.text("account", "");
    options.account.shell = in.text("shell", "");
    options.account.allow_root = in.boolean("allow_root", false);
    if (!options.account.shell.empty() && !options.account.shell.starts_with('/')) {
        in.problem("shell", "must be an absolute path, as \"/bin/bash\"");
    }
    constexpr std::int64_t kMebibyte = 1024 * 1024;
    options.recording.folder = in.text("record", "");
    options.recording.file_bytes_max =
        static_cast<std::uint64_t>(in.integer("record_file_mib", 64, 1, 65'536) * kMebibyte);
    options.recording.total_bytes_max =
        static_cast<std::uint64_t>(in.integer("record_total_mib", 1024, 1, 1'048'576) * kMebibyte);
    if (!options.recording.folder.empty() && !options.recording.folder.starts_with('/')) {
        in.problem("record", "must be an absolute path, as \"/var/lib/selvage/recordings\"");
    }
    return options;
}

ShellOptions read_checked(const OptionTable& table) {
    std::vector<OptionProblem> ignored;
    OptionReader in(table, "", {}, ignored);
    return read_options(in);
}

class Shell final : public Service {
public:
    Shell(ServiceContext& context, ShellOptions options)
        : context_(context),
          options_(std::move(options)),
          logins_(
              context.runtime, options_.auth == ShellOptions::Auth::token ? Users() : options_.users
          ) {
        logins_.take_tokens(context.tokens, "shell");
    }

    rt::Task<Result<>> serve(rt::StreamPtr stream, Caller caller) override {
        if (context_.terminals == nullptr) co_return Errc::unsupported;
        TelnetSession session(context_.runtime, std::move(stream));
        session.telnet().start();
        auto entered = co_await enter(session, caller);
        if (!entered) co_return entered;
        const TerminalSize size = session.telnet().take_resize().value_or(TerminalSize{});
        std::optional<SessionRecording> recording;
        if (!options_.recording.folder.empty()) {
            auto recorded = co_await start_recording(session, caller, size, recording);
            if (!recorded) co_return co_await give_up(session, recorded.error());
        }
        TerminalRequest request{
            .account = options_.account, .term = session.telnet().term(), .size = size
        };
        auto terminal = co_await context_.terminals->open(std::move(request));
        if (!terminal) co_return co_await give_up(session, terminal.error());
        context_.sessions.note(caller.session, "shell, " + session.telnet().term());
        co_await session.run(**terminal, recording ? &*recording : nullptr);
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

    rt::Task<Result<>> give_up(TelnetSession& session, Error reason) {
        context_.log.error("no shell", "reason=\"{}\"", reason.message());
        session.telnet().show("No shell here; the node's log says why.\r\n");
        static_cast<void>(co_await session.last_words());
        co_return reason;
    }

    rt::Task<Result<>> start_recording(
        TelnetSession& session, const Caller& caller, TerminalSize size,
        std::optional<SessionRecording>& recording
    ) {
        if (context_.recordings == nullptr) {
            co_return Error(Errc::unsupported, "this platform records nothing");
        }
        const WallTime at = context_.runtime.wall_now();
        auto opened = co_await context_.recordings->create(
            options_.recording.folder, recording_name(at, caller.session.raw(), caller.host_name)
        );
        if (!opened) co_return std::move(opened).error().with("recording");
        recorded_ = opened->used;  // somebody may have removed old ones
        recording.emplace(
            std::move(opened->file), options_.recording, recorded_, context_.runtime.now()
        );
        if (!recording->add_header(size, at, session.telnet().term(), caller.to_string())) {
            co_return Error(Errc::limit, "the folder of recordings is full");
        }
        session.telnet().show("This session is recorded.\r\n");
        co_return Result<>{};
    }

    rt::Task<Result<>> enter(TelnetSession& session, const Caller& caller) {
        if (logging_in_ >= kLoggingIn) co_return Error(Errc::limit, "too many are logging in");
        const LoggingIn counted(logging_in_);
        if (options_.auth == ShellOptions::Auth::mesh && caller.origin == Origin::mesh) {
            co_return co_await session.settle();
        }
        co_return co_await rt::with_timeout(context_.runtime, kLoginLimit, log_in(session, caller));
    }

    rt::Task<Result<>> log_in(TelnetSession& session, const Caller& caller) {
        for (int attempt = 0; attempt < kAttempts; ++attempt) {
            LineEditor user(kUserMax, true);
            LineEditor password(kPasswordMax, false);
            auto asked = co_await session.ask("login: ", user);
            if (asked) asked = co_await session.ask("Password: ", password);
            if (!asked) co_return asked;
            const std::string name(user.text());
            auto admitted =
                co_await logins_.admit(caller, name, crypto::SecretText(password.text()));
            if (!admitted) co_return admitted.error();
            if (admitted->good) {
                log_entry(caller, name, admitted->token);
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

    void log_entry(
        const Caller& caller, const std::string& name, std::optional<std::uint64_t> token
    ) const {
        if (token) {
            // The name that goes with a token is anything at all, so it is not repeated.
            context_.log.info("login", "caller=\"{}\" token={}", caller.to_string(), *token);
        } else {
            context_.log.info("login", "caller=\"{}\" user={}", caller.to_string(), name);
        }
    }

    ServiceContext& context_;
    const ShellOptions options_;
    LoginGuard logins_;
    std::uint32_t logging_in_ = 0;
    std::uint64_t recorded_ = 0;  // bytes of all recordings, as far as is known
};

void check_options(OptionReader& own) {
    const ShellOptions options = read_options(own);
    if (options.auth == ShellOptions::Auth::password && options.users.empty() &&
        own.boolean("enabled", false)) {
        own.problem(
            "users",
            "nobody could log in: give users = { name = \"HASH\" } with hashes from "
            "`selvage passwd`, auth = \"token\" for those from `selvage token`, or auth = \"mesh\" "
            "if the allow list is enough"
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
    .takes_tokens = true,
    .check = check_options,
    .make = [](ServiceContext& context) -> std::unique_ptr<Service> {
        return std::make_unique<Shell>(context, read_checked(context.options));
    },
};

}  // namespace selvage::edge
