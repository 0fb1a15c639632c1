// Each command: a call, and its answer as text.
#include "node/node_console.h"

#include <charconv>

#include "node/log_feed.h"
#include "node/tables.h"
#include "rpc/typed.h"

namespace selvage::node {
namespace {

namespace reference = ::api::instance;

constexpr std::size_t kLogLines = 20;
// Of a log that is followed; with the length of a line some kilobytes.
constexpr std::size_t kLogLinesAtOnce = 16;

}  // namespace

NodeConsole::NodeConsole(rt::Runtime& runtime, Node& node, LogTail* tail)
    : node_(node),
      tail_(tail),
      view_(runtime, node, process_),
      reference_api_(view_),
      selvage_api_(runtime, view_) {
    reference_api_.add_to(services_);
    selvage_api_.add_to(services_);
}

template <class Reply, class Request>
rt::Task<Result<Reply>> NodeConsole::ask(
    std::string service, std::uint32_t method, Request request
) {
    rpc::Service* const found = services_.find(
        {.domain = "", .service = std::move(service), .method = method, .proto_name = {}}
    );
    if (found == nullptr) co_return Errc::not_found;
    auto reply = co_await found->call({.peer = PeerId(1)}, method, rpc::to_wire(request));
    if (!reply) co_return std::move(reply).error();
    co_return rpc::from_wire<Reply>(*reply);
}

rt::Task<Result<std::string>> NodeConsole::run(
    std::string command, std::vector<std::string> arguments
) {
    if (command == "peers") co_return co_await peers();
    if (command == "routes") co_return co_await routes();
    if (command == "ping") co_return co_await ping(std::move(arguments.at(0)));
    if (command == "whois") co_return co_await who_is(std::move(arguments.at(0)));
    if (command == "log") {
        auto lines = log(arguments, LogTail::kLinesMax);
        if (!lines) co_return std::move(lines).error();
        co_return (*lines)->next();
    }
    if (command == "services") {
        auto services =
            co_await ask<api::ListServicesResponse>("SelvageRpc", 2, api::ListServicesRequest{});
        if (!services) co_return std::move(services).error();
        co_return services_table(*services);
    }
    if (command == "sessions") {
        auto sessions =
            co_await ask<api::ListSessionsResponse>("SelvageRpc", 3, api::ListSessionsRequest{});
        if (!sessions) co_return std::move(sessions).error();
        co_return sessions_table(*sessions);
    }
    co_return Errc::unsupported;
}

rt::Task<Result<std::string>> NodeConsole::peers() {
    auto routes = co_await ask<reference::ListRouteResponse>(
        "PeerManageRpc", 3, reference::ListRouteRequest{}
    );
    if (!routes) co_return std::move(routes).error();
    auto peers =
        co_await ask<reference::ListPeerResponse>("PeerManageRpc", 1, reference::ListPeerRequest{});
    if (!peers) co_return std::move(peers).error();
    co_return peers_table(*peers, *routes);
}

rt::Task<Result<std::string>> NodeConsole::routes() {
    auto routes = co_await ask<reference::ListRouteResponse>(
        "PeerManageRpc", 3, reference::ListRouteRequest{}
    );
    if (!routes) co_return std::move(routes).error();
    co_return routes_table(*routes);
}

rt::Task<Result<std::string>> NodeConsole::ping(std::string target) {
    api::PingRequest request;
    request.set_target(std::move(target));
    request.set_timeout_ms(5000);
    auto reply = co_await ask<api::PingResponse>("SelvageRpc", 4, std::move(request));
    if (!reply) co_return std::move(reply).error();
    co_return ping_line(*reply);
}

rt::Task<Result<std::string>> NodeConsole::who_is(std::string target) {
    api::WhoIsRequest request;
    request.set_target(std::move(target));
    auto found = co_await ask<api::WhoIsResponse>("SelvageRpc", 20, std::move(request));
    if (!found) co_return std::move(found).error();
    co_return who_is_table(*found);
}

Result<std::unique_ptr<edge::NodeFeed>> NodeConsole::log(
    const std::vector<std::string>& arguments, std::size_t lines_at_once
) const {
    std::size_t count = kLogLines;
    if (!arguments.empty()) {
        const std::string& text = arguments.front();
        const char* end = text.data() + text.size();
        const auto [last, failed] = std::from_chars(text.data(), end, count);
        if (failed != std::errc{} || last != end) {
            return Error(Errc::bad_argument, "a number of lines is meant");
        }
    }
    if (tail_ == nullptr) return Error(Errc::unsupported, "this node keeps no lines");
    return std::make_unique<LogFeed>(*tail_, node_.options().instance_name, count, lines_at_once);
}

Result<std::unique_ptr<edge::NodeFeed>> NodeConsole::follow(
    std::string_view command, const std::vector<std::string>& arguments
) {
    if (command != "log") return Errc::unsupported;
    return log(arguments, kLogLinesAtOnce);
}

// Names where a member is meant, addresses where an address is.
std::vector<std::string> NodeConsole::candidates(std::string_view command) const {
    std::vector<std::string> out;
    for (const NodeFacts& node : view_.nodes()) {
        if (command == "ping") out.push_back(node.host_name);
        if (command != "ping" && command != "whois") continue;
        if (node.ipv4) out.push_back(node.ipv4->address.to_string());
        if (node.ipv6) out.push_back(node.ipv6->address.to_string());
    }
    return out;
}

}  // namespace selvage::node
