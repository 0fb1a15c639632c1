// The calls that change a running instance.
#include "node/control_api.h"

#include "api_config.pb.h"
#include "control_api.pb.h"
#include "node/management_test_support.h"

namespace selvage::node {
namespace {

namespace control = ::selvage::control;
namespace config_api = ::api::config;

constexpr const char* kService = "SelvageControlRpc";

TEST_F(ManagementTest, AReloadSaysWhatIsAppliedAndWhatIsNot) {
    const auto done = ask<control::ReloadResponse>(kService, 1, control::ReloadRequest{});
    ASSERT_TRUE(done);
    ASSERT_EQ(done->changes_size(), 2);
    EXPECT_EQ(done->changes(0).key(), "hostname");
    EXPECT_FALSE(done->changes(0).needs_restart());
    EXPECT_TRUE(done->changes(1).needs_restart());
    EXPECT_EQ(done->failures(0), "service proxy: port 1080: in use");
    instance_.reload_error =
        Error(Errc::bad_argument, "home.toml:3:8: mtu: must be a number\nhome.toml:9:1: x");
    const auto failed = ask<control::ReloadResponse>(kService, 1, control::ReloadRequest{});
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->changes_size(), 0);
    ASSERT_EQ(failed->errors_size(), 2);
    EXPECT_EQ(failed->errors(0), "home.toml:3:8: mtu: must be a number");
}

TEST_F(ManagementTest, ARouteIsExplained) {
    control::ExplainRouteRequest request;
    request.set_address("192.168.7.9");
    const auto route = ask<control::ExplainRouteResponse>(kService, 2, request);
    ASSERT_TRUE(route);
    EXPECT_EQ(route->verdict(), "network");
    EXPECT_EQ(route->reason(), "it lies in 192.168.7.0/24, which laptop announces");
    EXPECT_EQ(route->least_hop().next_hop_name(), "relay");
    EXPECT_FALSE(route->has_least_cost());
    EXPECT_EQ(route->others(0).why_not(), "wider");
    request.set_address("laptop");
    EXPECT_FALSE(ask<control::ExplainRouteResponse>(kService, 2, request));
}

TEST_F(ManagementTest, ConnectionsComeWithAgeAndCipher) {
    const auto list =
        ask<control::ListConnectionsResponse>(kService, 3, control::ListConnectionsRequest{});
    ASSERT_TRUE(list);
    ASSERT_EQ(list->connections_size(), 2);
    EXPECT_EQ(list->connections(0).latency_us(), 1500U);
    EXPECT_FALSE(list->connections(1).has_latency_us());
    EXPECT_EQ(list->connections(0).hostname(), "laptop");
}

TEST_F(ManagementTest, LogLevelsAreSetTogetherOrNotAtAll) {
    control::SetLogLevelsRequest request;
    control::LogRule& peer = *request.add_rules();
    peer.set_name("peer");
    peer.set_level("debug");
    control::LogRule& wrong = *request.add_rules();
    wrong.set_level("loud");
    EXPECT_FALSE(ask<control::SetLogLevelsResponse>(kService, 4, request));
    EXPECT_TRUE(instance_.levels.rules().empty());
    wrong.set_level("warn");
    auto done = ask<control::SetLogLevelsResponse>(kService, 4, request);
    ASSERT_TRUE(done);
    ASSERT_EQ(done->rules_size(), 2);
    EXPECT_EQ(done->rules(0).level(), "warn");
    EXPECT_EQ(done->rules(1).name(), "peer");
    request.clear_rules();
    control::LogRule& back = *request.add_rules();
    back.set_name("peer");
    back.set_level("default");
    done = ask<control::SetLogLevelsResponse>(kService, 4, request);
    ASSERT_TRUE(done);
    EXPECT_EQ(done->rules_size(), 1);
}

config_api::PatchConfigRequest patch_of(
    std::initializer_list<std::pair<config_api::ConfigPatchAction, const char*>> steps
) {
    config_api::PatchConfigRequest out;
    for (const auto& [action, url] : steps) {
        config_api::UrlPatch& row = *out.mutable_patch()->add_connectors();
        row.set_action(action);
        row.mutable_url()->set_url(url);
    }
    return out;
}

TEST_F(ManagementTest, ConnectorsArePatchedAsEasyTiersToolsDo) {
    const auto done = ask<config_api::PatchConfigResponse>(
        "ConfigRpc", 1,
        patch_of({{config_api::ADD, "tcp://c:1"}, {config_api::REMOVE, "tcp://a:1"}})
    );
    ASSERT_TRUE(done);
    EXPECT_EQ(
        instance_.connector_calls, (std::vector<std::string>{"add tcp://c:1", "remove tcp://a:1"})
    );
    instance_.connector_calls.clear();
    ASSERT_TRUE(ask<config_api::PatchConfigResponse>(
        "ConfigRpc", 1, patch_of({{config_api::CLEAR, "tcp://any:1"}})
    ));
    EXPECT_EQ(
        instance_.connector_calls,
        (std::vector<std::string>{"remove tcp://a:1", "remove tcp://b:1"})
    );
}

TEST_F(ManagementTest, APatchThatIsNoneIsRefusedWhole) {
    const auto refused = [&](const config_api::PatchConfigRequest& request) {
        return !ask<config_api::PatchConfigResponse>("ConfigRpc", 1, request);
    };
    EXPECT_TRUE(refused(patch_of({{config_api::ADD, "tcp://c:1"}, {config_api::ADD, "no url"}})));
    EXPECT_TRUE(refused(patch_of({{config_api::ADD, "quic://c:1"}})));
    auto hostname = patch_of({{config_api::ADD, "tcp://c:1"}});
    hostname.mutable_patch()->set_hostname("other");
    EXPECT_TRUE(refused(hostname));
    auto elsewhere = patch_of({{config_api::ADD, "tcp://c:1"}});
    elsewhere.mutable_instance()->mutable_instance_selector()->set_name("office");
    EXPECT_TRUE(refused(elsewhere));
    EXPECT_TRUE(instance_.connector_calls.empty());
    EXPECT_TRUE(refused(patch_of({{config_api::REMOVE, "tcp://unknown:1"}})));
}

}  // namespace
}  // namespace selvage::node
