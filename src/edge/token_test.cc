// One-time tokens, and logging in with them.
#include <gtest/gtest.h>

#include <set>

#include "edge/test_fakes.h"
#include "edge/token_store.h"

namespace selvage::edge {
namespace {

using crypto::SecretText;

TEST(TokenStore, ATokenWorksOnceForItsService) {
    TokenStore store;
    const TimePoint now{};
    const auto issued = store.issue("shell", 1min, now);
    ASSERT_TRUE(issued);
    EXPECT_FALSE(store.redeem("proxy", issued->token, now));
    EXPECT_FALSE(store.redeem("shell", SecretText("000000-000000-000000-000000"), now));
    EXPECT_EQ(store.redeem("shell", issued->token, now), issued->number);
    EXPECT_FALSE(store.redeem("shell", issued->token, now));
    EXPECT_EQ(store.size(), 0U);
}

TEST(TokenStore, ATokenIsGoneWhenItsTimeIsOver) {
    TokenStore store;
    const TimePoint now{};
    const auto issued = store.issue("shell", 1min, now);
    EXPECT_FALSE(store.redeem("shell", issued->token, now + 1min));
    EXPECT_EQ(store.size(), 0U);
    EXPECT_FALSE(store.issue("shell", 0s, now));
    EXPECT_FALSE(store.issue("shell", 25h, now));
}

TEST(TokenStore, HoldsABoundedNumberAndExpiredOnesMakeRoom) {
    TokenStore store;
    const TimePoint now{};
    std::set<std::string> different;
    for (std::size_t i = 0; i < TokenStore::kTokensMax; ++i)
        different.emplace(store.issue("shell", 1min, now).value().token.reveal());
    EXPECT_EQ(different.size(), TokenStore::kTokensMax);
    const auto refused = store.issue("shell", 1min, now);
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error().is(Errc::limit));
    EXPECT_TRUE(store.issue("shell", 1min, now + 1min));
}

TEST(TokenStore, ListsThoseThatWaitAndTakesThemBack) {
    TokenStore store;
    const TimePoint now{};
    const auto first = store.issue("shell", 1min, now);
    const auto second = store.issue("shell", 2min, now);
    ASSERT_EQ(store.waiting(now + 30s).size(), 2U);
    EXPECT_EQ(store.waiting(now + 30s)[1].left, 90s);
    EXPECT_TRUE(store.revoke(second->number, now));
    EXPECT_FALSE(store.revoke(second->number, now)) << "twice";
    EXPECT_FALSE(store.redeem("shell", second->token, now));
    EXPECT_FALSE(store.revoke(first->number, now + 1min)) << "expired";
    EXPECT_TRUE(store.waiting(now + 1min).empty());
}

TEST(TokenStore, CaseAndDashesDoNotMatterAndJunkIsNoToken) {
    TokenStore store;
    const TimePoint now{};
    const auto issued = store.issue("shell", 1min, now);
    std::string plain;
    for (const char c : issued->token.reveal()) {
        if (c == '-') continue;
        plain.push_back(c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
    }
    for (const std::string& junk :
         {std::string(), plain.substr(1), plain + "0", std::string(500, '-') + plain,
          plain.substr(0, 23) + "!", plain.substr(0, 23) + '\0'})
        EXPECT_FALSE(store.redeem("shell", SecretText(junk), now)) << junk;
    EXPECT_TRUE(store.redeem("shell", SecretText(plain), now));
}

struct TokenWorld : ServiceWorld {
    explicit TokenWorld(ServiceOptions options) : ServiceWorld(std::move(options)) {
        EXPECT_TRUE(host->start());
    }
    std::string issue(Duration lives = 10min) {
        auto issued = host->issue_token("shell", lives);
        EXPECT_TRUE(issued);
        return std::string(issued->token.reveal());
    }
    std::string log_in(TestClient& client, std::string_view user, const std::string& password) {
        static_cast<void>(client.received());
        client.send(std::string(user) + "\r\n" + password + "\r\n");
        runtime.run_for(1500ms);
        return client.received();
    }
};

ServiceOptions with_ops() {
    return OptionsBuilder("shell").user("ops", kSecretHash).build();
}

TEST(ShellToken, OpensOneSessionWhateverTheNameIs) {
    TokenWorld world(with_ops());
    const std::string token = world.issue();
    auto client = world.ports.connect(world.port);
    static_cast<void>(world.log_in(*client, "anybody", token));
    ASSERT_EQ(world.terminals.requests.size(), 1U);
    auto again = world.ports.connect(world.port);
    EXPECT_NE(world.log_in(*again, "ops", token).find("Login incorrect"), std::string::npos);
    EXPECT_EQ(world.terminals.requests.size(), 1U);
    EXPECT_NE(world.log_in(*again, "ops", "secret").find("\r\n"), std::string::npos);
    EXPECT_EQ(world.terminals.requests.size(), 2U) << "the password works, too";
    EXPECT_EQ(world.sink->count("token issued token=1 service=shell seconds=600"), 1U);
    EXPECT_EQ(world.sink->count("token=1"), 2U) << "issued and used";
    EXPECT_EQ(world.sink->count(token), 0U);
}

TEST(ShellToken, WrongOnesAreCountedAndSlowed) {
    TokenWorld world(with_ops());
    static_cast<void>(world.issue());
    auto client = world.ports.connect(world.port);
    static_cast<void>(client->received());
    for (const auto wait : {1s, 2s, 4s}) {
        client->send("x\r\n000000-000000-000000-000000\r\n");
        world.runtime.run_for(wait - 10ms);
        EXPECT_EQ(client->received().find("Login incorrect"), std::string::npos);
        world.runtime.run_for(20ms);
        EXPECT_NE(client->received().find("Login incorrect"), std::string::npos);
    }
    EXPECT_TRUE(client->ended());
    EXPECT_EQ(world.sink->count("failures=2"), 1U);
}

TEST(ShellToken, AuthTokenTakesNoPasswords) {
    auto builder = OptionsBuilder("shell");
    builder.user("ops", kSecretHash).set("auth", std::string("token"));
    TokenWorld world(builder.build());
    EXPECT_TRUE(builder.problems.empty());
    auto client = world.ports.connect(world.port);
    EXPECT_NE(world.log_in(*client, "ops", "secret").find("Login incorrect"), std::string::npos);
    static_cast<void>(world.log_in(*client, "ops", world.issue()));
    EXPECT_EQ(world.terminals.requests.size(), 1U);
}

TEST(ShellToken, NeedNoUsersToBeConfigured) {
    auto builder = OptionsBuilder("shell");
    static_cast<void>(builder.set("auth", std::string("token")).build());
    EXPECT_TRUE(builder.problems.empty());
}

TEST(ShellToken, AreForServicesThatTakeThem) {
    ServiceWorld world(OptionsBuilder("echo").build());
    ASSERT_TRUE(world.host->start());
    EXPECT_TRUE(world.host->issue_token("echo", 1min).error().is(Errc::unsupported));
    EXPECT_TRUE(world.host->issue_token("shell", 1min).error().is(Errc::not_found));
}

}  // namespace
}  // namespace selvage::edge
