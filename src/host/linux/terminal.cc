// Programs on a pseudo terminal: who they run as, what they get, how they are watched and ended.
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "host/linux/host.h"
#include "host/linux/session_reaper.h"
#include "host/linux/spawn.h"
#include "rt/event.h"

namespace selvage::host {

namespace asio = boost::asio;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::uint8_t kEndOfFile = 4;  // what Ctrl-D sends
constexpr std::size_t kTermLimit = 64;

struct Account {
    std::string name;
    std::string home;
    std::string shell;
    uid_t uid = 0;
    gid_t gid = 0;
};

Result<Account> find_account(const std::string& name) {
    std::vector<char> buffer(16 * 1024);
    passwd entry{};
    passwd* found = nullptr;
    const int failure =
        name.empty() ? ::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found)
                     : ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (found == nullptr) {
        if (failure != 0) return os_error(failure, "looking up the account");
        if (name.empty()) return Error(Errc::not_found, "the user of this process has no account");
        return Error(Errc::not_found, fmt::format("no account \"{}\"", printable(name)));
    }
    return Account{
        .name = entry.pw_name,
        .home = entry.pw_dir,
        .shell = entry.pw_shell,
        .uid = entry.pw_uid,
        .gid = entry.pw_gid
    };
}

std::vector<gid_t> groups_of(const Account& account) {
    int count = 64;
    std::vector<gid_t> out(static_cast<std::size_t>(count));
    while (::getgrouplist(account.name.c_str(), account.gid, out.data(), &count) < 0) {
        if (std::cmp_less_equal(count, out.size())) break;
        out.resize(static_cast<std::size_t>(count));
    }
    out.resize(static_cast<std::size_t>(std::max(count, 0)));
    return out;
}

// Who a program runs as, and whether that takes a change.
struct Identity {
    Account account;
    bool change_user = false;
    std::vector<gid_t> groups;  // for a change only
};

// Blocks: the databases of accounts and groups may be on another machine.
Result<Identity> find_identity(const std::string& name, bool allow_root) {
    auto account = find_account(name);
    if (!account) return account.error();
    if (account->uid == 0 && !allow_root) {
        return Error(
            Errc::denied,
            fmt::format("\"{}\" has user id 0, and allow_root is not set", printable(account->name))
        );
    }
    Identity out{.account = std::move(*account)};
    out.change_user = out.account.uid != ::geteuid();
    if (!out.change_user) return out;
    if (::geteuid() != 0) {
        return Error(
            Errc::denied, "only root can start programs as another account: " + out.account.name
        );
    }
    out.groups = groups_of(out.account);
    return out;
}

// The one thing that a stranger may put into the environment.
std::string clean_term(const std::string& term) {
    const bool good = !term.empty() && term.size() <= kTermLimit &&
                      std::ranges::all_of(term, [](unsigned char c) {
                          return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                                 (c >= 'A' && c <= 'Z') || c == '-' || c == '+' || c == '.' ||
                                 c == '_';
                      });
    return good ? term : "dumb";
}

std::vector<std::string> make_environment(
    const Account& account, const std::string& shell, const std::string& term
) {
    const char* path = account.uid == 0
                           ? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
                           : "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games";
    return {
        "HOME=" + account.home, "USER=" + account.name,      "LOGNAME=" + account.name,
        "SHELL=" + shell,       "PATH=" + std::string(path), "TERM=" + clean_term(term),
        "LANG=C.UTF-8",
    };
}

struct Pty {
    Fd master;
    Fd slave;
};

