// The text that a scraper gets, and what the server says to others.
#include "node/prometheus.h"

#include <gtest/gtest.h>

#include "edge/test_fakes.h"

namespace selvage::node {
namespace {

constexpr CounterInfo kBytes{"traffic", "rx_bytes",     CounterKind::counter,
                             "bytes",   "bytes \"in\"", ""};
constexpr CounterInfo kDropped{"dropped",       "",      CounterKind::counter, "packets",
                               "not delivered", "reason"};

std::vector<InstanceSamples> two_instances() {
    return {
        {"home",
         {{.info = &kBytes, .value = 7}, {.info = &kDropped, .value = 1, .label = "no_route"}}},
        {"off\"ice", {{.info = &kBytes, .value = 8}}},
    };
}

TEST(PrometheusText, HasEachMetricOnceWithAllItsValues) {
    EXPECT_EQ(
        prometheus_text(two_instances()),
        "# HELP selvage_traffic_rx_bytes_total bytes \\\"in\\\"\n"
        "# TYPE selvage_traffic_rx_bytes_total counter\n"
        "selvage_traffic_rx_bytes_total{instance=\"home\"} 7\n"
        "selvage_traffic_rx_bytes_total{instance=\"off\\\"ice\"} 8\n"
        "# HELP selvage_dropped_packets_total not delivered\n"
        "# TYPE selvage_dropped_packets_total counter\n"
        "selvage_dropped_packets_total{instance=\"home\",reason=\"no_route\"} 1\n"
    );
}

class MetricsServerTest : public testing::Test {
protected:
    void TearDown() override { runtime_.run(server_.stop()); }
    std::string ask(std::string_view request) {
        auto [near, far] = rt::make_stream_pair(runtime_);
        server_.serve(std::move(far));
        edge::TestClient client(runtime_, std::move(near));
        client.send(request);
        runtime_.run_for(1s);
        return client.received();
    }

    rt::VirtualRuntime runtime_;
    MetricsServer server_{runtime_, [] { return std::string("a 1\n"); }, Log()};
};

TEST_F(MetricsServerTest, AnswersAScraperAndCloses) {
    const std::string reply = ask("GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n");
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 200 OK\r\n")) << reply;
    EXPECT_NE(reply.find("version=0.0.4"), std::string::npos);
    EXPECT_NE(reply.find("Connection: close"), std::string::npos);
    EXPECT_TRUE(reply.ends_with("\r\n\r\na 1\n")) << reply;
}

TEST_F(MetricsServerTest, RefusesWhatIsNoScrape) {
    EXPECT_TRUE(ask("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
    EXPECT_TRUE(ask("DELETE /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
    EXPECT_TRUE(ask("\x16\x03\x01 hello\r\n\r\n").starts_with("HTTP/1.1 400"));
    EXPECT_TRUE(ask("GET /metrics HTTP/1.1\r\nA: " + std::string(20'000, 'x') + "\r\n\r\n")
                    .starts_with("HTTP/1.1 400"));
    EXPECT_TRUE(ask("HEAD /metrics HTTP/1.1\r\n\r\n").ends_with("\r\n\r\n"));
}

TEST_F(MetricsServerTest, GivesUpOnASlowCallerAndLimitsHowManyWait) {
    std::vector<edge::ClientPtr> waiting;
    for (std::size_t i = 0; i <= MetricsServer::kConnectionsMax; ++i) {
        auto [near, far] = rt::make_stream_pair(runtime_);
        server_.serve(std::move(far));
        waiting.push_back(std::make_unique<edge::TestClient>(runtime_, std::move(near)));
    }
    runtime_.run_for(1s);
    EXPECT_TRUE(waiting.back()->ended());
    EXPECT_FALSE(waiting.front()->ended());
    runtime_.run_for(20s);
    EXPECT_TRUE(waiting.front()->ended());
}

}  // namespace
}  // namespace selvage::node
