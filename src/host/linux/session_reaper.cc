// Finding and ending the processes of a session.
#include "host/linux/session_reaper.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <string_view>

#include "host/linux/os.h"

namespace selvage::host {
namespace {

constexpr Duration kGrace = 2s;
constexpr Duration kPace = 100ms;
// Processes that survive this many rounds sit in the kernel and cannot be ended; init gets them.
constexpr int kRoundsLimit = 100;

// Whether a living process belongs to the session. The fields of stat behind the command's name,
// which may contain anything, are: state, parent, group, session.
bool is_member(pid_t pid, pid_t leader) {
    const std::string path = fmt::format("/proc/{}/stat", pid);
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return false;
    std::array<char, 1024> buffer{};
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got <= 0) return false;
    std::string_view text(buffer.data(), static_cast<std::size_t>(got));
    const auto name_end = text.rfind(')');
    if (name_end == std::string_view::npos || name_end + 2 >= text.size()) return false;
    text = text.substr(name_end + 2);
    const char state = text.front();
    if (state == 'Z' || state == 'X') return false;
    for (int field = 0; field < 3; ++field) {
        const auto space = text.find(' ');
        if (space == std::string_view::npos) return false;
        text = text.substr(space + 1);
    }
    pid_t session = 0;
    std::from_chars(text.data(), text.data() + text.size(), session);
    return session == leader;
}

void signal_member(pid_t pid, pid_t leader, int number) {
    // The descriptor names this very process; a second look makes sure that it is still the one.
    const Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!fd || !is_member(pid, leader)) return;
    ::syscall(SYS_pidfd_send_signal, fd.get(), number, nullptr, 0);
    if (number == SIGHUP) ::syscall(SYS_pidfd_send_signal, fd.get(), SIGCONT, nullptr, 0);
}

bool reap(pid_t leader) {
    int status = 0;
    const pid_t got = ::waitpid(leader, &status, WNOHANG);
    return got == leader || (got < 0 && errno == ECHILD);
}

}  // namespace

std::size_t signal_session(pid_t leader, int number) {
    if (leader <= 1) return 0;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc"), ::closedir);
    if (directory == nullptr) return 0;
    std::size_t count = 0;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the directory stream is our own
    while (const dirent* entry = ::readdir(directory.get())) {
        const std::string_view name(entry->d_name);
        pid_t pid = 0;
        const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (parsed.ec != std::errc() || parsed.ptr != name.data() + name.size()) continue;
        if (!is_member(pid, leader)) continue;
        ++count;
        if (number != 0) signal_member(pid, leader, number);
    }
    return count;
}

SessionReaper::SessionReaper(rt::Runtime& runtime, Log log)
    : runtime_(runtime), log_(std::move(log)) {}

void SessionReaper::end_session(pid_t leader) {
    Session& session = sessions_.try_emplace(leader, runtime_.timers()).first->second;
    session.kill_at = runtime_.now() + kGrace;
    // The group of the leader at once, without waiting for a worker.
    ::kill(-leader, SIGHUP);
    ::kill(-leader, SIGCONT);
    look(leader);
}

void SessionReaper::look(pid_t leader) {
    Session& session = sessions_.at(leader);
    int number = 0;
    if (session.rounds == 0) number = SIGHUP;
    if (runtime_.now() >= session.kill_at) number = SIGKILL;
    ++session.rounds;
    runtime_.workers().submit([leader, number, executor = runtime_.executor(),
                               weak = weak_from_this()] {
        const std::size_t left = signal_session(leader, number);
        boost::asio::post(executor, [leader, left, weak] {
            if (const auto self = weak.lock()) self->on_looked(leader, left);
        });
    });
}

void SessionReaper::on_looked(pid_t leader, std::size_t left) {
    const auto found = sessions_.find(leader);
    if (found == sessions_.end()) return;
    if (left == 0 && reap(leader)) {
        sessions_.erase(found);
        return;
    }
    if (found->second.rounds >= kRoundsLimit) {
        log_.warn("processes cannot be ended", "session={} left={}", leader, left);
        sessions_.erase(found);
        return;
    }
    found->second.timer.set(runtime_.now() + kPace, [this, leader] { look(leader); });
}

void SessionReaper::finish_now() {
    for (auto& [leader, session] : sessions_) {
        session.timer.cancel();
        signal_session(leader, SIGKILL);
        int status = 0;
        // A leader that became a set-uid program may be out of our reach; init will reap it.
        if (::kill(leader, SIGKILL) != 0) continue;
        while (::waitpid(leader, &status, 0) < 0 && errno == EINTR) {
        }
    }
    sessions_.clear();
}

}  // namespace selvage::host
