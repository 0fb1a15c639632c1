// Real shells on real pseudo terminals.
#include <pwd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <future>

#include "host/linux/host.h"
#include "host/linux/session_reaper.h"
#include "rt/test_loop.h"

namespace selvage::host {
namespace {

class TerminalTest : public testing::Test {
protected:
    ~TerminalTest() override {
        terminal_.reset();
        EXPECT_TRUE(loop_.close(tasks_));
        factory_.reset();
        loop_.settle();
    }
    void open(TerminalCommand command = {}) {
        if (command.program.empty()) command.program = "/bin/sh";
        // Whoever runs the tests; what a shell of root needs has tests of its own.
        if (command.account.empty()) command.allow_root = true;
        auto terminal = try_open(std::move(command));
        ASSERT_TRUE(terminal) << terminal.error().message();
        terminal_ = std::move(*terminal);
        tasks_.spawn("read", collect(terminal_->stream(), output_, ended_));
    }
    Result<TerminalPtr> try_open(TerminalCommand command) {
        return loop_.run(factory_->open(std::move(command)));
    }
    void type(const std::string& text) { tasks_.spawn("type", write(terminal_->stream(), text)); }
    // Runs until the program has printed `text`; what it printed before is dropped.
    void expect(const std::string& text) {
        const bool found = loop_.run_until([&] { return output_.contains(text); }, 10s);
        EXPECT_TRUE(found) << "waiting for \"" << text << "\", output was:\n" << output_;
        if (found) output_.erase(0, output_.find(text) + text.size());
    }
    // Runs a command in a shell and returns what it prints.
    std::string ask(const std::string& command) {
        type(" stty -echo; PS1=; echo BEG''IN; " + command + "; echo E''ND\n");
        expect("BEGIN\r\n");
        const auto end = [&] { return output_.find("END\r\n"); };
        EXPECT_TRUE(loop_.run_until([&] { return end() != std::string::npos; }, 10s)) << output_;
        std::string out = output_.substr(0, end());
        output_.clear();
        std::erase(out, '\r');
        return out;
    }

    static rt::Task<> collect(rt::Stream& stream, std::string& out, bool& ended) {
        std::array<std::uint8_t, 4096> buffer{};
        for (;;) {
            const auto got = co_await stream.read_some(buffer);
            if (!got || *got == 0) break;
            out += as_text(ByteView(buffer).first(*got));
        }
        ended = true;
    }
    static rt::Task<> keep(
        rt::Task<Result<TerminalPtr>> task, std::optional<Result<TerminalPtr>>& out
    ) {
        out.emplace(co_await std::move(task));
    }
    static rt::Task<> write(rt::Stream& stream, std::string text) {
        (void)co_await stream.write_all(as_view(text));
    }

