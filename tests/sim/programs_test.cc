// The programs of the simulation tests work over plain simulated sockets; so a failure elsewhere is
// not theirs.
#include "programs.h"

#include <gtest/gtest.h>

#include "seeds.h"

namespace selvage::sim {
namespace {

TEST(Programs, FetchAPageFromTheWebServer) {
    World world{{.seed = test_seed()}};
    Host& a = world.add_host("a");
    Host& web = world.add_host("web");
    start_web_server(web, 80);
    auto stream = world.run(a.connect_tcp({web.address(), 80})).value();
    const auto seen = world.run(fetch(*stream, 100'000));
    ASSERT_TRUE(seen) << seen.error().message();
    EXPECT_EQ(*seen, 100'000U);
}

TEST(Programs, RunAShellOnASimulatedTerminal) {
    World world{{.seed = test_seed()}};
    Host& a = world.add_host("a");
    a.terminals().add_account("ops");
    EXPECT_TRUE(world.run(a.terminals().open({.account = "nobody"})).error().is(Errc::not_found));
    auto terminal = world.run(a.terminals().open({.account = "ops", .term = "xterm"})).value();
    std::string shown;
    const auto type = [&](std::string_view text) {
        EXPECT_TRUE(world.run(terminal->stream().write_all(as_view(text))));
        Bytes buffer(4096);
        world.run_for(10ms);
        const auto got = world.run(terminal->stream().read_some(buffer));
        shown = got ? std::string(as_text(ByteView(buffer).first(*got))) : got.error().message();
    };
    type("whoami\r");
    EXPECT_NE(shown.find("ops\r\n"), std::string::npos) << shown;
    terminal->resize({132, 50});
    type("size\r");
    EXPECT_NE(shown.find("132 50\r\n"), std::string::npos) << shown;
    type("yes\r");
    EXPECT_NE(shown.find("y\r\ny\r\n"), std::string::npos) << shown;
    terminal->interrupt();
    world.run_for(10ms);
    type("exit 3\r");
    EXPECT_EQ(world.run(terminal->wait()), 3);
    EXPECT_EQ(a.terminals().running(), 0U);

    auto dropped = world.run(a.terminals().open({})).value();
    world.run_for(10ms);
    EXPECT_EQ(a.terminals().running(), 1U);
    dropped.reset();
    world.run_for(10ms);
    EXPECT_EQ(a.terminals().running(), 0U);
}

}  // namespace
}  // namespace selvage::sim
