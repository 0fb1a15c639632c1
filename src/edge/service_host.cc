// Accepting, admitting and ending sessions.
#include "edge/service_host.h"

#include <cassert>

#include "rt/timers.h"

namespace selvage::edge {
namespace {

// How long sessions may go on after stop() before they are cancelled.
constexpr Duration kStopGrace = std::chrono::seconds(2);
// After an accept that failed for want of something (descriptors, memory), so that the loop does
// not spin until there is some.
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);
// Lines about refused callers a second; what comes beyond is counted and told with the next one, so
// that nobody fills our log by knocking.
constexpr std::uint32_t kAuditLines = 10;

}  // namespace

struct ServiceHost::Running {
    ServiceOptions options;
    ServiceCounters counters;
    std::string error;
    std::unique_ptr<ServiceContext> context;  // refers to options.own
    std::unique_ptr<Service> service;
    rt::AcceptorPtr mesh;
    rt::AcceptorPtr host;
    std::size_t live = 0;
    std::map<PeerId, std::uint32_t> live_by_peer;  // 0: all callers of the host
};

struct ServiceHost::Session {
    Session(rt::Runtime& rt, Running& owner, Caller who)
        : runtime(rt), service(owner), caller(std::move(who)), idle(rt.timers()) {
        last_active = rt.now();
        since = rt.wall_now();
    }
    rt::Runtime& runtime;
    Running& service;
    Caller caller;
    WallTime since;
    TimePoint last_active;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t task = 0;
    std::string note;
    std::string ended_by;  // "idle" or "killed", when it did not end by itself
    rt::Timer idle;
};

// The caller's stream as the service sees it: counts what passes, which is also what keeps an idle
// session from being closed.
class ServiceHost::SessionStream final : public rt::Stream {
public:
    // `inner` outlives this: how the connection ends is decided when serve() has returned.
    SessionStream(Session& session, rt::Stream& inner) : session_(session), inner_(inner) {}

    rt::Task<Result<std::size_t>> read_some(MutableByteView buffer) override {
        auto got = co_await inner_.read_some(buffer);
        if (got) session_.bytes_in += *got;
        session_.last_active = session_.runtime.now();
        co_return got;
    }
    rt::Task<Result<std::size_t>> write_some(ByteView bytes) override {
        auto sent = co_await inner_.write_some(bytes);
        if (sent) session_.bytes_out += *sent;
        session_.last_active = session_.runtime.now();
        co_return sent;
    }
    Result<> shutdown_write() override { return inner_.shutdown_write(); }
    void close() override { inner_.close(); }
    void reset() override { inner_.reset(); }
    Endpoint local() const override { return inner_.local(); }
    Endpoint remote() const override { return inner_.remote(); }

private:
    Session& session_;
    rt::Stream& inner_;
};

// Takes the session out of the table when its coroutine is gone, however that came about.
class ServiceHost::SessionEntry {
public:
    SessionEntry(ServiceHost& host, SessionId id) : host_(&host), id_(id) {}
    SessionEntry(SessionEntry&& other) noexcept
        : host_(std::exchange(other.host_, nullptr)), id_(other.id_) {}
    SessionEntry(const SessionEntry&) = delete;
    SessionEntry& operator=(const SessionEntry&) = delete;
    SessionEntry& operator=(SessionEntry&&) = delete;
    ~SessionEntry() {
        if (host_ != nullptr) host_->remove(id_);
    }
    Session& session() const { return *host_->sessions_.at(id_); }

private:
    ServiceHost* host_;
    SessionId id_;
};

ServiceHost::ServiceHost(Parts parts, std::vector<ServiceOptions> options)
    : parts_(std::move(parts)),
      audit_(parts_.log.child("audit")),
      sessions_changed_(parts_.runtime),
      accepting_(parts_.runtime, parts_.log),
      serving_(parts_.runtime, parts_.log) {
    for (ServiceOptions& each : options) {
        auto running = std::make_unique<Running>();
        running->options = std::move(each);
        services_.push_back(std::move(running));
    }
}

ServiceHost::~ServiceHost() {
    assert(sessions_.empty());
}

Result<> ServiceHost::start() {
    Result<> first;
    for (auto& service : services_) {
        if (!service->options.enabled) continue;
        auto started = start_service(*service);
        if (started) continue;
        service->error = started.error().message();
        service->mesh.reset();
        service->host.reset();
        service->service.reset();
        parts_.log.error(
            "service did not start", "service={} reason=\"{}\"", service->options.spec->name,
            service->error
        );
        if (first) first = std::move(started);
    }
    return first;
}

