// Accepting management connections and serving each.
#include "node/management.h"

#include "rpc/stream_session.h"

namespace selvage::node {
namespace {

// 5-management.md section 4.1.
constexpr std::uint16_t kPortalFirst = 15888;
constexpr std::uint16_t kPortalLast = 15899;
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);

}  // namespace

Management::Management(
    rt::Runtime& runtime, packet::PacketPool& pool, host::Sockets& sockets, InstanceView& instance,
    ManagementOptions options, Log log
)
    : runtime_(runtime),
      pool_(pool),
      sockets_(sockets),
      options_(std::move(options)),
      log_(std::move(log)),
      reference_api_(instance),
      selvage_api_(runtime, instance),
      watch_api_(runtime, instance, WatchApi::Captures::refused),
      owner_watch_api_(runtime, instance, WatchApi::Captures::allowed),
      control_api_(instance),
      token_api_(instance),
      accepting_(runtime, log_),
      sessions_(runtime, log_) {
    for (rpc::ServiceTable* table : {&services_, &owner_services_}) {
        reference_api_.add_to(*table);
        selvage_api_.add_to(*table);
        control_api_.add_to(*table);
    }
    watch_api_.add_to(services_);
    owner_watch_api_.add_to(owner_services_);
    token_api_.add_to(owner_services_);
}

Result<> Management::start() {
    if (!options_.socket_path.empty()) {
        auto acceptor = sockets_.listen_unix(options_.socket_path);
        if (!acceptor) {
            return std::move(acceptor).error().with("management socket " + options_.socket_path);
        }
        unix_ = std::move(*acceptor);
        accepting_.spawn("unix socket", accept_from(*unix_, false));
    }
    if (options_.portal) {
        auto acceptor = listen_portal();
        if (!acceptor) return std::move(acceptor).error().with("RPC portal");
        tcp_ = std::move(*acceptor);
        log_.info("portal open", "at={}", tcp_->local());
        accepting_.spawn("portal", accept_from(*tcp_, true));
    }
    return {};
}

Result<rt::AcceptorPtr> Management::listen_portal() {
    const Endpoint at = *options_.portal;
    if (at.port != 0) return sockets_.listen_tcp(at, {});
    Error last = Errc::in_use;
    for (std::uint16_t port = kPortalFirst; port <= kPortalLast; ++port) {
        auto acceptor = sockets_.listen_tcp({at.address, port}, {});
        if (acceptor) return acceptor;
        last = std::move(acceptor).error();
    }
    return std::move(last).with("no port from 15888 to 15899 is free");
}

std::optional<Endpoint> Management::portal() const {
    if (!tcp_) return std::nullopt;
    return tcp_->local();
}

rt::Task<> Management::stop() {
    if (unix_) unix_->close();
    if (tcp_) tcp_->close();
    co_await accepting_.close();
    co_await sessions_.close();
    unix_.reset();
    tcp_.reset();
}

rt::Task<> Management::accept_from(rt::Acceptor& acceptor, bool only_this_host) {
    for (;;) {
        auto stream = co_await acceptor.accept();
        if (!stream) {
            if (stream.error().is(Errc::closed)) co_return;
            log_.warn("accept failed", "reason=\"{}\"", stream.error().message());
            co_await rt::sleep_for(runtime_, kAcceptPause);
            continue;
        }
        const Endpoint from = (*stream)->remote();
        if (only_this_host && !from.address.unmapped().is_loopback()) {
            log_.warn("portal refused", "from={} reason=\"not of this host\"", from);
            continue;
        }
        serve(std::move(*stream), only_this_host ? services_ : owner_services_);
    }
}

void Management::serve(rt::StreamPtr stream, rpc::ServiceTable& services) {
    if (sessions_.size() >= options_.connections_limit) {
        log_.warn("management connection refused", "limit={}", options_.connections_limit);
        return;
    }
    sessions_.spawn("management session", run_session(std::move(stream), services));
}

rt::Task<> Management::run_session(rt::StreamPtr stream, rpc::ServiceTable& services) {
    rpc::StreamSession session(runtime_, pool_, std::move(stream), services, {}, log_);
    auto ended = co_await session.run();
    if (!ended) log_.debug("management session ended", "reason=\"{}\"", ended.error().message());
}

}  // namespace selvage::node
