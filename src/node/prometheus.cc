// The text format, and HTTP through Boost.Beast's parser and serializer over our own streams.
#include "node/prometheus.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <map>
#include <sstream>

#include "rt/with_timeout.h"

namespace selvage::node {
namespace {

namespace http = boost::beast::http;

// A scraper's request is a few hundred bytes and comes at once.
constexpr std::uint32_t kRequestMax = 8 * 1024;
constexpr Duration kRequestLimit = std::chrono::seconds(10);
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);

using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;

// Label values and help texts: backslash, quote and line end are escaped.
std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\n') {
            out += "\\n";
            continue;
        }
        if (c == '\\' || c == '"') out += '\\';
        out += c;
    }
    return out;
}

rt::Task<Result<Request>> read_request(rt::Stream& stream) {
    http::request_parser<http::empty_body> parser;
    parser.header_limit(kRequestMax);
    parser.body_limit(0);
    std::array<char, 4096> buffer;
    std::string held;
    while (!parser.is_done()) {
        auto got = co_await stream.read_some(
            {reinterpret_cast<std::uint8_t*>(buffer.data()), buffer.size()}
        );
        if (!got) co_return got.error();
        if (*got == 0) co_return Errc::closed;
        held.append(buffer.data(), *got);
        if (held.size() > 2 * kRequestMax) co_return Error(Errc::limit, "the request is too long");
        boost::beast::error_code error;
        const std::size_t used = parser.put(boost::asio::buffer(held), error);
        if (error && error != http::error::need_more) {
            co_return Error(Errc::malformed, "not an HTTP request");
        }
        held.erase(0, used);
    }
    co_return parser.release();
}

Response respond(const Request& request, const std::function<std::string()>& text) {
    Response out{http::status::ok, request.version()};
    out.set(http::field::content_type, "text/plain; charset=utf-8");
    const auto target = std::string_view(request.target().data(), request.target().size());
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
        out.result(http::status::method_not_allowed);
        out.set(http::field::allow, "GET, HEAD");
        out.body() = "only GET and HEAD\n";
    } else if (target.substr(0, target.find('?')) != "/metrics") {
        out.result(http::status::not_found);
        out.body() = "the metrics are at /metrics\n";
    } else {
        out.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
        out.body() = text();
    }
    out.keep_alive(false);
    out.prepare_payload();
    if (request.method() == http::verb::head) out.body().clear();
    return out;
}

}  // namespace

std::string prometheus_text(const std::vector<InstanceSamples>& instances) {
    struct Metric {
        std::string text;
        std::size_t place = 0;
    };
    std::map<std::string, Metric> metrics;
    for (const InstanceSamples& instance : instances) {
        for (const CounterSample& sample : instance.samples) {
            const std::string name = "selvage_" + sample.info->metric();
            auto [found, fresh] = metrics.try_emplace(name);
            Metric& metric = found->second;
            if (fresh) {
                metric.place = metrics.size();
                metric.text = fmt::format(
                    "# HELP {0} {1}\n# TYPE {0} {2}\n", name, escaped(sample.info->description),
                    kind_name(sample.info->kind)
                );
            }
            std::string label;
            if (!sample.label.empty()) {
                label = fmt::format(",{}=\"{}\"", sample.info->label, escaped(sample.label));
            }
            metric.text += fmt::format(
                "{}{{instance=\"{}\"{}}} {}\n", name, escaped(instance.instance), label,
                sample.value
            );
        }
    }
    std::map<std::size_t, const std::string*> in_order;
    for (const auto& [name, metric] : metrics)
        in_order.emplace(metric.place, &metric.text);
    std::string out;
    for (const auto& [place, text] : in_order)
        out += *text;
    return out;
}

MetricsServer::MetricsServer(rt::Runtime& runtime, std::function<std::string()> text, Log log)
    : runtime_(runtime),
      text_(std::move(text)),
      log_(std::move(log)),
      accepting_(runtime, log_),
      serving_(runtime, log_) {}

Result<> MetricsServer::start(host::Sockets& sockets, Endpoint at) {
    auto acceptor = sockets.listen_tcp(at, {});
    if (!acceptor) return std::move(acceptor).error().with(fmt::format("metrics on {}", at));
    acceptor_ = std::move(*acceptor);
    log_.info("metrics", "url=http://{}/metrics", acceptor_->local());
    accepting_.spawn("metrics", accept_all());
    return {};
}

rt::Task<> MetricsServer::stop() {
    if (acceptor_) acceptor_->close();
    co_await accepting_.close();
    co_await serving_.close();
}

void MetricsServer::serve(rt::StreamPtr stream) {
    if (serving_.size() >= kConnectionsMax) return;  // closes it
    serving_.spawn("scrape", answer(std::move(stream)));
}

rt::Task<> MetricsServer::accept_all() {
    for (;;) {
        auto stream = co_await acceptor_->accept();
        if (stream) {
            serve(std::move(*stream));
        } else if (stream.error().is(Errc::closed)) {
            co_return;
        } else {
            co_await rt::sleep_for(runtime_, kAcceptPause);
        }
    }
}

rt::Task<> MetricsServer::answer(rt::StreamPtr stream) {
    auto request = co_await rt::with_timeout(runtime_, kRequestLimit, read_request(*stream));
    Response response{http::status::bad_request, 11};
    if (request) {
        response = respond(*request, text_);
    } else if (request.error().is(Errc::closed) || request.error().is(Errc::reset)) {
        co_return;
    } else {
        response.keep_alive(false);
        response.prepare_payload();
    }
    std::ostringstream text;
    text << response;
    const std::string bytes = std::move(text).str();
    auto sent =
        co_await rt::with_timeout(runtime_, kRequestLimit, stream->write_all(as_view(bytes)));
    if (sent) static_cast<void>(stream->shutdown_write());
}

}  // namespace selvage::node
