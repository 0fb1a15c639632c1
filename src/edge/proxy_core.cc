// Logging in, dialling, binding and relaying for the sessions of the proxy.
#include "edge/proxy_core.h"

#include "edge/socks_udp.h"
#include "rt/with_timeout.h"

namespace selvage::edge {
namespace {

// How long an expected peer may take to connect; as long as a protocol such as active FTP waits.
constexpr Duration kBindLimit = std::chrono::seconds(60);

}  // namespace

ProxyOptions read_proxy_options(OptionReader& in) {
    ProxyOptions out{
        .users = read_users(in, "users"),
        .rules = read_destination_rules(in, "rule"),
        .bind_host = std::nullopt
    };
    if (in.take("bind_host") != nullptr) {
        auto address = IpAddress::parse(in.text("bind_host", ""));
        if (address) {
            out.bind_host = *address;
        } else {
            in.problem("bind_host", "must be an address of this host, as \"192.168.1.5\"");
        }
    }
    return out;
}

ProxyCore::ProxyCore(ServiceContext& context, ProxyOptions options)
    : context_(context),
      logins_(context.runtime, std::move(options.users)),
      policy_(std::move(options.rules), context.node),
      outbound_(context.runtime, context.node, context.dialer, policy_),
      bind_host_(options.bind_host) {}

ProxyCore::Visit::Visit(ProxyCore& core, Caller caller) : core_(core), caller_(std::move(caller)) {
    core_.visits_[caller_.session] = this;
}

ProxyCore::Visit::~Visit() {
    core_.visits_.erase(caller_.session);
}

rt::Task<bool> ProxyCore::log_in(Visit& visit, std::string user, crypto::SecretText password) {
    const auto known = logins_.users().find(user);
    const std::string hash = known == logins_.users().end() ? std::string() : known->second;
    auto checked = co_await logins_.check(visit.caller_, user, std::move(password));
    if (checked && *checked) {
        visit.user_ = std::move(user);
        visit.hash_ = hash;
        co_return true;
    }
    // People type passwords where names belong: an unknown name is not repeated.
    context_.log.warn(
        "login failed", "caller=\"{}\" user=\"{}\" failures={}", visit.caller_.to_string(),
        hash.empty() ? "(unknown)" : user, logins_.failures()
    );
    co_return false;
}

void ProxyCore::log_refusal(const Caller& caller, const Error& error) {
    if (!error.is(Errc::denied)) return;
    context_.log.warn(
        "destination refused", "caller=\"{}\" reason=\"{}\"", caller.to_string(), error.message()
    );
}

rt::Task<Result<rt::StreamPtr>> ProxyCore::connect(Visit& visit, Destination to) {
    context_.sessions.note(visit.caller_.session, "to " + to.to_string());
    auto dialled = co_await outbound_.connect(visit.caller_, to);
    if (!dialled) {
        log_refusal(visit.caller_, dialled.error());
        co_return dialled.error();
    }
    visit.to_ = std::move(dialled->to);
    co_return std::move(dialled->stream);
}

rt::Task<Result<ProxyCore::Binding>> ProxyCore::bind(Visit& visit, Destination peer) {
    // The port that the peer will come from is unknown; rules that speak of ports mean that of the
    // request, if it names one.
    auto addresses = co_await rt::with_timeout(
        context_.runtime, Outbound::kConnectLimit, outbound_.find_addresses(visit.caller_, peer)
    );
    if (!addresses) {
        log_refusal(visit.caller_, addresses.error());
        co_return addresses.error();
    }
    const IpAddress expected = addresses->front();
    if (expected.is_unspecified()) co_return Errc::denied;
    Result<rt::AcceptorPtr> acceptor = Errc::unsupported;
    if (context_.node.in_mesh(expected)) {
        acceptor = context_.ports.publish({});
    } else if (bind_host_ && context_.host_listener != nullptr) {
        acceptor = context_.host_listener->listen({*bind_host_, 0});
    }
    if (!acceptor) co_return acceptor.error();
    context_.sessions.note(visit.caller_.session, "waits for " + peer.to_string());
    visit.to_ = peer;
    visit.to_->address = expected;
    Endpoint bound = (*acceptor)->local();
    // We may have an address of each family; the one that the caller knows is right for members.
    const IpAddress ours = visit.caller_.local.address;
    const bool mesh = visit.caller_.origin == Origin::mesh && context_.node.in_mesh(expected);
    if (mesh && ours.is_v4() == expected.is_v4()) bound.address = ours;
    co_return Binding{std::move(*acceptor), expected, bound};
}

namespace {

rt::Task<Result<rt::StreamPtr>> accept_from(rt::Acceptor& acceptor, IpAddress expected) {
    for (;;) {
        auto stream = co_await acceptor.accept();
        if (!stream || (*stream)->remote().address.unmapped() == expected) co_return stream;
        (*stream)->reset();
    }
}

}  // namespace

rt::Task<Result<rt::StreamPtr>> ProxyCore::accept_expected(Visit& visit, Binding& binding) {
    auto stream = co_await rt::with_timeout(
        context_.runtime, kBindLimit, accept_from(*binding.acceptor, binding.expected)
    );
    if (stream) {
        context_.sessions.note(visit.caller_.session, "from " + (*stream)->remote().to_string());
    }
    co_return stream;
}

Result<DatagramSocketPtr> ProxyCore::open_relay_port(
    const Visit& visit, const rt::Stream& control
) {
    if (visit.caller_.origin == Origin::mesh) return context_.ports.publish_datagrams({});
    if (context_.host_listener == nullptr) return Errc::unsupported;
    return context_.host_listener->listen_datagrams({control.local().address, 0});
}

rt::Task<Result<>> ProxyCore::relay_datagrams(
    Visit& visit, rt::Stream& control, DatagramSocketPtr near, std::uint16_t client_port
) {
    context_.sessions.note(visit.caller_.session, "datagrams");
    SocksUdpRelay relay(
        {.runtime = context_.runtime,
         .node = context_.node,
         .dialer = context_.dialer,
         .outbound = outbound_,
         .sessions = context_.sessions},
        visit.caller_, std::move(near), client_port
    );
    visit.udp_ = &relay;
    auto done = co_await relay.run(control);
    visit.udp_ = nullptr;
    co_return done;
}

void ProxyCore::reconfigure(ProxyOptions options) {
    logins_.set_users(std::move(options.users));
    policy_.set_rules(std::move(options.rules));
    bind_host_ = options.bind_host;
    for (const auto& [id, visit] : visits_) {
        if (visit->udp_ != nullptr) visit->udp_->forget_checked();
        const auto user = logins_.users().find(visit->user_);
        const bool known = user != logins_.users().end() && user->second == visit->hash_;
        if (needs_password() && !known) {
            context_.sessions.end(id, "its user has changed");
        } else if (visit->to_ && !policy_.check(visit->caller_, *visit->to_)) {
            context_.sessions.end(id, "its destination is closed now");
        }
    }
}

}  // namespace selvage::edge
