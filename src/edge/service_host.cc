// Accepting, admitting and ending sessions.
#include "edge/service_host.h"

#include <cassert>

#include "edge/service_state.h"

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
        auto started = start_or_report(*service);
        if (!started && first) first = std::move(started);
    }
    return first;
}

Result<> ServiceHost::start_or_report(Running& service) {
    auto started = start_service(service);
    if (started) {
        service.error.clear();
        return started;
    }
    service.error = started.error().message();
    close_ports(service);
    parts_.log.error(
        "service did not start", "service={} reason=\"{}\"", service.options.spec->name,
        service.error
    );
    return started;
}

Result<> ServiceHost::start_service(Running& service) {
    make_service(service);
    if (auto opened = open_ports(service, service.options); !opened) {
        service.generations.pop_back();
        return opened;
    }
    parts_.log.info(
        "service started", "service={} port={}", service.options.spec->name, service.options.port
    );
    if (service.options.shadow_host && parts_.ports.host_listens(service.options.port)) {
        parts_.log.warn(
            "service hides a program of the host", "service={} port={}", service.options.spec->name,
            service.options.port
        );
    }
    return {};
}

// Opens those of the options' ports that are not open yet; all or none.
Result<> ServiceHost::open_ports(Running& service, const ServiceOptions& options) {
    const auto name = fmt::format("service {}", options.spec->name);
    rt::AcceptorPtr mesh;
    rt::AcceptorPtr host;
    if (service.mesh == nullptr && options.serves_mesh()) {
        auto opened =
            parts_.ports.publish({.port = options.port, .shadow_host = options.shadow_host});
        if (!opened) {
            return std::move(opened).error().with(fmt::format("{}: port {}", name, options.port));
        }
        mesh = std::move(*opened);
    }
    if (options.listen_host && service.host == nullptr) {
        if (parts_.host_listener == nullptr) {
            return Error(Errc::unsupported, name + ": listen_host is not available here");
        }
        auto opened = parts_.host_listener->listen(*options.listen_host);
        if (!opened) {
            return std::move(opened).error().with(
                fmt::format("{}: listen_host {}", name, *options.listen_host)
            );
        }
        host = std::move(*opened);
    }
    if (mesh) {
        service.mesh = mesh.get();
        accepting_.spawn(name, accept_loop(service, std::move(mesh), Origin::mesh));
    }
    if (host) {
        service.host = host.get();
        accepting_.spawn(name + " host", accept_loop(service, std::move(host), Origin::host));
    }
    return {};
}

void ServiceHost::make_service(Running& service) {
    const ServiceOptions& options = service.options;
    Generation& made = service.generations.emplace_back();
    made.own = options.own;
    made.context = std::make_unique<ServiceContext>(ServiceContext{
        .runtime = parts_.runtime,
        .log = parts_.log.child(options.spec->name),
        .options = made.own,
        .port = options.port,
        .node = parts_.node,
        .dialer = parts_.dialer,
        .ports = parts_.ports,
        .host_listener = parts_.host_listener,
        .sessions = *this,
        .terminals = parts_.terminals,
        .recordings = parts_.recordings,
        .tokens = tokens_,
        .commands = parts_.commands,
    });
    made.service = options.spec->make(*made.context);
}

void ServiceHost::close_ports(Running& service) {
    if (service.mesh != nullptr) std::exchange(service.mesh, nullptr)->close();
    if (service.host != nullptr) std::exchange(service.host, nullptr)->close();
}

rt::Task<> ServiceHost::stop() {
    for (auto& service : services_)
        close_ports(*service);
    co_await accepting_.close();
    const TimePoint deadline = parts_.runtime.now() + kStopGrace;
    while (!sessions_.empty()) {
        if (!co_await sessions_changed_.wait_until(deadline)) break;
    }
    co_await serving_.close();
    for (auto& service : services_)
        service->generations.clear();
}