Result<> ServiceHost::start_service(Running& service) {
    const ServiceOptions& options = service.options;
    const auto name = fmt::format("service {}", options.spec->name);
    auto mesh = parts_.ports.publish(options.port);
    if (!mesh) return std::move(mesh).error().with(fmt::format("{}: port {}", name, options.port));
    service.mesh = std::move(*mesh);
    if (options.listen_host) {
        if (parts_.host_listener == nullptr) {
            return Error(Errc::unsupported, name + ": listen_host is not available here");
        }
        auto host = parts_.host_listener->listen(*options.listen_host);
        if (!host) {
            return std::move(host).error().with(
                fmt::format("{}: listen_host {}", name, *options.listen_host)
            );
        }
        service.host = std::move(*host);
    }
    service.context = std::make_unique<ServiceContext>(ServiceContext{
        .runtime = parts_.runtime,
        .log = parts_.log.child(options.spec->name),
        .options = options.own,
        .port = options.port,
        .node = parts_.node,
        .dialer = parts_.dialer,
        .sessions = *this,
        .terminals = parts_.terminals,
    });
    service.service = options.spec->make(*service.context);
    accepting_.spawn(name, accept_loop(service, *service.mesh, Origin::mesh));
    if (service.host) {
        accepting_.spawn(name + " host", accept_loop(service, *service.host, Origin::host));
    }
    parts_.log.info("service started", "service={} port={}", options.spec->name, options.port);
    return {};
}

rt::Task<> ServiceHost::stop() {
    for (auto& service : services_) {
        if (service->mesh) service->mesh->close();
        if (service->host) service->host->close();
    }
    co_await accepting_.close();
    const TimePoint deadline = parts_.runtime.now() + kStopGrace;
    while (!sessions_.empty()) {
        if (!co_await sessions_changed_.wait_until(deadline)) break;
    }
    co_await serving_.close();
    for (auto& service : services_) {
        service->service.reset();
        service->mesh.reset();
        service->host.reset();
    }
}

rt::Task<> ServiceHost::accept_loop(Running& service, rt::Acceptor& acceptor, Origin origin) {
    for (;;) {
        auto stream = co_await acceptor.accept();
        if (stream) {
            admit(service, std::move(*stream), origin);
            continue;
        }
        if (stream.error().is(Errc::closed)) co_return;
        parts_.log.warn(
            "accept failed", "service={} reason=\"{}\"", service.options.spec->name,
            stream.error().message()
        );
        co_await rt::sleep_for(parts_.runtime, kAcceptPause);
    }
}

std::optional<Caller> ServiceHost::identify(const rt::Stream& stream, Origin origin) const {
    Caller caller;
    caller.origin = origin;
    caller.address = stream.remote();
    caller.local = stream.local();
    if (origin == Origin::host) return caller;
    auto member = parts_.node.who_is(caller.address, caller.local);
    if (!member) return std::nullopt;
    caller.peer = member->peer;
    caller.host_name = std::move(member->host_name);
    caller.instance = member->instance;
    caller.network = std::move(member->network);
    return caller;
}

bool ServiceHost::allowed(const ServiceOptions& options, const Caller& caller) {
    // Who listens on loopback means the programs of this host; that is the rule for them.
    const bool loopback = caller.address.address.unmapped().is_loopback() &&
                          caller.local.address.unmapped().is_loopback();
    if (caller.origin == Origin::host && loopback) return true;
    return options.allow.matches(caller);
}

bool ServiceHost::within_limits(const Running& service, const Caller& caller) {
    if (service.live >= service.options.max_sessions) return false;
    const auto found = service.live_by_peer.find(caller.peer);
    return found == service.live_by_peer.end() ||
           found->second < service.options.max_sessions_per_caller;
}

void ServiceHost::admit(Running& service, rt::StreamPtr stream, Origin origin) {
    auto caller = identify(*stream, origin);
    ServiceCounters& counters = service.counters;
    if (!caller) {
        const std::string address = stream->remote().to_string();
        return refuse(service, std::move(stream), address, "unknown", counters.refused_unknown);
    }
    const std::string who = caller->to_string();
    if (!allowed(service.options, *caller)) {
        return refuse(service, std::move(stream), who, "not allowed", counters.refused_not_allowed);
    }
    if (!within_limits(service, *caller)) {
        return refuse(service, std::move(stream), who, "too many sessions", counters.refused_limit);
    }
    ++counters.accepted;
    const SessionId id(next_session_++);
    caller->session = id;
    audit_.info(
        "session opened", "id={} service={} caller=\"{}\"", id, service.options.spec->name, who
    );
    ++service.live;
    ++service.live_by_peer[caller->peer];
    Session& session =
        *sessions_
             .emplace(id, std::make_unique<Session>(parts_.runtime, service, std::move(*caller)))
             .first->second;
    watch_idle(session);
    session.task = serving_.spawn(
        fmt::format("{} {}", service.options.spec->name, session.caller.address),
        run_session(SessionEntry(*this, id), std::move(stream))
    );
}

