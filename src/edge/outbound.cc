// Resolving, checking and the race of a name's addresses.
#include "edge/outbound.h"

#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "rt/event.h"
#include "rt/with_timeout.h"

namespace selvage::edge {
namespace {

// RFC 8305, section 5: the connection attempt delay.
constexpr Duration kNextAttempt = std::chrono::milliseconds(250);

}  // namespace

std::vector<IpAddress> interleave_families(const std::vector<IpAddress>& addresses) {
    std::vector<IpAddress> of_family[2];
    for (const IpAddress& address : addresses)
        of_family[address.unmapped().is_v4() ? 1 : 0].push_back(address);
    std::vector<IpAddress> out;
    for (std::size_t i = 0; out.size() < addresses.size(); ++i) {
        for (const auto& each : of_family) {
            if (i < each.size()) out.push_back(each[i]);
        }
    }
    return out;
}

rt::Task<Result<std::vector<IpAddress>>> Outbound::find_addresses(Caller caller, Destination to) {
    std::vector<IpAddress> found;
    if (to.name.empty()) {
        found.push_back(to.address);
    } else {
        auto possible = policy_.check_name(caller, to);
        if (!possible) co_return possible.error();
        auto resolved = co_await dialer_.resolve(to.name);
        if (!resolved) co_return std::move(resolved).error().with("resolve " + to.name);
        found = interleave_families(*resolved);
    }
    // The address that is checked here is the one that is used: a name that changes its mind
    // between two look-ups gains nothing.
    std::vector<IpAddress> allowed;
    Error last = Errc::not_found;
    for (const IpAddress& address : found) {
        to.address = address.unmapped();
        auto checked = policy_.check(caller, to);
        if (!checked) {
            last = std::move(checked).error();
        } else if (allowed.size() < kAddressesTried) {
            allowed.push_back(to.address);
        }
    }
    if (allowed.empty()) co_return last;
    co_return allowed;
}

struct Outbound::Race {
    explicit Race(rt::Runtime& runtime, std::vector<IpAddress> all, std::uint16_t to_port)
        : addresses(std::move(all)), port(to_port), started(runtime.now()), changed(runtime) {}
    const std::vector<IpAddress> addresses;
    const std::uint16_t port;
    const TimePoint started;
    std::size_t failed = 0;
    Error first_error = Errc::unreachable;
    rt::StreamPtr winner;
    IpAddress winner_address;
    rt::Event changed;
};

// Returns when this attempt has won, or as the last one has failed.
rt::Task<> Outbound::attempt(Race& race, std::size_t index) {
    // Its turn comes with time, or when all before it have failed.
    const TimePoint turn = race.started + kNextAttempt * static_cast<std::int64_t>(index);
    while (index < race.addresses.size() && race.failed < index && runtime_.now() < turn)
        static_cast<void>(co_await race.changed.wait_until(turn));
    if (index < race.addresses.size()) {
        auto stream = co_await dial({race.addresses[index], race.port});
        if (stream) {
            race.winner = std::move(*stream);
            race.winner_address = race.addresses[index];
            co_return;
        }
        if (race.failed++ == 0) race.first_error = std::move(stream).error();
        if (race.failed == race.addresses.size()) co_return;
        race.changed.notify();
    }
    for (;;)
        co_await race.changed.wait();
}

rt::Task<Result<Outbound::Connection>> Outbound::connect_now(Caller caller, Destination to) {
    using namespace boost::asio::experimental::awaitable_operators;
    auto addresses = co_await find_addresses(std::move(caller), to);
    if (!addresses) co_return addresses.error();
    Race race(runtime_, std::move(*addresses), to.port);
    static_assert(kAddressesTried == 4);
    co_await (attempt(race, 0) || attempt(race, 1) || attempt(race, 2) || attempt(race, 3));
    if (!race.winner) co_return race.first_error;
    to.address = race.winner_address;
    co_return Connection{std::move(race.winner), std::move(to)};
}

rt::Task<Result<Outbound::Connection>> Outbound::connect(Caller caller, Destination to) {
    co_return co_await rt::with_timeout(
        runtime_, kConnectLimit, connect_now(std::move(caller), std::move(to))
    );
}

rt::Task<Result<rt::StreamPtr>> Outbound::dial(Endpoint to) {
    if (node_.in_mesh(to.address)) co_return co_await dialer_.dial_mesh(to);
    co_return co_await dialer_.dial_host(to);
}

}  // namespace selvage::edge
