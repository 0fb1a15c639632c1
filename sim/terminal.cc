// The simulated shell and its terminal.
#include "sim/terminal.h"

#include <algorithm>
#include <cstdlib>

#include "rt/event.h"
#include "rt/memory_stream.h"

namespace selvage::sim {
namespace {

constexpr std::uint8_t kInterrupt = 0x03;
constexpr std::uint8_t kEndOfInput = 0x04;
constexpr std::size_t kLineLimit = 1024;  // as a kernel's line discipline: more is dropped

// What the two sides of a terminal share.
struct Session {
    explicit Session(rt::Runtime& runtime) : changed(runtime) {}
    rt::Event changed;
    host::TerminalCommand command;
    host::WindowSize size;
    std::optional<int> status;
    std::uint64_t interrupts = 0;
};

// Keeps the count right even when the program is cancelled.
struct Counted {
    explicit Counted(std::shared_ptr<std::size_t> c) : count(std::move(c)) { ++*count; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted() { --*count; }
    std::shared_ptr<std::size_t> count;
};

class SimTerminal final : public host::Terminal {
public:
    SimTerminal(std::shared_ptr<Session> session, rt::StreamPtr stream, int pid)
        : session_(std::move(session)), stream_(std::move(stream)), pid_(pid) {}
    ~SimTerminal() override { stream_->close(); }  // the program sees the hang-up
    rt::Stream& stream() override { return *stream_; }
    void resize(host::WindowSize size) override { session_->size = size; }
    void interrupt() override { ++session_->interrupts; }
    rt::Task<int> wait() override {
        const auto session = session_;
        while (!session->status)
            co_await session->changed.wait();
        co_return *session->status;
    }
    int pid() const override { return pid_; }

private:
    std::shared_ptr<Session> session_;
    rt::StreamPtr stream_;
    int pid_;
};

std::string answer(Session& session, const std::string& line) {
    if (line == "whoami") return session.command.account + "\r\n";
    if (line == "term") return session.command.term + "\r\n";
    if (line == "size") {
        return fmt::format("{} {}\r\n", session.size.columns, session.size.rows);
    }
    if (line.starts_with("exit")) {
        session.status = line.size() > 5 ? std::atoi(line.c_str() + 5) : 0;
        return "logout\r\n";
    }
    return line.empty() ? std::string() : fmt::format("{}: not found\r\n", line);
}

// Prints until interrupted by either way; false when the terminal is gone.
rt::Task<bool> run_yes(
    rt::Runtime& runtime, rt::Stream& terminal, std::shared_ptr<Session> session
) {
    const std::uint64_t before = session->interrupts;
    while (session->interrupts == before) {
        if (!co_await terminal.write_all(as_view("y\r\n"))) co_return false;
        co_await rt::sleep_for(runtime, std::chrono::milliseconds(1));
    }
    co_return true;
}

rt::Task<> run_shell(
    rt::Runtime& runtime, rt::StreamPtr terminal, std::shared_ptr<Session> session,
    std::unique_ptr<Counted> counted
) {
    std::string line;
    Bytes typed(256);
    bool alive = static_cast<bool>(co_await terminal->write_all(as_view("$ ")));
    while (alive && !session->status) {
        const auto got = co_await terminal->read_some(typed);
        if (!got || *got == 0) break;
        std::string shown;
        bool yes = false;
        for (const std::uint8_t byte : ByteView(typed).first(*got)) {
            if (byte == kInterrupt) {
                ++session->interrupts;
                line.clear();
                shown += "^C\r\n$ ";
            } else if (byte == kEndOfInput && line.empty()) {
                session->status = 0;
            } else if (byte == '\r' || byte == '\n') {
                yes = yes || line == "yes";
                shown += "\r\n" + (line == "yes" ? std::string() : answer(*session, line));
                if (!session->status && !yes) shown += "$ ";
                line.clear();
            } else if (line.size() < kLineLimit) {
                line += static_cast<char>(byte);
                shown += static_cast<char>(byte);
            }
        }
        alive = static_cast<bool>(co_await terminal->write_all(as_view(shown)));
        if (alive && yes) {
            alive = co_await run_yes(runtime, *terminal, session);
            alive = alive && co_await terminal->write_all(as_view("^C\r\n$ "));
        }
    }
    if (!session->status) session->status = 128 + 1;  // SIGHUP
    (void)terminal->shutdown_write();
    counted.reset();
    session->changed.notify();
}

}  // namespace

rt::Task<Result<host::TerminalPtr>> Terminals::open(host::TerminalCommand command) {
    const bool known =
        command.account.empty() || std::ranges::find(accounts_, command.account) != accounts_.end();
    if (!known) co_return Error(Errc::not_found, "no account " + command.account);
    auto session = std::make_shared<Session>(runtime_);
    session->command = command;
    session->size = command.size;
    ++opened_;
    auto [ours, programs] = rt::make_stream_pair(runtime_);
    tasks_.spawn(
        fmt::format("terminal {}", opened_),
        run_shell(runtime_, std::move(programs), session, std::make_unique<Counted>(running_))
    );
    co_return std::make_unique<SimTerminal>(
        std::move(session), std::move(ours), 1000 + static_cast<int>(opened_)
    );
}

}  // namespace selvage::sim
