// Telnet byte by byte, the login dialogue, and the shell service with a terminal made of the test.
#include <gtest/gtest.h>

#include "edge/line_editor.h"
#include "edge/telnet.h"
#include "edge/test_fakes.h"

namespace selvage::edge {
namespace {

std::string bytes(std::string_view hex) {
    const Bytes raw = from_hex(hex).value();
    return std::string(as_text(raw));
}

const std::string kOffers = bytes(
    "fffb01"
    "fffb03"
    "fffd18"
    "fffd1f"
);
const std::string kAgreesToAll = bytes(
    "fffd01"
    "fffd03"
    "fffb18"
    "fffb1f"
);
const std::string kAsksForType = bytes("fffa1801fff0");
const std::string kSize100x40 = bytes("fffa1f00640028fff0");

std::string type_is(std::string_view name) {
    return bytes("fffa1800") + std::string(name) + bytes("fff0");
}

struct TelnetTest : testing::Test {
    std::string typed(std::string_view input) {
        telnet.receive(as_view(input));
        const Bytes got = telnet.take_typed();
        return std::string(as_text(got));
    }
    std::string output() {
        const Bytes got = telnet.take_output();
        return std::string(as_text(got));
    }
    Telnet telnet;
};

TEST_F(TelnetTest, AsksForTypeAndSizeAndOffersToEcho) {
    telnet.start();
    EXPECT_EQ(output(), kOffers);
    telnet.receive(as_view(kAgreesToAll));
    EXPECT_EQ(output(), kAsksForType);
    EXPECT_FALSE(telnet.settled());
    telnet.receive(as_view(type_is("XTERM-256COLOR") + kSize100x40));
    EXPECT_TRUE(telnet.settled());
    EXPECT_EQ(telnet.term(), "xterm-256color");
    EXPECT_EQ(telnet.take_resize(), (TerminalSize{.columns = 100, .rows = 40}));
    EXPECT_EQ(telnet.take_resize(), std::nullopt);
    EXPECT_EQ(output(), "");
}

TEST_F(TelnetTest, EverySplitOfTheInputMeansTheSame) {
    const std::string input = kAgreesToAll + type_is("vt220") + kSize100x40 + "ls\r" + '\0' + "a" +
                              bytes("ffff") + "b\r\n";
    for (std::size_t split = 0; split <= input.size(); ++split) {
        Telnet each;
        each.start();
        each.receive(as_view(std::string_view(input).substr(0, split)));
        each.receive(as_view(std::string_view(input).substr(split)));
        const Bytes got = each.take_typed();
        EXPECT_EQ(
            as_text(got),
            "ls\ra\xff"
            "b\r"
        ) << "split at "
          << split;
        EXPECT_EQ(each.term(), "vt220");
    }
}

TEST_F(TelnetTest, LineEndsOfTheNetworkBecomeTheKeyThatWasPressed) {
    EXPECT_EQ(typed(std::string("a\r\0b", 4)), "a\rb");
    EXPECT_EQ(typed("a\r\nb"), "a\rb");
    EXPECT_EQ(typed("a\nb"), "a\nb");
    EXPECT_EQ(typed("\r"), "\r");
    EXPECT_EQ(typed("\n"), "");
    EXPECT_EQ(typed("\r\r\n"), "\r\r");
}

TEST_F(TelnetTest, InBinaryModeNothingIsMapped) {
    telnet.receive(as_view(bytes("fffb00")));
    EXPECT_EQ(typed(std::string("a\r\0b", 4)), std::string("a\r\0b", 4));
}

TEST_F(TelnetTest, OutputEscapesItsEscapesAndMarksBareCr) {
    telnet.show(as_view("a\r\nb\rc\xff"));
    EXPECT_EQ(output(), std::string("a\r\nb\r\0c\xff\xff", 9));
    telnet.show(as_view("x\r"));
    telnet.show(as_view("\ny"));
    EXPECT_EQ(output(), "x\r\ny");
}

TEST_F(TelnetTest, CommandsBecomeKeysOrAnInterrupt) {
    EXPECT_EQ(typed(bytes("fff3")), "");
    EXPECT_TRUE(telnet.take_interrupt());
    EXPECT_FALSE(telnet.take_interrupt());
    EXPECT_EQ(typed(bytes("fff4")), "");
    EXPECT_TRUE(telnet.take_interrupt());
    EXPECT_EQ(typed(bytes("fff7fff8ffecffed")), "\x7f\x15\x04\x1a");
    EXPECT_EQ(typed(bytes("fff1fff9fff2")), "");
}

TEST_F(TelnetTest, SpeaksUtf8AndNoOtherCharacterSet) {
    telnet.receive(as_view(bytes("fffb2a")));
    EXPECT_EQ(output(), bytes("fffd2a"));
    const auto asked = [this](std::string_view request) {
        telnet.receive(as_view(bytes("fffa2a01") + std::string(request) + bytes("fff0")));
        return output();
    };
    EXPECT_EQ(asked(";ISO-8859-1;utf-8"), bytes("fffa2a02") + "utf-8" + bytes("fff0"));
    EXPECT_EQ(asked("[TTABLE]\x01 UTF-8 X"), bytes("fffa2a02") + "UTF-8" + bytes("fff0"));
    for (const auto* other : {";ISO-8859-1", ";UTF-8000;XUTF-8", "", ";", "[TTABLE]"})
        EXPECT_EQ(asked(other), bytes("fffa2a03fff0")) << other;
    telnet.receive(as_view(bytes("fffa2a0401fff0")));
    EXPECT_EQ(output(), bytes("fffa2a05fff0"));
    telnet.receive(as_view(bytes("fffd2a")));
    EXPECT_EQ(output(), bytes("fffb2afffa2a01") + ";UTF-8" + bytes("fff0"));
    telnet.receive(as_view(bytes("fffa2a02") + "UTF-8" + bytes("fff0")));
    EXPECT_EQ(output(), "");
    EXPECT_EQ(typed(""), "");
}

TEST_F(TelnetTest, EnvironmentAndCompressionAreRefusedAndTheirMessagesDropped) {
    telnet.receive(
        as_view(bytes("fffb24"
                      "fffb27"
                      "fffd56"
                      "fffb22"))
    );
    EXPECT_EQ(
        output(), bytes("fffe24"
                        "fffe27"
                        "fffc56"
                        "fffe22")
    );
    // NEW-ENVIRON IS VAR USER VALUE -froot, and the start of compression.
    EXPECT_EQ(typed(bytes("fffa270000") + "USER" + bytes("01") + "-froot" + bytes("fff0")), "");
    EXPECT_EQ(typed(bytes("fffa56fff0") + "plain"), "plain");
    EXPECT_EQ(output(), "");
    EXPECT_EQ(telnet.term(), "dumb");
}

TEST_F(TelnetTest, AnEndlessSubnegotiationTakesNoMemoryAndEnds) {
    EXPECT_EQ(typed(bytes("fffa18") + std::string(100'000, 'x')), "");
    EXPECT_EQ(typed(bytes("fff0") + "after"), "after");
    EXPECT_EQ(telnet.term(), "dumb");
}

TEST_F(TelnetTest, OnlyHarmlessTerminalNamesPass) {
    EXPECT_EQ(sanitise_term("xterm-256color"), "xterm-256color");
    EXPECT_EQ(sanitise_term("VT100"), "vt100");
    EXPECT_EQ(sanitise_term("screen.linux"), "screen.linux");
    for (const auto* bad :
         {"", "../../etc/passwd", "-froot", ".hidden", "a b", "a;b", "a\nb", "x\x1b[0m",
          "abcdefghijklmnopqrstuvwxyz0123456789"}) {
        EXPECT_EQ(sanitise_term(bad), "dumb") << bad;
    }
}

TEST_F(TelnetTest, SizesAreKeptSane) {
    telnet.start();
    telnet.receive(as_view(bytes("fffb1f") + bytes("fffa1f00000000fff0")));
    EXPECT_EQ(telnet.take_resize(), TerminalSize{});
    telnet.receive(as_view(bytes("fffa1ffffffffffffffffffff0")));
    EXPECT_EQ(telnet.take_resize(), (TerminalSize{.columns = 1000, .rows = 1000}));
    telnet.receive(as_view(bytes("fffa1f0064fff0")));
    EXPECT_EQ(telnet.take_resize(), std::nullopt);
}

TEST(LineEditor, EditsWithinItsBounds) {
    const auto run = [](std::string_view keys, bool shown, std::size_t limit) {
        LineEditor line(limit, shown);
        std::string echo;
        for (const char key : keys)
            if (line.type(static_cast<std::uint8_t>(key), echo) != LineEditor::State::typing) break;
        return std::string(line.text()) + "|" + echo;
    };
    EXPECT_EQ(run("bob\r", true, 16), "bob|bob\r\n");
    EXPECT_EQ(run("bob\r", false, 16), "bob|\r\n");
    EXPECT_EQ(run("bx\x7fob\r", true, 16), "bob|bx\b \bob\r\n");
    EXPECT_EQ(run("junk\x15ok\r", false, 16), "ok|\r\n");
    EXPECT_EQ(run("abcdef\r", true, 3), "abc|abc\r\n");
    EXPECT_EQ(run("\x7f\x1b[A\r", true, 16), "[A|[A\r\n");
    EXPECT_EQ(run("\xc3\xa4\x7f\r", false, 16), "|\r\n");
}

ServiceOptions with_ops() {
    return OptionsBuilder("shell").user("ops", kSecretHash).build();
}

struct ShellWorld : ServiceWorld {
    explicit ShellWorld(ServiceOptions options = with_ops()) : ServiceWorld(std::move(options)) {
        EXPECT_TRUE(host->start());
    }
    ClientPtr call() { return ports.connect(port); }
    ClientPtr logged_in() {
        auto client = call();
        client->send(kAgreesToAll + type_is("xterm") + kSize100x40 + "ops\r\nsecret\r\n");
        runtime.run_for(1s);
        static_cast<void>(client->received());
        return client;
    }
};

TEST(Shell, TheLoginDialogueShowsTheNameAndNotThePassword) {
    ShellWorld world;
    auto client = world.call();
    EXPECT_EQ(client->received(), kOffers + "login: ");
    client->send("ops\r\n");
    EXPECT_EQ(client->received(), "ops\r\nPassword: ");
    client->send("secret\r\n");
    world.runtime.run_for(100ms);  // the worker's
    EXPECT_EQ(client->received(), "\r\n");
    ASSERT_EQ(world.terminals.requests.size(), 1U);
    world.terminals.program->send("$ ");
    EXPECT_EQ(client->received(), "$ ");
    EXPECT_EQ(world.sink->count("secret"), 0U);
}

TEST(Shell, TheTerminalGetsTypeAndSizeAndNothingElse) {
    ShellWorld world;
    auto client = world.logged_in();
    ASSERT_EQ(world.terminals.requests.size(), 1U);
    EXPECT_EQ(world.terminals.requests[0].term, "xterm");
    EXPECT_EQ(world.terminals.requests[0].size, (TerminalSize{.columns = 100, .rows = 40}));
    EXPECT_EQ(world.terminals.requests[0].account.account, "");
    EXPECT_FALSE(world.terminals.requests[0].account.allow_root);
}

TEST(Shell, KeysSizesAndInterruptsReachTheTerminal) {
    ShellWorld world;
    auto client = world.logged_in();
    client->send(std::string("stty size\r\0", 11) + "\x03");
    EXPECT_EQ(world.terminals.program->received(), "stty size\r\x03");
    client->send(bytes("fffa1f00500018fff0"));
    EXPECT_EQ(world.terminals.resizes, (std::vector<TerminalSize>{{.columns = 80, .rows = 24}}));
    client->send(bytes("fff3"));
    EXPECT_EQ(world.terminals.interrupts, 1);
}

TEST(Shell, WhenTheProgramEndsTheClientGetsItsLastWords) {
    ShellWorld world;
    auto client = world.logged_in();
    world.terminals.program->send("logout\r\n");
    world.terminals.program->finish();
    EXPECT_EQ(client->received(), "logout\r\n");
    EXPECT_TRUE(client->ended());
    EXPECT_EQ(world.terminals.live, 0);
    EXPECT_TRUE(world.host->sessions().empty());
}

TEST(Shell, WhenTheClientVanishesTheTerminalIsHungUp) {
    ShellWorld world;
    auto client = world.logged_in();
    EXPECT_EQ(world.terminals.live, 1);
    client->vanish();
    EXPECT_EQ(world.terminals.live, 0);
}

TEST(Shell, ThreeWrongPasswordsEndTheCallEachAnsweredLater) {
    ShellWorld world;
    auto client = world.call();
    static_cast<void>(client->received());
    for (const auto wait : {1s, 2s, 4s}) {
        client->send("ops\r\nwrong\r\n");
        EXPECT_EQ(client->received(), "ops\r\nPassword: \r\n");
        world.runtime.run_for(wait - 10ms);
        EXPECT_EQ(client->received(), "");
        world.runtime.run_for(20ms);
        EXPECT_TRUE(client->received().starts_with("Login incorrect\r\n"));
    }
    EXPECT_TRUE(client->ended());
    EXPECT_TRUE(world.terminals.requests.empty());
    EXPECT_EQ(world.sink->count("login failed"), 3U);
    EXPECT_EQ(world.sink->count("wrong"), 0U);
}

TEST(Shell, AnUnknownUserIsTreatedAlikeAndNotNamedInTheLog) {
    ShellWorld world;
    auto client = world.call();
    client->send("hunter2\r\nsecret\r\n");
    world.runtime.run_for(1100ms);
    EXPECT_TRUE(client->received().ends_with("Login incorrect\r\nlogin: "));
    EXPECT_EQ(world.sink->count("hunter2"), 0U);
    EXPECT_EQ(world.sink->count("(unknown)"), 1U);
}

TEST(Shell, WhoDoesNotLogInWithinAMinuteIsClosed) {
    ShellWorld world;
    auto client = world.call();
    world.runtime.run_for(59s);
    EXPECT_FALSE(client->ended());
    world.runtime.run_for(2s);
    EXPECT_TRUE(client->ended());
}

TEST(Shell, StrangersCannotUseUpTheSessions) {
    auto builder = OptionsBuilder("shell");
    builder.user("ops", kSecretHash).set("max_sessions_per_caller", std::int64_t{32});
    ShellWorld world(builder.build());
    std::vector<ClientPtr> idle;
    idle.reserve(8);
    for (int i = 0; i < 8; ++i)
        idle.push_back(world.call());
    auto ninth = world.call();
    EXPECT_TRUE(ninth->ended());
    idle.clear();
    world.runtime.run_ready();
    auto welcome = world.call();
    EXPECT_FALSE(welcome->ended());
}

TEST(Shell, MeshAuthNeedsNoPasswordButOnlyFromTheMesh) {
    auto builder = OptionsBuilder("shell");
    builder.set("auth", std::string("mesh")).set("listen_host", std::string("127.0.0.1:2323"));
    ShellWorld world(builder.build());
    auto client = world.call();
    client->send(kAgreesToAll + type_is("xterm") + kSize100x40);
    EXPECT_EQ(world.terminals.requests.size(), 1U);
    auto local = world.ports.connect(
        {IpAddress::v4(127, 0, 0, 1), 5000}, {IpAddress::v4(127, 0, 0, 1), 2323}
    );
    EXPECT_TRUE(local->received().ends_with("login: "));
}

TEST(Shell, AClientThatIsNotTelnetGetsTheShellAfterASecond) {
    ShellWorld world(OptionsBuilder("shell").set("auth", std::string("mesh")).build());
    auto client = world.call();
    client->send("echo hi\n");
    EXPECT_TRUE(world.terminals.requests.empty());
    world.runtime.run_for(1100ms);
    ASSERT_EQ(world.terminals.requests.size(), 1U);
    EXPECT_EQ(world.terminals.requests[0].term, "dumb");
    EXPECT_EQ(world.terminals.program->received(), "echo hi\n");
}

TEST(Shell, AClientThatDoesNotReadStopsTheProgramNotTheNode) {
    ShellWorld world;
    auto client = world.logged_in();
    client->stop_reading();
    bool done = false;
    world.terminals.program->send_later(std::string(4 * 1024 * 1024, 'y'), done);
    world.runtime.run_for(10s);
    EXPECT_FALSE(done) << "the flood should be waiting for its reader";
    EXPECT_LT(world.host->sessions().at(0).bytes_out, 200'000U);
    client->vanish();
    world.runtime.run_for(1s);
    EXPECT_EQ(world.terminals.live, 0);
}

TEST(Shell, AFailureToStartIsToldAndLogged) {
    ShellWorld world;
    world.terminals.failure = Error(Errc::denied, "user id 0 needs allow_root");
    auto client = world.call();
    client->send("ops\r\nsecret\r\n");
    world.runtime.run_for(100ms);
    EXPECT_TRUE(client->received().ends_with("No shell here; the node's log says why.\r\n"));
    EXPECT_TRUE(client->ended());
    EXPECT_EQ(world.sink->count("user id 0 needs allow_root"), 1U);
}

}  // namespace
}  // namespace selvage::edge
