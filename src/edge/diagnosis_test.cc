// The services for diagnosis: echo, discard, chargen.
#include <gtest/gtest.h>

#include "edge/test_fakes.h"

namespace selvage::edge {
namespace {

TEST(Diagnosis, EchoSendsBackDiscardDoesNot) {
    ServiceWorld echo(OptionsBuilder("echo").build());
    ASSERT_TRUE(echo.host->start());
    auto client = echo.ports.connect(7);
    client->send("hello");
    EXPECT_EQ(client->received(), "hello");
    ServiceWorld discard(OptionsBuilder("discard").build());
    ASSERT_TRUE(discard.host->start());
    auto silent = discard.ports.connect(9);
    silent->send("hello");
    EXPECT_EQ(silent->received(), "");
    EXPECT_EQ(discard.host->sessions().at(0).bytes_in, 5U);
    silent->finish();
    EXPECT_TRUE(silent->ended());
}

TEST(Diagnosis, ChargenFollowsThePatternAndWaitsForItsReader) {
    ServiceWorld world(OptionsBuilder("chargen").build());
    ASSERT_TRUE(world.host->start());
    auto client = world.ports.connect({kLaptopAddress, 4000}, {kNodeAddress, 19}, 4096);
    client->stop_reading();
    world.runtime.run_for(1s);
    const auto sent = world.host->sessions().at(0).bytes_out;
    world.runtime.run_for(1min);
    EXPECT_EQ(world.host->sessions().at(0).bytes_out, sent) << "nobody reads, so nothing is sent";
    EXPECT_LE(sent, 16U * 1024);
    client->vanish();
    EXPECT_TRUE(world.host->sessions().empty());
}

}  // namespace
}  // namespace selvage::edge