Result<Pty> open_pty(const Account& account, bool change_user, WindowSize size) {
    Pty pty;
    pty.master = Fd(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    if (!pty.master) return os_error(errno, "pseudo terminal");
    if (::grantpt(pty.master.get()) != 0 || ::unlockpt(pty.master.get()) != 0) {
        return os_error(errno, "pseudo terminal");
    }
    // By descriptor and not by name: the name may mean another terminal in our mount namespace.
    pty.slave = Fd(::ioctl(pty.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!pty.slave) return os_error(errno, "pseudo terminal");
    termios settings{};
    if (::tcgetattr(pty.slave.get(), &settings) == 0) {
        settings.c_iflag |= IUTF8;  // erasing removes whole characters
        ::tcsetattr(pty.slave.get(), TCSANOW, &settings);
    }
    const winsize window{
        .ws_row = size.rows, .ws_col = size.columns, .ws_xpixel = 0, .ws_ypixel = 0
    };
    ::ioctl(pty.slave.get(), TIOCSWINSZ, &window);
    if (change_user && ::fchown(pty.slave.get(), account.uid, static_cast<gid_t>(-1)) != 0) {
        return os_error(errno, "pseudo terminal");
    }
    return pty;
}

// The master side, shared with reads and writes that wait when the terminal goes.
struct Master {
    explicit Master(const rt::Executor& executor) : descriptor(executor) {}
    asio::posix::stream_descriptor descriptor;
    bool closed = false;

    void close() {
        if (std::exchange(closed, true)) return;
        boost::system::error_code ignored;
        descriptor.close(ignored);  // NOLINT(bugprone-unused-return-value)
    }
};

class PtyStream final : public rt::Stream {
public:
    explicit PtyStream(std::shared_ptr<Master> master) : master_(std::move(master)) {}
    PtyStream(const PtyStream&) = delete;
    PtyStream& operator=(const PtyStream&) = delete;
    ~PtyStream() override { master_->close(); }

    rt::Task<Result<std::size_t>> read_some(MutableByteView buffer) override {
        return read_from(master_, buffer);
    }
    rt::Task<Result<std::size_t>> write_some(ByteView bytes) override {
        return write_to(master_, bytes);
    }
    // A terminal has no half close; the program is told that its input ended.
    Result<> shutdown_write() override {
        if (master_->closed) return Errc::closed;
        (void)!::write(master_->descriptor.native_handle(), &kEndOfFile, 1);
        return {};
    }
    void close() override { master_->close(); }
    Endpoint local() const override { return {}; }
    Endpoint remote() const override { return {}; }

private:
    static rt::Task<Result<std::size_t>> read_from(
        std::shared_ptr<Master> master, MutableByteView buffer
    ) {
        if (master->closed) co_return Errc::closed;
        auto [error, count] = co_await master->descriptor.async_read_some(
            asio::buffer(buffer.data(), buffer.size()), kAwait
        );
        if (error == asio::error::operation_aborted) co_await throw_if_cancelled();
        if (master->closed) co_return Errc::closed;
        // EIO: nobody has the other side open any more.
        if (error == asio::error::eof || error.value() == EIO) co_return std::size_t{0};
        if (error) co_return asio_error(error);
        co_return count;
    }
    static rt::Task<Result<std::size_t>> write_to(std::shared_ptr<Master> master, ByteView bytes) {
        if (master->closed) co_return Errc::closed;
        auto [error, count] = co_await master->descriptor.async_write_some(
            asio::buffer(bytes.data(), bytes.size()), kAwait
        );
        if (error == asio::error::operation_aborted) co_await throw_if_cancelled();
        if (master->closed) co_return Errc::closed;
        if (error.value() == EIO) co_return Errc::reset;
        if (error) co_return asio_error(error);
        co_return count;
    }

    std::shared_ptr<Master> master_;
};

// Learns of the program's end through its process descriptor, without reaping it.
class Watch : public std::enable_shared_from_this<Watch> {
public:
    Watch(rt::Runtime& runtime, pid_t pid, Fd pidfd)
        : pid_(pid), descriptor_(runtime.executor()), ended_(runtime) {
        descriptor_.assign(pidfd.release());
    }
    void start() {
        descriptor_.async_wait(
            asio::posix::descriptor_base::wait_read,
            [self = shared_from_this()](boost::system::error_code error) {
                if (!error) self->on_ended();
            }
        );
    }
    void stop() {
        boost::system::error_code ignored;
        descriptor_.close(ignored);  // NOLINT(bugprone-unused-return-value)
    }
    static rt::Task<int> wait(std::shared_ptr<Watch> self) {
        while (!self->status_)
            co_await self->ended_.wait();
        co_return *self->status_;
    }

private:
    void on_ended() {
        siginfo_t info{};
        // The zombie stays: its id must not name anybody else while its session is being ended.
        if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0)
            return;
        status_ = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
        ended_.notify();
    }

    pid_t pid_;
    asio::posix::stream_descriptor descriptor_;
    rt::Event ended_;
    std::optional<int> status_;
};

class LinuxTerminal final : public Terminal {
public:
    LinuxTerminal(
        rt::Runtime& runtime, std::shared_ptr<SessionReaper> reaper, Fd master, pid_t pid, Fd pidfd
    )
        : reaper_(std::move(reaper)),
          pid_(pid),
          master_(std::make_shared<Master>(runtime.executor())),
          stream_(master_),
          watch_(std::make_shared<Watch>(runtime, pid, std::move(pidfd))) {
        master_->descriptor.assign(master.release());
        watch_->start();
    }
    LinuxTerminal(const LinuxTerminal&) = delete;
    LinuxTerminal& operator=(const LinuxTerminal&) = delete;
    ~LinuxTerminal() override {
        watch_->stop();
        master_->close();  // the kernel hangs up on the foreground group
        reaper_->end_session(pid_);
    }

    rt::Stream& stream() override { return stream_; }
    void resize(WindowSize size) override {
        if (master_->closed) return;
        const winsize window{
            .ws_row = size.rows, .ws_col = size.columns, .ws_xpixel = 0, .ws_ypixel = 0
        };
        ::ioctl(master_->descriptor.native_handle(), TIOCSWINSZ, &window);
    }
    void interrupt() override {
        if (!master_->closed) ::ioctl(master_->descriptor.native_handle(), TIOCSIG, SIGINT);
    }
    rt::Task<int> wait() override { return Watch::wait(watch_); }
    int pid() const override { return pid_; }

private:
    std::shared_ptr<SessionReaper> reaper_;
    pid_t pid_;
    std::shared_ptr<Master> master_;
    PtyStream stream_;
    std::shared_ptr<Watch> watch_;
};

class LinuxTerminalFactory final : public TerminalFactory {
public:
    LinuxTerminalFactory(rt::Runtime& runtime, const Log& log)
        : runtime_(runtime), reaper_(std::make_shared<SessionReaper>(runtime, log)) {}
    LinuxTerminalFactory(const LinuxTerminalFactory&) = delete;
    LinuxTerminalFactory& operator=(const LinuxTerminalFactory&) = delete;
    ~LinuxTerminalFactory() override { reaper_->finish_now(); }

    rt::Task<Result<TerminalPtr>> open(TerminalCommand command) override {
        const auto identity = co_await rt::run_on_worker(
            runtime_, [name = command.account,
                       allow_root = command.allow_root] { return find_identity(name, allow_root); }
        );
        if (!identity) co_return identity.error();
        co_await throw_if_cancelled();  // nobody waits for a program any more
        const Account& account = identity->account;
        SpawnPlan plan{
            .program = !command.program.empty() ? command.program
                       : account.shell.empty()  ? "/bin/sh"
                                                : account.shell,
            .directory = account.home,
            .change_user = identity->change_user,
            .uid = account.uid,
            .gid = account.gid,
            .groups = identity->groups
        };
        if (!plan.program.starts_with('/')) {
            co_return Error(
                Errc::bad_argument,
                fmt::format("\"{}\" is not an absolute path", printable(plan.program))
            );
        }
        const std::string name = plan.program.substr(plan.program.rfind('/') + 1);
        plan.arguments.push_back(command.login ? "-" + name : name);
        plan.arguments.insert(
            plan.arguments.end(), command.arguments.begin(), command.arguments.end()
        );
        plan.environment = make_environment(account, plan.program, command.term);
        co_return start(std::move(plan), account, command.size);
    }

private:
    Result<TerminalPtr> start(SpawnPlan plan, const Account& account, WindowSize size) {
        auto pty = open_pty(account, plan.change_user, size);
        if (!pty) return pty.error();
        plan.terminal = pty->slave.get();
        const auto pid = spawn_on_terminal(plan);
        if (!pid) return pid.error().with(printable(plan.program));
        Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
        if (!pidfd) {
            const int reason = errno;
            reaper_->end_session(*pid);
            return os_error(reason, "pidfd_open");
        }
        return std::make_unique<LinuxTerminal>(
            runtime_, reaper_, std::move(pty->master), *pid, std::move(pidfd)
        );
    }

    rt::Runtime& runtime_;
    std::shared_ptr<SessionReaper> reaper_;
};

}  // namespace

std::unique_ptr<TerminalFactory> make_linux_terminal_factory(rt::Runtime& runtime, const Log& log) {
    return std::make_unique<LinuxTerminalFactory>(runtime, log);
}

}  // namespace selvage::host
