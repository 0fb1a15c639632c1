// Recordings: their format, their limits, and the sessions that are recorded.
#include <gtest/gtest.h>

#include "edge/test_fakes.h"

namespace selvage::edge {
namespace {

TEST(Asciicast, IsALineOfJsonForEachEvent) {
    const TimePoint began = TimePoint{} + 5s;
    Asciicast cast(began);
    EXPECT_EQ(
        Asciicast::header(
            {.columns = 100, .rows = 40}, WallTime{} + 1700000000s, "xterm", "a \"b\""
        ),
        "{\"version\": 2, \"width\": 100, \"height\": 40, \"timestamp\": 1700000000, "
        "\"title\": \"a \\\"b\\\"\", \"env\": {\"TERM\": \"xterm\"}}\n"
    );
    EXPECT_EQ(
        cast.output(as_view("\x1b[1m$ \\\r\n"), began + 1500ms),
        "[1.500000, \"o\", \"\\u001b[1m$ \\\\\\u000d\\u000a\"]\n"
    );
    EXPECT_EQ(
        cast.resize({.columns = 80, .rows = 24}, began + 2s), "[2.000000, \"r\", \"80x24\"]\n"
    );
}

TEST(Asciicast, CharactersThatAreCutWaitAndOthersAreReplaced) {
    Asciicast cast(TimePoint{});
    const auto text = [&cast](std::string_view bytes) {
        const std::string line = cast.output(as_view(bytes), TimePoint{});
        return line.substr(17, line.size() - 20);
    };
    EXPECT_EQ(text("a\xc3"), "a");
    EXPECT_EQ(text("\xa4z"), "\xc3\xa4z");
    EXPECT_EQ(text("\xf0\x9f\x98"), "");
    EXPECT_EQ(text("\x80!"), "\xf0\x9f\x98\x80!");
    EXPECT_EQ(text("\xff\xc3(\xed\xa0\x80."), "\\ufffd\\ufffd(\\ufffd\\ufffd\\ufffd.");
}

TEST(RecordingName, HoldsNothingThatAPathCould) {
    const WallTime at = WallTime{} + 1700000000s;
    EXPECT_EQ(recording_name(at, 7, "Laptop-1"), "20231114T221320Z-7-Laptop1");
    EXPECT_EQ(recording_name(at, 7, "../../etc/\n"), "20231114T221320Z-7-etc");
    EXPECT_EQ(recording_name(at, 7, "//"), "20231114T221320Z-7-host");
}

OptionsBuilder recorded() {
    OptionsBuilder builder("shell");
    builder.user("ops", kSecretHash).set("record", std::string("/casts"));
    return builder;
}

struct RecordedWorld : ServiceWorld {
    explicit RecordedWorld(ServiceOptions options = recorded().build())
        : ServiceWorld(std::move(options)) {
        EXPECT_TRUE(host->start());
        client = ports.connect(port);
        client->send("ops\r\nsecret\r\n");
        runtime.run_for(1s);
        said = client->received();
    }
    std::string recording() const {
        return recordings.files.empty() ? "" : *recordings.files.begin()->second;
    }
    ClientPtr client;
    std::string said;
};

TEST(ShellRecording, TellsThePersonAndKeepsWhatIsShownNotWhatIsTyped) {
    RecordedWorld world;
    EXPECT_TRUE(world.said.ends_with("This session is recorded.\r\n"));
    world.terminals.program->send("$ ");
    world.client->send("hidden-password\r\n");
    world.client->send("\xff\xfb\x1f\xff\xfa\x1f" + std::string("\0\x50\0\x18", 4) + "\xff\xf0");
    EXPECT_EQ(world.client->received().substr(0, 2), "$ ");
    const std::string text = world.recording();
    EXPECT_TRUE(text.starts_with("{\"version\": 2, \"width\": 80, \"height\": 24, "));
    EXPECT_NE(text.find("\"o\", \"$ \"]\n"), std::string::npos);
    EXPECT_NE(text.find("\"r\", \"80x24\"]\n"), std::string::npos);
    EXPECT_EQ(text.find("hidden"), std::string::npos);
    EXPECT_EQ(text.find("secret"), std::string::npos);
}

TEST(ShellRecording, ASessionThatReachesItsLimitEnds) {
    RecordedWorld world(recorded().set("record_file_mib", std::int64_t{1}).build());
    bool done = false;
    world.terminals.program->send_later(std::string(3 * 1024 * 1024, 'y'), done);
    world.runtime.run_for(10s);
    EXPECT_TRUE(
        world.client->received().ends_with("There is no room to record this session; it ends.\r\n")
    );
    EXPECT_TRUE(world.client->ended());
    EXPECT_EQ(world.terminals.live, 0);
    EXPECT_LE(world.recording().size(), 1024U * 1024);
    EXPECT_GT(world.recording().size(), 1000U * 1024);
}

TEST(ShellRecording, AFullFolderLetsNobodyIn) {
    RecordedWorld world;
    world.recordings.used = 1024ULL * 1024 * 1024;
    auto second = world.ports.connect(world.port);
    second->send("ops\r\nsecret\r\n");
    world.runtime.run_for(1s);
    EXPECT_TRUE(second->received().ends_with("No shell here; the node's log says why.\r\n"));
    EXPECT_TRUE(second->ended());
    EXPECT_EQ(world.terminals.requests.size(), 1U);
    EXPECT_EQ(world.sink->count("the folder of recordings is full"), 1U);
}

TEST(ShellRecording, WhatCannotBeWrittenIsNotShown) {
    RecordedWorld world;
    world.recordings.disk_full = true;
    world.terminals.program->send("unseen");
    EXPECT_EQ(world.client->received().find("unseen"), std::string::npos);
    EXPECT_TRUE(world.client->ended());
}

TEST(ShellRecording, TheFolderIsAnAbsolutePath) {
    auto builder = recorded();
    static_cast<void>(builder.set("record", std::string("casts")).build());
    ASSERT_EQ(builder.problems.size(), 1U);
    EXPECT_EQ(builder.problems[0].key, "service.shell.record");
}

}  // namespace
}  // namespace selvage::edge