rt::Task<> ServiceHost::accept_loop(Running& service, rt::AcceptorPtr acceptor, Origin origin) {
    for (;;) {
        auto stream = co_await acceptor->accept();
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
    caller.virtual_address = member->virtual_address;
    caller.auth = member->auth;
    caller.path = member->path;
    return caller;
}

bool ServiceHost::allowed(const ServiceOptions& options, const Caller& caller) {
    // Who listens on loopback means the programs of this host; that is the rule for them.
    const bool loopback = caller.address.address.unmapped().is_loopback() &&
                          caller.local.address.unmapped().is_loopback();
    if (caller.origin == Origin::host && (loopback || options.host_is_open)) return true;
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
    ++service.generations.back().live;
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
    auto served = co_await session.generation.service->serve(std::move(counted), session.caller);
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
    Generation& generation = session.generation;
    sessions_.erase(found);
    if (--generation.live == 0 && generation.retired) {
        service.generations.remove_if([&](const Generation& each) { return &each == &generation; });
    }
    sessions_changed_.notify();
}

void ServiceHost::watch_idle(Session& session) {
    const Duration limit = session.service.options.idle_timeout;
    session.idle.cancel();
    if (limit == Duration(0)) return;
    session.idle.set(session.last_active + limit, [this, &session, limit] {
        if (parts_.runtime.now() - session.last_active < limit) return watch_idle(session);
        ++session.service.counters.idle_closed;
        end_session(session, "idle");
    });
}

Result<TokenStore::Issued> ServiceHost::issue_token(std::string_view name, Duration lives) {
    const auto running = std::ranges::find_if(services_, [name](const auto& service) {
        return service->options.spec->name == name;
    });
    if (running == services_.end() || !(*running)->options.enabled) {
        return Error(
            Errc::not_found, fmt::format("no service {} is enabled here", printable(name, 32))
        );
    }
    if (!(*running)->options.spec->takes_tokens) {
        return Error(Errc::unsupported, fmt::format("{} takes no tokens", name));
    }
    auto issued = tokens_.issue(name, lives, parts_.runtime.now());
    if (!issued) return std::move(issued).error();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(lives).count();
    audit_.info("token issued", "token={} service={} seconds={}", issued->number, name, seconds);
    return issued;
}

std::vector<TokenStore::Waiting> ServiceHost::tokens() {
    return tokens_.waiting(parts_.runtime.now());
}

bool ServiceHost::revoke_token(std::uint64_t number) {
    if (!tokens_.revoke(number, parts_.runtime.now())) return false;
    audit_.info("token revoked", "token={}", number);
    return true;
}

bool ServiceHost::kill(SessionId id) {
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return false;
    ++found->second->service.counters.killed;
    end_session(*found->second, "killed");
    return true;
}

void ServiceHost::end_session(Session& session, std::string why) {
    if (session.ended_by.empty()) session.ended_by = std::move(why);
    serving_.cancel_one(session.task);
}

void ServiceHost::end_after_grace(Session& session, std::string_view why) {
    session.grace.set(parts_.runtime.now() + kStopGrace, [this, &session, why = std::string(why)] {
        end_session(session, why);
    });
}

void ServiceHost::end(SessionId id, std::string why) {
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return;
    Session& session = *found->second;
    ++session.service.counters.revoked;
    // In a later turn: a service may ask for the end of the very session that it is serving.
    session.grace.set(parts_.runtime.now(), [this, &session, why = std::move(why)] {
        end_session(session, why);
    });
}

void ServiceHost::note(SessionId session, std::string text) {
    const auto found = sessions_.find(session);
    if (found != sessions_.end()) found->second->note = std::move(text);
}

void ServiceHost::moved(SessionId id, std::uint64_t in, std::uint64_t out) {
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return;
    found->second->bytes_in += in;
    found->second->bytes_out += out;
    found->second->last_active = parts_.runtime.now();
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
            .advertise = options.advertise,
            .sessions = service->live,
            .counters = service->counters,
            .error = service->error,
            .shadows_host = service->mesh != nullptr && parts_.ports.host_listens(options.port),
        });
    }
    return out;
}

std::vector<ServiceOffer> ServiceHost::offers_to(
    const MemberInfo& member, const std::vector<IpAddress>& addresses
) const {
    Caller caller{
        .origin = Origin::mesh,
        .peer = member.peer,
        .host_name = member.host_name,
        .instance = member.instance,
        .network = member.network,
        .virtual_address = member.virtual_address,
        .auth = member.auth,
        .path = member.path
    };
    const auto lets_in = [&caller, &addresses](const ServiceOptions& options) {
        return std::ranges::any_of(addresses, [&](const IpAddress& address) {
            caller.address.address = address;
            return allowed(options, caller);
        });
    };
    std::vector<ServiceOffer> out;
    for (const auto& service : services_) {
        const ServiceOptions& options = service->options;
        if (!options.advertise || service->mesh == nullptr || !lets_in(options)) continue;
        out.push_back({.name = std::string(options.spec->name), .port = options.port});
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
