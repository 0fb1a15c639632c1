// The command line under edit key by key, and the menu service with a node made of the test.
#include <gtest/gtest.h>

#include "edge/menu_line.h"
#include "edge/test_fakes.h"

namespace selvage::edge {
namespace {

// A terminal of one row: what a person would see.
class Row {
public:
    void show(std::string_view bytes) {
        for (const char c : bytes) {
            if (c == '\r') {
                at_ = 0;
            } else if (c == '\b') {
                at_ -= at_ == 0 ? 0 : 1;
            } else if (c == '\n') {
                text_.clear();
            } else if ((static_cast<unsigned char>(c) & 0xc0) == 0x80) {
                text_[at_ - 1].push_back(c);
            } else {
                if (at_ >= text_.size()) text_.resize(at_ + 1, " ");
                text_[at_++] = std::string(1, c);
            }
        }
    }
    std::string text() const {
        std::string out;
        for (const std::string& cell : text_)
            out += cell;
        while (out.ends_with(' '))
            out.pop_back();
        return out;
    }
    std::size_t cursor() const { return at_; }

private:
    std::vector<std::string> text_;
    std::size_t at_ = 0;
};

struct MenuLineTest : testing::Test {
    MenuLineTest()
        : line("> ", [this](std::string_view before, std::string_view) {
              asked_before = before;
              return choices;
          }) {
        std::string out;
        line.start(out);
        row.show(out);
    }
    MenuLine::State type(std::string_view keys) {
        auto state = MenuLine::State::typing;
        for (const char key : keys) {
            std::string out;
            state = line.type(static_cast<std::uint8_t>(key), out);
            row.show(out);
            shown += out;
        }
        return state;
    }
    std::string enter(std::string_view keys) {
        EXPECT_EQ(type(keys), MenuLine::State::typing);
        EXPECT_EQ(type("\r"), MenuLine::State::done);
        std::string got = line.take();
        std::string out;
        line.start(out);
        row.show(out);
        return got;
    }

