// Real shells on real pseudo terminals.
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

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
        auto terminal = factory_->open(command);
        ASSERT_TRUE(terminal) << terminal.error().message();
        terminal_ = std::move(*terminal);
        tasks_.spawn("read", collect(terminal_->stream(), output_, ended_));
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
    const auto account = factory_->open({.account = "no-such-account"});
    ASSERT_FALSE(account);
    EXPECT_TRUE(account.error().is(Errc::not_found)) << account.error().message();
    const auto program = factory_->open({.program = "/no/such/program"});
    ASSERT_FALSE(program);
    EXPECT_TRUE(program.error().is(Errc::not_found)) << program.error().message();
    const auto directory = factory_->open({.program = "/tmp"});
    ASSERT_FALSE(directory);
    EXPECT_TRUE(directory.error().is(Errc::denied)) << directory.error().message();
    EXPECT_FALSE(factory_->open({.program = "sh"}));
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
