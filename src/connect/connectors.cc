// The loop behind each connector.
#include "connect/connectors.h"

#include <algorithm>
#include <utility>

#include "rt/with_timeout.h"

namespace selvage::connect {

Connectors::Connectors(
    const ConnectOptions& options, tunnel::TransportContext& transports, peer::PeerTable& peers,
    Log log
)
    : options_(options),
      transports_(transports),
      peers_(peers),
      log_(std::move(log)),
      scope_(transports.runtime, log_) {
    for (const tunnel::Url& url : options.peers)
        insert(url, true);
}

void Connectors::start() {
    for (const auto& [key, connector] : connectors_)
        launch(key);
}

Connectors::Key Connectors::insert(const tunnel::Url& url, bool configured) {
    const Key key = next_key_++;
    connectors_.emplace(key, Connector{.url = url, .configured = configured});
    return key;
}

void Connectors::launch(Key key) {
    Connector& connector = connectors_.at(key);
    connector.task =
        scope_.spawn("connect " + connector.url.to_string(), keep_connected(key, connector.url));
}

void Connectors::configure(const std::vector<tunnel::Url>& urls) {
    std::vector<Key> gone;
    for (const auto& [key, connector] : connectors_) {
        if (connector.configured && std::ranges::find(urls, connector.url) == urls.end()) {
            gone.push_back(key);
        }
    }
    for (const Key key : gone)
        give_up(key);
    for (const tunnel::Url& url : urls) {
        const auto known = find_url(url);
        if (known == connectors_.end()) {
            launch(insert(url, true));
        } else {
            known->second.configured = true;
        }
    }
}

Result<> Connectors::add(const tunnel::Url& url) {
    if (find_url(url) != connectors_.end()) {
        return Error(Errc::exists, fmt::format("there is a connector to {}", url.to_string()));
    }
    const auto added = std::ranges::count_if(connectors_, [](const auto& entry) {
        return !entry.second.configured;
    });
    if (std::cmp_greater_equal(added, kAddedMax)) {
        return Error(Errc::limit, fmt::format("{} connectors were added already", kAddedMax));
    }
    launch(insert(url, false));
    log_.info("connector added", "url={}", url.to_string());
    return {};
}

bool Connectors::remove(const tunnel::Url& url) {
    const auto found = find_url(url);
    if (found == connectors_.end()) return false;
    give_up(found->first);
    log_.info("connector removed", "url={}", url.to_string());
    return true;
}

void Connectors::give_up(Key key) {
    scope_.cancel_one(connectors_.at(key).task);
    connectors_.erase(key);
}

Connectors::Connector* Connectors::find(Key key) {
    const auto found = connectors_.find(key);
    return found == connectors_.end() ? nullptr : &found->second;
}

std::map<Connectors::Key, Connectors::Connector>::iterator Connectors::find_url(
    const tunnel::Url& url
) {
    return std::ranges::find_if(connectors_, [&](const auto& entry) {
        return entry.second.url == url;
    });
}

std::vector<ConnectorStatus> Connectors::status() const {
    std::vector<ConnectorStatus> out;
    for (const bool configured : {true, false}) {
        for (const auto& [key, connector] : connectors_) {
            if (connector.configured != configured) continue;
            out.push_back(
                {connector.url.to_string(), connector.state, connector.last_error, configured}
            );
        }
    }
    return out;
}

rt::Task<> Connectors::keep_connected(Key key, tunnel::Url url) {
    Duration pause = options_.retry_min;
    for (;;) {
        // Looked up after every wait: it may have been removed in the turn that woke us.
        Connector* connector = find(key);
        if (connector == nullptr) co_return;
        connector->state = ConnectorState::connecting;
        auto conn = co_await attempt(url);
        connector = find(key);
        if (connector == nullptr) co_return;
        if (conn) {
            connector->state = ConnectorState::connected;
            connector->last_error.clear();
            pause = options_.retry_min;
            co_await follow(key, *conn, url);
            connector = find(key);
            if (connector == nullptr) co_return;
        } else {
            note_failure(*connector, conn.error());
        }
        connector->state = ConnectorState::waiting;
        co_await rt::sleep_for(transports_.runtime, pause);
        if (!conn) pause = std::min(pause * 3 / 2, options_.retry_max);
    }
}

// Until the connection ends, or the last of those that were made in its place.
rt::Task<> Connectors::follow(Key key, ConnId conn, tunnel::Url url) {
    rt::Runtime& runtime = transports_.runtime;
    while (find(key) != nullptr && peers_.state(conn) == peer::PeerTable::ConnState::open) {
        co_await peers_.changed().wait_until(runtime.now() + options_.silence_poll);
        if (!peers_.silent(conn)) continue;
        auto successor = co_await attempt(url);
        if (!successor) {
            co_await rt::sleep_for(runtime, options_.retry_min);
            continue;
        }
        log_.info("connected again beside a silent connection", "url={}", url.to_string());
        peers_.check_alive(std::exchange(conn, *successor));
    }
}

void Connectors::note_failure(Connector& connector, const Error& error) {
    std::string reason = error.message();
    // A peer that is away for a day is news once, not every five seconds.
    if (reason == connector.last_error) {
        log_.debug(
            "connect failed again", "url={} reason=\"{}\"", connector.url.to_string(), reason
        );
    } else {
        log_.warn("connect failed", "url={} reason=\"{}\"", connector.url.to_string(), reason);
    }
    connector.last_error = std::move(reason);
}

namespace {

// One address of each family in the order in which they are tried.
std::vector<IpAddress> choose(
    const std::vector<IpAddress>& addresses, bool enable_ipv6, rt::Rng& rng
) {
    std::vector<IpAddress> out;
    for (const bool v6 : {false, true}) {
        if (v6 && !enable_ipv6) continue;
        std::vector<IpAddress> family;
        std::ranges::copy_if(addresses, std::back_inserter(family), [v6](const IpAddress& a) {
            return a.is_v6() == v6;
        });
        if (!family.empty()) out.push_back(family[rng.below(family.size())]);
    }
    return out;
}

}  // namespace

rt::Task<Result<ConnId>> Connectors::attempt(tunnel::Url url) {
    rt::Runtime& runtime = transports_.runtime;
    const tunnel::TransportSpec* transport = tunnel::find_transport(url.scheme);
    if (transport == nullptr) co_return Error(Errc::unsupported, "no transport of this name");

    std::vector<IpAddress> addresses;
    if (tunnel::default_port(url.scheme) == 0) {
        addresses.emplace_back();  // this scheme has no addresses; the transport ignores it
    } else if (auto literal = IpAddress::parse(url.host)) {
        addresses.push_back(*literal);
    } else {
        auto resolved = co_await rt::with_timeout(
            runtime, options_.attempt_limit, transports_.sockets.resolve(url.host)
        );
        if (!resolved) co_return std::move(resolved).error().with("resolve " + url.host);
        addresses = choose(*resolved, options_.enable_ipv6, runtime.rng());
    }
    std::erase_if(addresses, [this](const IpAddress& a) { return options_.in_mesh(a.unmapped()); });
    Error last(Errc::unreachable, "no usable address outside the mesh");
    for (const IpAddress& address : addresses) {
        auto conn = co_await rt::with_timeout(
            runtime, options_.attempt_limit, attempt_address(*transport, url, address)
        );
        if (conn) co_return *conn;
        last = std::move(conn).error();
    }
    co_return last;
}

rt::Task<Result<ConnId>> Connectors::attempt_address(
    const tunnel::TransportSpec& transport, tunnel::Url url, IpAddress address
) {
    auto tunnel = co_await transport.connect(transports_, url, address);
    if (!tunnel) co_return std::move(tunnel).error();
    const ConnId id = peers_.add(std::move(*tunnel), peer::Role::client);
    co_return co_await finish_handshake(id);
}

namespace {

// Without it a handshake that outlives the attempt's time could finish beside its successor's.
struct AbandonOnExit {
    peer::PeerTable& peers;
    ConnId id;
    ~AbandonOnExit() { peers.abandon(id); }
};

}  // namespace

rt::Task<Result<ConnId>> Connectors::finish_handshake(ConnId id) {
    const AbandonOnExit abandon{peers_, id};
    while (peers_.state(id) == peer::PeerTable::ConnState::starting) {
        co_await peers_.changed().wait();
    }
    if (peers_.state(id) == peer::PeerTable::ConnState::open) co_return id;
    co_return peers_.end_reason(id).with("handshake");
}

}  // namespace selvage::connect