    std::vector<std::string> choices;
    std::string asked_before;
    std::string shown;
    MenuLine line;
    Row row;
};

TEST_F(MenuLineTest, TypedKeysAppearAndBecomeTheLine) {
    type("ping laptop");
    EXPECT_EQ(row.text(), "> ping laptop");
    EXPECT_EQ(shown, "ping laptop") << "one byte for one byte";
    EXPECT_EQ(enter(""), "ping laptop");
}

TEST_F(MenuLineTest, EditsInTheMiddle) {
    type("pxng\x1b[D\x1b[D\x7fi");
    EXPECT_EQ(row.text(), "> ping");
    EXPECT_EQ(row.cursor(), 4U);
    type(
        "\x01"
        "a\x05z\x1b[H\x1b[3~\x1b[F!"
    );
    EXPECT_EQ(row.text(), "> pingz!");
    type("\x02\x02\x0b");
    EXPECT_EQ(row.text(), "> ping");
    type(" one two\x17");
    EXPECT_EQ(row.text(), "> ping one");
    type("\x15");
    EXPECT_EQ(row.text(), ">");
    EXPECT_EQ(enter("\x1b[C\x06"), "");
}

TEST_F(MenuLineTest, HistoryComesBackAndTheNewLineIsKept) {
    enter("one");
    enter("two");
    enter("two");
    type("thr\x1b[A");
    EXPECT_EQ(row.text(), "> two");
    type("\x10\x10");
    EXPECT_EQ(row.text(), "> one");
    type("\x1b[B\x0e");
    EXPECT_EQ(row.text(), "> thr");
    EXPECT_EQ(enter("ee"), "three");
    EXPECT_EQ(line.history_size(), 3U) << "the same line twice is one";
}

TEST_F(MenuLineTest, TabCompletesAsFarAsItIsClearThenLists) {
    choices = {"peers", "ping", "printer", "pin"};
    type("p\t");
    EXPECT_EQ(row.text(), "> p");
    shown.clear();
    type("\t");
    EXPECT_EQ(shown.substr(0, shown.find('>')), "\r\npeers  pin  ping  printer  \r\n\r");
    EXPECT_EQ(row.text(), "> p");
    type("e\t");
    EXPECT_EQ(row.text(), "> peers");
    EXPECT_EQ(asked_before, "");
    choices = {"Laptop", "bad name", "bad\x1b[2J", "lamp"};
    type("L\t");
    EXPECT_EQ(asked_before, "peers ");
    EXPECT_EQ(enter(""), "peers Laptop ");
}

TEST_F(MenuLineTest, ALongLineScrollsInItsRow) {
    line.set_columns(20);
    const std::string text = "abcdefghijklmnopqrstuvwxyz";
    type(text);
    EXPECT_LT(row.cursor(), 20U);
    EXPECT_EQ(row.text(), "> jklmnopqrstuvwxyz");
    type("\x01");
    EXPECT_EQ(row.text(), "> abcdefghijklmnopq");
    EXPECT_EQ(enter(""), text);
}

TEST_F(MenuLineTest, LinesAndHistoryAreBounded) {
    type(std::string(10'000, 'x'));
    EXPECT_EQ(line.size(), MenuLine::kLineMax);
    enter("");
    for (int i = 0; i < 500; ++i)
        enter(std::to_string(i));
    EXPECT_EQ(line.history_size(), MenuLine::kHistoryMax);
}

TEST_F(MenuLineTest, OnlyCharactersGetIn) {
    EXPECT_EQ(enter("a\xc3\xa4\xf0\x9f\x98\x80z"), "a\xc3\xa4\xf0\x9f\x98\x80z");
    EXPECT_EQ(enter("\xff\xc0\x80\xed\xa0\x80\xc2\x9b\x80ok\xe4"), "ok");
    EXPECT_EQ(enter("a\x1b[12;5Rb\x1bxc\x1bOCd"), "abcd");
    EXPECT_EQ(type("half\x1b["), MenuLine::State::typing);
    EXPECT_EQ(type("\x03"), MenuLine::State::aborted);
    EXPECT_EQ(type("\x04"), MenuLine::State::ended);
}

TEST(ForTerminal, TextOfOthersLosesItsControls) {
    EXPECT_EQ(for_terminal("a\x1b[2Jb\rc\td\n"), "a?[2Jb?c?d\r\n");
    EXPECT_EQ(
        for_terminal("\xc2\x9b"
                     "2J \xc3\xa4\x7f"),
        "?2J \xc3\xa4?"
    );
}

struct MenuWorld : ServiceWorld {
    explicit MenuWorld(ServiceOptions options = OptionsBuilder("menu").build())
        : ServiceWorld(std::move(options)) {
        EXPECT_TRUE(host->start());
        client = ports.connect(port);
        static_cast<void>(client->received());
    }
    std::string say(std::string_view line) {
        client->send(std::string(line) + "\r\n");
        return client->received();
    }
    ClientPtr client;
};

TEST(Menu, AnswersCommandsAndPromptsAgain) {
    MenuWorld world;
    EXPECT_EQ(world.say("peers"), "peers\r\npeers it is\r\nselvage> ");
    EXPECT_EQ(world.say("  ping   Laptop "), "  ping   Laptop \r\nping Laptop it is\r\nselvage> ");
    EXPECT_EQ(world.commands.ran, (std::vector<std::string>{"peers", "ping Laptop"}));
    EXPECT_EQ(world.host->sessions().at(0).note, "menu, ping");
    EXPECT_EQ(world.say(""), "\r\nselvage> ");
}

TEST(Menu, HelpNamesWhatIsOffered) {
    auto builder = OptionsBuilder("menu");
    MenuWorld world(builder.set_list("commands", {"peers", "ping"}).build());
    const std::string help = world.say("help");
    for (const auto* word : {"peers", "ping MEMBER", "help", "quit"})
        EXPECT_NE(help.find(word), std::string::npos) << word;
    EXPECT_EQ(help.find("log"), std::string::npos);
    EXPECT_NE(world.say("log").find("There is no command log"), std::string::npos);
    EXPECT_TRUE(world.commands.ran.empty());
}

TEST(Menu, WhatItDoesNotKnowRunsNothing) {
    MenuWorld world;
    for (const auto* line :
         {"sh", "kill 1", "ping", "ping a b", "peers all", "log 1 2", "reload"}) {
        EXPECT_TRUE(world.say(line).ends_with("\r\nselvage> ")) << line;
    }
    EXPECT_TRUE(world.commands.ran.empty());
    EXPECT_TRUE(world.terminals.requests.empty());
}

TEST(Menu, OptionsNameCommandsThatExist) {
    auto builder = OptionsBuilder("menu");
    static_cast<void>(builder.set_list("commands", {"peers", "kill"}).build());
    ASSERT_EQ(builder.problems.size(), 1U);
    EXPECT_EQ(builder.problems[0].key, "service.menu.commands");
}

TEST(Menu, CompletesCommandsAndMembers) {
    MenuWorld world;
    world.client->send("pi\t");
    EXPECT_EQ(world.client->received(), "ping ");
    world.client->send("La\t\r\n");
    EXPECT_EQ(world.client->received(), "Laptop \r\nping Laptop it is\r\nselvage> ");
    world.client->send("ping Laptop p\t\t");
    EXPECT_EQ(world.client->received(), "ping Laptop p");
}

TEST(Menu, AFailureIsASentence) {
    MenuWorld world;
    world.commands.failure = Error(Errc::not_found, "no member is called x");
    EXPECT_EQ(world.say("ping x"), "ping x\r\nping: no member is called x\r\nselvage> ");
}

TEST(Menu, CtrlCEndsACommandAndWhatFollowsIsTheNextLine) {
    MenuWorld world;
    world.commands.takes = 5s;
    EXPECT_EQ(world.say("ping Laptop"), "ping Laptop\r\n");
    world.commands.takes = 0s;
    world.client->send("junk\x03peers\r\n");
    EXPECT_EQ(
        world.client->received(), "(interrupted)\r\nselvage> peers\r\npeers it is\r\nselvage> "
    );
    EXPECT_FALSE(world.client->ended());
}

TEST(Menu, AnswersToNegotiationDuringALongCommandAreBounded) {
    MenuWorld world;
    world.commands.takes = 1h;
    static_cast<void>(world.say("ping Laptop"));
    world.client->stop_reading();
    std::string asks;  // each is answered
    for (int i = 0; i < 300'000; ++i)
        asks += "\xff\xfd\x63";
    bool done = false;
    world.client->send_later(asks, done);
    world.runtime.run_for(60s);
    EXPECT_FALSE(done) << "everything was read, and all answers wait in memory";
    world.client->vanish();
    world.runtime.run_for(2h);
    EXPECT_TRUE(world.host->sessions().empty());
}

TEST(Menu, KeysTypedAheadOfAFloodWaitUnread) {
    MenuWorld world;
    world.commands.takes = 5s;
    static_cast<void>(world.say("ping Laptop"));
    bool done = false;
    world.client->send_later(std::string(1 << 20, 'x'), done);
    world.runtime.run_for(4s);
    EXPECT_FALSE(done);
    world.client->vanish();
    world.runtime.run_for(2s);
    EXPECT_TRUE(world.host->sessions().empty());
}

// Forty members whose names differ in the end: every further Tab lists 8 KB of them.
void list_long_names(MenuWorld& world, bool reads) {
    world.commands.names.clear();
    for (int i = 0; i < 40; ++i)
        world.commands.names.push_back(std::string(200, 'n') + std::to_string(i));
    if (!reads) world.client->stop_reading();
    bool done = false;
    world.client->send_later("ping " + std::string(400, '\t'), done);
    world.runtime.run_for(1s);
    EXPECT_TRUE(done);
}

TEST(Menu, EveryKeyIsAnswered) {
    MenuWorld world;
    list_long_names(world, true);
    EXPECT_EQ(world.commands.asked_for_candidates, 400U);
    EXPECT_GT(world.client->received().size(), 3'000'000U);
}

TEST(Menu, KeysOfOneWhoDoesNotReadWaitTheirTurn) {
    MenuWorld world;
    list_long_names(world, false);
    // What fits between the two, not 3 MB in our memory.
    EXPECT_GT(world.commands.asked_for_candidates, 0U);
    EXPECT_LT(world.commands.asked_for_candidates, 50U);
}

TEST(Menu, TextOfMembersCannotSteerTheTerminal) {
    MenuWorld world;
    world.commands.answer = "evil\x1b]0;title\x07 name\n";
    EXPECT_EQ(world.say("peers"), "peers\r\nevil?]0;title? name\r\nselvage> ");
}

TEST(Menu, FollowsTheLogUntilAKeyEndsIt) {
    for (const std::string_view key : {"q", "\x03", "\xff\xf4"}) {
        MenuWorld world;
        world.commands.news = {"first\n", "second\x1b[2J\n"};
        EXPECT_EQ(world.say("log -f 5"), "log -f 5\r\nfirst\r\nsecond?[2J\r\n");
        EXPECT_EQ(world.commands.ran, (std::vector<std::string>{"log -f 5"}));
        world.commands.news = {"third\n"};
        world.runtime.run_for(300ms);
        EXPECT_EQ(world.client->received(), "third\r\n");
        world.client->send("xyz\r\n");
        EXPECT_EQ(world.client->received(), "") << "other keys do nothing";
        EXPECT_EQ(world.commands.feeds, 1U);
        world.client->send(key);
        EXPECT_EQ(world.client->received(), "selvage> ");
        EXPECT_EQ(world.commands.feeds, 0U);
        EXPECT_TRUE(world.say("peers").ends_with("peers it is\r\nselvage> "));
    }
}

TEST(Menu, FollowsForOneWhoReads) {
    MenuWorld world;
    for (int i = 0; i < 1000; ++i)
        world.commands.news.push_back(std::string(8000, 'x') + "\n");
    world.client->stop_reading();
    world.client->send("log -f\r\n");
    world.runtime.run_for(60s);
    EXPECT_GT(world.commands.news.size(), 900U) << "the rest is not in our memory";
    world.client->vanish();
    world.runtime.run_for(2h);
    EXPECT_TRUE(world.host->sessions().empty());
    EXPECT_EQ(world.commands.feeds, 0U);
}

TEST(Menu, FollowsOnlyWhatCanBeFollowed) {
    MenuWorld world;
    EXPECT_TRUE(world.say("peers -f").ends_with("peers is how to say it.\r\nselvage> "));
    EXPECT_TRUE(world.say("log -f 1 2").ends_with("log [-f] [LINES] is how to say it.\r\nselvage> ")
    );
    EXPECT_TRUE(world.commands.ran.empty());
    world.commands.failure = Error(Errc::unsupported, "this node keeps no lines");
    EXPECT_TRUE(world.say("log -f").ends_with("log: this node keeps no lines\r\nselvage> "));
    world.client->send("log -\t");
    EXPECT_EQ(world.client->received(), "log -f ");
}

TEST(Menu, QuitAndCtrlDLeave) {
    MenuWorld first;
    static_cast<void>(first.say("quit"));
    EXPECT_TRUE(first.client->ended());
    MenuWorld second;
    second.client->send("\x04");
    EXPECT_TRUE(second.client->ended());
    EXPECT_TRUE(second.host->sessions().empty());
}

TEST(Menu, AClientThatIsNotTelnetIsServed) {
    ServiceWorld world(OptionsBuilder("menu").build());
    ASSERT_TRUE(world.host->start());
    auto client = world.ports.connect(world.port);
    client->send("peers\nquit\n");
    EXPECT_NE(client->received().find("peers it is\r\n"), std::string::npos);
    EXPECT_TRUE(client->ended());
}

}  // namespace
}  // namespace selvage::edge
