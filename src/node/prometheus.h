// Counters in Prometheus' text format, and a small HTTP server that gives them to a scraper.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/log.h"
#include "host/sockets.h"
#include "node/counters.h"
#include "rt/runtime.h"
#include "rt/scope.h"

namespace selvage::node {

struct InstanceSamples {
    std::string instance;  // the label's value
    std::vector<CounterSample> samples;
};

// Each metric once with its heading and the values of all instances below, version 0.0.4 of the
// format.
std::string prometheus_text(const std::vector<InstanceSamples>& instances);

// Answers GET and HEAD of /metrics, one request a connection. There is no authentication, so it
// belongs on loopback or behind a firewall; it tells numbers and instance names only.
class MetricsServer {
public:
    // `text` is asked at each request. At kConnectionsMax a further connection is closed at once.
    static constexpr std::size_t kConnectionsMax = 16;

    MetricsServer(rt::Runtime& runtime, std::function<std::string()> text, Log log);

    Result<> start(host::Sockets& sockets, Endpoint at);
    rt::Task<> stop();
    // One connection; for tests too.
    void serve(rt::StreamPtr stream);

private:
    rt::Task<> accept_all();
    rt::Task<> answer(rt::StreamPtr stream);

    rt::Runtime& runtime_;
    std::function<std::string()> text_;
    Log log_;
    rt::AcceptorPtr acceptor_;
    rt::TaskScope accepting_;
    rt::TaskScope serving_;
};

}  // namespace selvage::node
