// What all protocols of the proxy share: who may use it, where to, and what its sessions are doing.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "edge/login_guard.h"
#include "edge/outbound.h"
#include "edge/service.h"

namespace selvage::edge {

struct ProxyOptions {
    Users users;
    std::vector<DestinationRule> rules;
    // Where BIND and its like listen for connections from the host's network; without it they are
    // offered for peers in the mesh only.
    std::optional<IpAddress> bind_host;
};

// Reads the proxy's own keys.
ProxyOptions read_proxy_options(OptionReader& in);

class SocksUdpRelay;

class ProxyCore {
public:
    ProxyCore(ServiceContext& context, ProxyOptions options);

    // One session's place: what it does is checked again when the options change.
    class Visit {
    public:
        Visit(ProxyCore& core, Caller caller);
        ~Visit();
        Visit(const Visit&) = delete;
        Visit& operator=(const Visit&) = delete;
        const Caller& caller() const { return caller_; }

    private:
        friend class ProxyCore;
        ProxyCore& core_;
        const Caller caller_;
        std::string user_;
        std::string hash_;  // which the user's password was checked against
        std::optional<Destination> to_;
        SocksUdpRelay* udp_ = nullptr;
    };

    bool needs_password() const { return logins_.has_users(); }
    // False after the delay that a wrong password costs.
    rt::Task<bool> log_in(Visit& visit, std::string user, crypto::SecretText password);
    // A refusal is logged with its reason; the error says no more than its code.
    rt::Task<Result<rt::StreamPtr>> connect(Visit& visit, Destination to);

    // A port where `peer`, whom the caller expects, may connect to; with the address to tell it.
    struct Binding {
        rt::AcceptorPtr acceptor;
        IpAddress expected;
        Endpoint bound;  // what to tell the peer
    };
    rt::Task<Result<Binding>> bind(Visit& visit, Destination peer);
    // The next connection to it that comes from `expected`; others are reset.
    rt::Task<Result<rt::StreamPtr>> accept_expected(Visit& visit, Binding& binding);

    // UDP ASSOCIATE: the port for the client's datagrams.
    Result<DatagramSocketPtr> open_relay_port(const Visit& visit, const rt::Stream& control);
    rt::Task<Result<>> relay_datagrams(
        Visit& visit, rt::Stream& control, DatagramSocketPtr near, std::uint16_t client_port
    );

    // Puts new options in force; sessions that they do not allow end.
    void reconfigure(ProxyOptions options);
    rt::Runtime& runtime() { return context_.runtime; }

private:
    void log_refusal(const Caller& caller, const Error& error);

    ServiceContext& context_;
    LoginGuard logins_;
    DestinationPolicy policy_;
    Outbound outbound_;
    std::optional<IpAddress> bind_host_;
    std::map<SessionId, Visit*> visits_;  // as many as sessions
};

}  // namespace selvage::edge