void ServiceHost::refuse(
    Running& service, rt::StreamPtr stream, const std::string& caller, std::string_view reason,
    std::uint64_t& counter
) {
    ++counter;
    stream->reset();
    const TimePoint now = parts_.runtime.now();
    if (now - audit_window_ >= std::chrono::seconds(1)) {
        audit_window_ = now;
        audit_lines_ = 0;
    }
    if (audit_lines_ >= kAuditLines) {
        ++audit_suppressed_;
        return;
    }
    ++audit_lines_;
    audit_.warn(
        "caller refused", "service={} caller=\"{}\" reason=\"{}\" suppressed={}",
        service.options.spec->name, caller, reason, std::exchange(audit_suppressed_, 0)
    );
}

rt::Task<> ServiceHost::run_session(SessionEntry entry, rt::StreamPtr stream) {
    Session& session = entry.session();
    auto counted = std::make_unique<SessionStream>(session, *stream);
    auto served = co_await session.service.service->serve(std::move(counted), session.caller);
    if (served) {
        // The caller gets what was written and then the end. After an error, or when the session
        // was cancelled, the stream goes as it is: an end that looked clean would hide the loss.
        static_cast<void>(stream->shutdown_write());
        co_return;
    }
    ++session.service.counters.failed;
    parts_.log.debug(
        "session ended with an error", "id={} reason=\"{}\"", session.caller.session,
        served.error().message()
    );
}

void ServiceHost::remove(SessionId id) {
    const auto found = sessions_.find(id);
    Session& session = *found->second;
    Running& service = session.service;
    --service.live;
    const auto peer = service.live_by_peer.find(session.caller.peer);
    if (--peer->second == 0) service.live_by_peer.erase(peer);
    const auto lasted = parts_.runtime.wall_now() - session.since;
    audit_.info(
        "session closed", "id={} service={} caller=\"{}\" seconds={} in={} out={}{}{}", id,
        service.options.spec->name, session.caller.to_string(),
        std::chrono::duration_cast<std::chrono::seconds>(lasted).count(), session.bytes_in,
        session.bytes_out, session.ended_by.empty() ? "" : " ended_by=", session.ended_by
    );
    sessions_.erase(found);
    sessions_changed_.notify();
}

void ServiceHost::watch_idle(Session& session) {
    const Duration limit = session.service.options.idle_timeout;
    if (limit == Duration(0)) return;
    session.idle.set(session.last_active + limit, [this, &session, limit] {
        if (parts_.runtime.now() - session.last_active < limit) return watch_idle(session);
        ++session.service.counters.idle_closed;
        session.ended_by = "idle";
        serving_.cancel_one(session.task);
    });
}

bool ServiceHost::kill(SessionId id) {
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return false;
    ++found->second->service.counters.killed;
    found->second->ended_by = "killed";
    serving_.cancel_one(found->second->task);
    return true;
}

void ServiceHost::note(SessionId session, std::string text) {
    const auto found = sessions_.find(session);
    if (found != sessions_.end()) found->second->note = std::move(text);
}

std::vector<ServiceInfo> ServiceHost::services() const {
    std::vector<ServiceInfo> out;
    for (const auto& service : services_) {
        const ServiceOptions& options = service->options;
        std::vector<std::string> allow;
        for (const AllowRule& rule : options.allow.rules())
            allow.push_back(to_text(rule));
        out.push_back({
            .name = std::string(options.spec->name),
            .summary = std::string(options.spec->summary),
            .enabled = options.enabled,
            .port = options.port,
            .allow = std::move(allow),
            .listen_host = options.listen_host,
            .sessions = service->live,
            .counters = service->counters,
            .error = service->error,
        });
    }
    return out;
}

std::vector<SessionInfo> ServiceHost::sessions() const {
    std::vector<SessionInfo> out;
    out.reserve(sessions_.size());
    for (const auto& [id, session] : sessions_) {
        out.push_back({
            .id = id,
            .service = std::string(session->service.options.spec->name),
            .caller = session->caller,
            .since = session->since,
            .bytes_in = session->bytes_in,
            .bytes_out = session->bytes_out,
            .note = session->note,
        });
    }
    return out;
}

}  // namespace selvage::edge
