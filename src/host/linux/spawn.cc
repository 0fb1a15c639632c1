// fork, a new session, the account's identity, exec; failures come back through a pipe that closes
// itself when exec succeeds.
#include "host/linux/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

namespace selvage::host {
namespace {

enum class Step : int { session, terminal, descriptors, identity, exec };

const char* describe(Step step) {
    switch (step) {
        case Step::session:
            return "new session";
        case Step::terminal:
            return "controlling terminal";
        case Step::descriptors:
            return "closing descriptors";
        case Step::identity:
            return "changing to the account";
        case Step::exec:
            return "starting the program";
    }
    return "";
}

struct Failure {
    Step step;
    int reason;
};

// What the child needs, as plain pointers: it must not allocate.
struct ChildPlan {
    const char* program;
    char* const* arguments;
    char* const* environment;
    const char* directory;
    int terminal;
    int report;
    bool change_user;
    uid_t uid;
    gid_t gid;
    const gid_t* groups;
    std::size_t group_count;
};

// Only system calls from here on: another thread of the parent may have held any lock at the fork.
[[noreturn]] void give_up(const ChildPlan& plan, Step step) {
    const Failure failure{step, errno};
    (void)!::write(plan.report, &failure, sizeof failure);
    ::_exit(127);
}

// Descriptors of a program that does not ask for more.
constexpr rlim_t kUsualFiles = 1024;

[[noreturn]] void become(const ChildPlan& plan) {
    for (int number = 1; number < NSIG; ++number) {
        struct sigaction action{};
        action.sa_handler = SIG_DFL;
        ::sigaction(number, &action, nullptr);  // fails for SIGKILL and the like, as it should
    }
    if (::setsid() < 0) give_up(plan, Step::session);
    if (::ioctl(plan.terminal, TIOCSCTTY, 0) != 0) give_up(plan, Step::terminal);
    for (int fd = 0; fd <= 2; ++fd) {
        if (::dup2(plan.terminal, fd) < 0) give_up(plan, Step::terminal);
    }
    // Marked and not closed, so that the pipe can still tell of a failed exec.
    if (::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
        give_up(plan, Step::descriptors);
    }
    if (plan.change_user) {
        // Raw calls: the library's would speak to the threads of the parent, which are not here.
        if (::syscall(SYS_setgroups, plan.group_count, plan.groups) != 0 ||
            ::syscall(SYS_setresgid, plan.gid, plan.gid, plan.gid) != 0 ||
            ::syscall(SYS_setresuid, plan.uid, plan.uid, plan.uid) != 0) {
            give_up(plan, Step::identity);
        }
    }
    if (::chdir(plan.directory) != 0 && ::chdir("/") != 0) give_up(plan, Step::identity);
    ::umask(022);
    // As a login would have it, whatever we need ourselves: programs that use select() rely on it.
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > kUsualFiles) {
        files.rlim_cur = kUsualFiles;
        ::setrlimit(RLIMIT_NOFILE, &files);
    }
    // Nor is our leave to go before other programs anybody else's.
    const rlimit none_realtime{0, 0};
    ::setrlimit(RLIMIT_RTPRIO, &none_realtime);
    sigset_t none;
    ::sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
    ::execve(plan.program, plan.arguments, plan.environment);
    give_up(plan, Step::exec);
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
    std::vector<char*> out;
    out.reserve(texts.size() + 1);
    for (const std::string& text : texts)
        out.push_back(const_cast<char*>(text.c_str()));
    out.push_back(nullptr);
    return out;
}

}  // namespace

Result<pid_t> spawn_on_terminal(const SpawnPlan& plan) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return os_error(errno, "pipe");
    const Fd report(ends[0]);
    Fd child_report(ends[1]);
    const auto arguments = pointers_to(plan.arguments);
    const auto environment = pointers_to(plan.environment);
    const ChildPlan child{
        .program = plan.program.c_str(),
        .arguments = arguments.data(),
        .environment = environment.data(),
        .directory = plan.directory.c_str(),
        .terminal = plan.terminal,
        .report = child_report.get(),
        .change_user = plan.change_user,
        .uid = plan.uid,
        .gid = plan.gid,
        .groups = plan.groups.data(),
        .group_count = plan.groups.size(),
    };
    // No handler of ours may run in the child before it has put the defaults back.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = ::fork();
    if (pid == 0) become(child);
    const int fork_reason = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) return os_error(fork_reason, "fork");
    child_report.reset();
    Failure failure{};
    ssize_t got = 0;
    do {
        got = ::read(report.get(), &failure, sizeof failure);
    } while (got < 0 && errno == EINTR);
    if (got == 0) return pid;
    ::kill(pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (got != sizeof failure) return Error(Errc::internal, "the new process vanished");
    return os_error(failure.reason, describe(failure.step));
}

}  // namespace selvage::host