    rt::TestLoop loop_;
    rt::TaskScope tasks_{loop_.runtime(), Log()};
    std::unique_ptr<TerminalFactory> factory_ = make_linux_terminal_factory(loop_.runtime());
    TerminalPtr terminal_;
    std::string output_;
    bool ended_ = false;
};

TEST_F(TerminalTest, AShellRunsOnATerminalOfItsSize) {
    ASSERT_NO_FATAL_FAILURE(open({.size = {.columns = 100, .rows = 30}}));
    EXPECT_EQ(ask("tty | grep -c /dev/pts"), "1\n");
    EXPECT_EQ(ask("stty size"), "30 100\n");
    terminal_->resize({.columns = 61, .rows = 17});
    EXPECT_EQ(ask("stty size"), "17 61\n");
}

TEST_F(TerminalTest, TheProgramLeadsItsOwnSessionWithNothingInherited) {
    ASSERT_NO_FATAL_FAILURE(open());
    const std::string pid = std::to_string(terminal_->pid());
    EXPECT_EQ(ask("echo $$"), pid + "\n");
    EXPECT_EQ(ask("cut -d' ' -f6 /proc/$$/stat"), pid + "\n");
    // What a child of the shell inherits, and 3, which is the directory that ls reads: the shell
    // itself has pipes and the like open for moments.
    EXPECT_EQ(ask("echo $(ls /proc/self/fd)"), "0 1 2 3\n");
    // A child's, because a shell blocks signals for moments of its own.
    EXPECT_EQ(ask("grep -c 'Sig...:.0000000000000000' /proc/self/status"), "3\n");
    EXPECT_EQ(ask("umask"), "0022\n");
    EXPECT_EQ(ask("test $(ulimit -n) -le 1024 && echo yes"), "yes\n");
}

TEST_F(TerminalTest, ItsProgramsMayNotGoBeforeOthers) {
    const rlimit granted{1, 1};
    if (::setrlimit(RLIMIT_RTPRIO, &granted) != 0) GTEST_SKIP() << "to raise a limit needs root";
    ASSERT_NO_FATAL_FAILURE(open({}));
    EXPECT_EQ(ask("grep -c 'Max realtime priority  *0  *0' /proc/self/limits"), "1\n");
}

TEST_F(TerminalTest, TheEnvironmentIsCleanAndTheHomeEntered) {
    ::setenv("SELVAGE_TEST_LEAK", "leaked", 1);
    ASSERT_NO_FATAL_FAILURE(open({.term = "xterm-256color"}));
    ::unsetenv("SELVAGE_TEST_LEAK");
    const passwd* account = ::getpwuid(::geteuid());
    ASSERT_NE(account, nullptr);
    const std::string home(account->pw_dir);
    EXPECT_EQ(
        ask("env | cut -d= -f1 | grep -v -e ^_$ -e ^PWD$ -e ^OLDPWD$ -e ^SHLVL$ | sort | tr '\\n' "
            "' '"),
        "HOME LANG LOGNAME PATH SHELL TERM USER "
    );
    EXPECT_EQ(ask("echo $TERM"), "xterm-256color\n");
    EXPECT_EQ(ask("echo $HOME; pwd"), home + "\n" + home + "\n");
}

TEST_F(TerminalTest, AStrangeTermBecomesDumb) {
    ASSERT_NO_FATAL_FAILURE(open({.term = "x;rm -rf /"}));
    EXPECT_EQ(ask("echo $TERM"), "dumb\n");
}

TEST_F(TerminalTest, TheExitStatusIsReportedAndTheStreamEnds) {
    ASSERT_NO_FATAL_FAILURE(open());
    type("exit 7\n");
    EXPECT_EQ(loop_.run(terminal_->wait()), 7);
    EXPECT_EQ(loop_.run(terminal_->wait()), 7) << "asking again";
    EXPECT_TRUE(loop_.run_until([&] { return ended_; }));
}

TEST_F(TerminalTest, ASignalIsReportedAs128AndMore) {
    ASSERT_NO_FATAL_FAILURE(open());
    type("kill -9 $$\n");
    EXPECT_EQ(loop_.run(terminal_->wait()), 128 + SIGKILL);
}

TEST_F(TerminalTest, CtrlCAndInterruptEndTheCommandAndNotTheShell) {
    ASSERT_NO_FATAL_FAILURE(open());
    type("sh -c 'echo rea\"\"dy; exec sleep 1000'\n");
    expect("ready");
    type("\x03");
    EXPECT_EQ(ask("echo alive"), "alive\n");
    type("sh -c 'echo rea\"\"dy; exec sleep 1000'\n");
    expect("ready");
    terminal_->interrupt();
    EXPECT_EQ(ask("echo alive"), "alive\n");
}

TEST_F(TerminalTest, TheEndOfInputEndsAShell) {
    ASSERT_NO_FATAL_FAILURE(open());
    EXPECT_EQ(ask("echo alive"), "alive\n");
    EXPECT_TRUE(terminal_->stream().shutdown_write());
    EXPECT_EQ(loop_.run(terminal_->wait()), 0);
}

TEST_F(TerminalTest, NothingOfTheSessionIsLeftBehind) {
    ASSERT_NO_FATAL_FAILURE(open());
    // In the foreground, in the background, in a group of its own, and deaf to the hang-up.
    type("set -m; sleep 1000 & (trap '' HUP; sleep 1000) & nohup sleep 1000 >/dev/null 2>&1 &\n");
    type("echo rea''dy; sleep 1000\n");
    expect("ready");
    const int leader = terminal_->pid();
    EXPECT_TRUE(loop_.run_until([&] { return signal_session(leader, 0) >= 5; }));
    terminal_.reset();
    EXPECT_TRUE(loop_.run_until([&] { return signal_session(leader, 0) == 0; }));
    EXPECT_TRUE(loop_.run_until([&] { return ::kill(leader, 0) != 0; }))
        << "the leader is a zombie";
}

TEST_F(TerminalTest, TheEndOfTheFactoryIsTheEndOfEverything) {
    ASSERT_NO_FATAL_FAILURE(open());
    type("trap '' HUP; (trap '' HUP; sleep 1000) & echo rea''dy\n");
    expect("ready");
    const int leader = terminal_->pid();
    terminal_.reset();
    factory_.reset();
    EXPECT_NE(::kill(leader, 0), 0);
    EXPECT_TRUE(loop_.run_until([&] { return signal_session(leader, 0) == 0; }));
}

TEST_F(TerminalTest, AHandleMayGoWhileItsOutputIsRead) {
    ASSERT_NO_FATAL_FAILURE(open());
    type("yes\n");
    expect("y\r\ny\r\n");
    terminal_.reset();
    EXPECT_TRUE(loop_.run_until([&] { return ended_; }));
}

TEST_F(TerminalTest, FailuresHaveReasons) {
    const auto account = try_open({.account = "no-such-account"});
    ASSERT_FALSE(account);
    EXPECT_TRUE(account.error().is(Errc::not_found)) << account.error().message();
    const auto program = try_open({.program = "/no/such/program", .allow_root = true});
    ASSERT_FALSE(program);
    EXPECT_TRUE(program.error().is(Errc::not_found)) << program.error().message();
    const auto directory = try_open({.program = "/tmp", .allow_root = true});
    ASSERT_FALSE(directory);
    EXPECT_TRUE(directory.error().is(Errc::denied)) << directory.error().message();
    const auto relative = try_open({.program = "sh", .allow_root = true});
    ASSERT_FALSE(relative);
    EXPECT_TRUE(relative.error().is(Errc::bad_argument)) << relative.error().message();
}

TEST_F(TerminalTest, AShellOfRootIsRefusedUnlessAllowed) {
    const auto refused = try_open({.account = "root", .program = "/bin/sh"});
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error().is(Errc::denied)) << refused.error().message();
    EXPECT_NE(refused.error().message().find("allow_root"), std::string::npos);
    if (::geteuid() != 0) GTEST_SKIP() << "the rest needs root";
    const auto by_default = try_open({.program = "/bin/sh"});
    ASSERT_FALSE(by_default) << "the account of this process is root's, too";
    EXPECT_TRUE(by_default.error().is(Errc::denied)) << by_default.error().message();
    ASSERT_NO_FATAL_FAILURE(open({.account = "root", .allow_root = true}));
    EXPECT_EQ(ask("id -u"), "0\n");
}

TEST_F(TerminalTest, TheLoopTurnsWhileAnAccountIsLookedUp) {
    // The only worker is busy, as it is when a directory server does not answer.
    std::promise<void> answered;
    loop_.runtime().workers().submit([waits = answered.get_future()]() mutable { waits.wait(); });
    std::optional<Result<TerminalPtr>> opened;
    tasks_.spawn("open", keep(factory_->open({.account = "no-such-account"}), opened));
    loop_.settle();
    EXPECT_FALSE(opened) << "the account was looked up on the loop";
    answered.set_value();
    EXPECT_TRUE(loop_.run_until([&] { return opened.has_value(); }));
    EXPECT_TRUE(opened->error().is(Errc::not_found)) << opened->error().message();
}

TEST_F(TerminalTest, WhoLeavesDuringTheLookUpGetsNoProgram) {
    std::promise<void> answered;
    loop_.runtime().workers().submit([waits = answered.get_future()]() mutable { waits.wait(); });
    std::optional<Result<TerminalPtr>> opened;
    TerminalCommand command{.program = "/bin/sh", .allow_root = true};
    tasks_.spawn("open", keep(factory_->open(std::move(command)), opened));
    loop_.settle();
    tasks_.cancel();
    answered.set_value();
    EXPECT_TRUE(loop_.run_until([&] { return tasks_.empty(); }));
    EXPECT_FALSE(opened);
}

TEST_F(TerminalTest, AnotherAccountGetsItsIdentityAndGroups) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_NO_FATAL_FAILURE(open({.account = "nobody"}));
    EXPECT_EQ(ask("id -un; id -Gn"), "nobody\nnogroup\n");
    EXPECT_EQ(ask("stat -c %U $(tty)"), "nobody\n");
    EXPECT_EQ(ask("pwd"), "/\n") << "its home does not exist";
    EXPECT_EQ(ask("grep -c 'CapEff:.0000000000000000' /proc/$$/status"), "1\n");
}

}  // namespace
}  // namespace selvage::host
