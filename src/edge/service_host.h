// Runs the enabled services: takes their ports, checks who calls, keeps the sessions.
//
//   accept -> who is it? -> allowed? -> below the limits? -> serve() in the scope -> gone
//                 |             |              |
//                 +-- reset ----+-- reset -----+   each with an audit line and a counter
//
// A session ends when serve() returns, the caller goes away, no byte moved for the idle timeout,
// somebody kills it, new options do not allow it any more, or its service or the host stops: then
// it gets two seconds' grace and is cancelled.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "edge/options.h"
#include "edge/service.h"
#include "rt/event.h"
#include "rt/runtime.h"
#include "rt/scope.h"

namespace selvage::edge {

struct ServiceCounters {
    std::uint64_t accepted = 0;
    std::uint64_t refused_unknown = 0;      // nobody knows who calls
    std::uint64_t refused_not_allowed = 0;  // not on the allow list
    std::uint64_t refused_limit = 0;        // too many sessions
    std::uint64_t failed = 0;               // serve() ended with an error
    std::uint64_t idle_closed = 0;
    std::uint64_t killed = 0;
    std::uint64_t revoked = 0;  // new options did not allow them any more
};

struct ServiceInfo {
    std::string name;
    std::string summary;
    bool enabled = false;
    std::uint16_t port = 0;
    std::vector<std::string> allow;  // as configured
    std::optional<Endpoint> listen_host;
    bool advertise = false;
    std::size_t sessions = 0;
    ServiceCounters counters;
    std::string error;  // why an enabled service is not running
    // A program of the host listens at the port as well: only programs of the host reach that one.
    bool shadows_host = false;
};

struct SessionInfo {
    SessionId id;
    std::string service;
    Caller caller;
    WallTime since;
    std::uint64_t bytes_in = 0;   // from the caller
    std::uint64_t bytes_out = 0;  // to the caller
    std::string note;
};

// What a member is told when it asks what there is.
struct ServiceOffer {
    std::string name;
    std::uint16_t port = 0;
};

class ServiceHost final : private SessionControl {
public:
    struct Parts {
        rt::Runtime& runtime;
        Log log;
        const NodeView& node;
        Dialer& dialer;
        PortPublisher& ports;
        HostListener* host_listener = nullptr;  // null: listen_host is an error
        TerminalSpawner* terminals = nullptr;
        RecordingStore* recordings = nullptr;
        NodeCommands* commands = nullptr;
    };

    ServiceHost(Parts parts, std::vector<ServiceOptions> options);
    ~ServiceHost() override;  // Precondition: never started, or stopped

    // Takes the ports of all enabled services. The first failure is returned, but the other
    // services run: one taken port must not take the rest away.
    Result<> start();
    // New options while running, one for each service that there is (those left out are off). New
    // callers meet them at once. Live sessions whose callers are no longer allowed end at once, and
    // so do the youngest beyond a lower limit; those of a service that went off or had to be made
    // anew within two seconds. A port that cannot be had leaves the service on its old one. The
    // first failure is returned, the rest is applied nevertheless. Precondition: started.
    Result<> apply(std::vector<ServiceOptions> options);
    // No new sessions; those that live get two seconds to end by themselves.
    rt::Task<> stop();

    std::vector<ServiceInfo> services() const;
    std::vector<SessionInfo> sessions() const;
    // The services that are advertised, listen in the mesh, and let this member in from at least
    // one of its addresses; all others are no business of its.
    std::vector<ServiceOffer> offers_to(
        const MemberInfo& member, const std::vector<IpAddress>& addresses
    ) const;
    // A password for one log-in at a service, for whoever it is given to. Errors: not_found (no
    // such service, or it is off), unsupported (it takes none), bad_argument, limit.
    Result<TokenStore::Issued> issue_token(std::string_view service, Duration lives);
    // Tokens that wait to be used, and taking one back; false when it does not wait any more.
    std::vector<TokenStore::Waiting> tokens();
    bool revoke_token(std::uint64_t number);
    // Ends a session; false when there is none of that id.
    bool kill(SessionId id);

private:
    // In service_state.h.
    struct Generation;
    struct Running;
    struct Session;
    class SessionStream;
    class SessionEntry;

    Result<> start_or_report(Running& service);
    Result<> start_service(Running& service);
    Result<> open_ports(Running& service, const ServiceOptions& options);
    void make_service(Running& service);
    void close_ports(Running& service);
    void stop_service(Running& service, std::string_view why);
    Result<> apply_to(Running& service, ServiceOptions options);
    void revoke_sessions(Running& service);
    rt::Task<> accept_loop(Running& service, rt::AcceptorPtr acceptor, Origin origin);
    void admit(Running& service, rt::StreamPtr stream, Origin origin);
    std::optional<Caller> identify(const rt::Stream& stream, Origin origin) const;
    static bool allowed(const ServiceOptions& options, const Caller& caller);
    static bool within_limits(const Running& service, const Caller& caller);
    void refuse(
        Running& service, rt::StreamPtr stream, const std::string& caller, std::string_view reason,
        std::uint64_t& counter
    );
    rt::Task<> run_session(SessionEntry entry, rt::StreamPtr stream);
    void remove(SessionId id);
    void watch_idle(Session& session);
    void end_session(Session& session, std::string why);
    void end_after_grace(Session& session, std::string_view why);
    void note(SessionId session, std::string text) override;
    void moved(SessionId session, std::uint64_t in, std::uint64_t out) override;
    void end(SessionId session, std::string why) override;

    Parts parts_;
    Log audit_;
    TokenStore tokens_;
    std::vector<std::unique_ptr<Running>> services_;          // one per row of the table
    std::map<SessionId, std::unique_ptr<Session>> sessions_;  // bounded by the services' limits
    rt::Event sessions_changed_;
    std::uint64_t next_session_ = 1;
    TimePoint audit_window_;
    std::uint32_t audit_lines_ = 0;
    std::uint64_t audit_suppressed_ = 0;
    rt::TaskScope accepting_;
    rt::TaskScope serving_;
};

}  // namespace selvage::edge
