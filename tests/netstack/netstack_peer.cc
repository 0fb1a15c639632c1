// Our stack behind a TUN device, with services to measure it by: what ./dev bench netstack-kernel
// and the tests against the kernel talk to.
//
//   netstack_peer DEVICE ADDRESS... [congestion=bbr|cubic|new_reno] [seconds=4] [mtu=1360]
//
// ADDRESS is of the host's side of the device, with its prefix length; ours is the next one.
//
//   7001 sink     reads for `seconds` or to the end, answers with the number of bytes, closes
//   7002 source   writes until the caller goes away
//   7003 echo     answers everything, and with the end when it comes
//   7004 relay    dials what the first line names, "ADDRESS PORT", and passes on both ways
//   7005 figures  lines of a name and a number that say what the stack has seen and holds
//   7006 door     echo behind a listener with the limits of every service
#include <fmt/format.h>
#include <malloc.h>

#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>

#include "host/linux/host.h"
#include "netstack/sockets/overlay_sockets.h"
#include "rt/loop.h"
#include "rt/scope.h"

namespace {

using namespace selvage;

class Peer final : netstack::PacketOut, host::TunSink {
public:
    Peer(rt::LoopRuntime& loop, packet::PacketPool& pool, netstack::StackOptions options)
        : loop_(loop),
          stack_(
              std::move(options), pool,
              {.sequence_key = {loop.rng().next(), loop.rng().next()},
               .table_key = {loop.rng().next(), loop.rng().next()}}
          ),
          sockets_(loop, stack_, *this) {}

    void start(host::Tun& tun, std::vector<Prefix> ours) {
        tun_ = &tun;
        sockets_.set_addresses(std::move(ours));
        tun.start(*this);
    }
    netstack::OverlaySockets& sockets() { return sockets_; }
    const netstack::Stack& stack() const { return stack_; }

private:
    void from_stack(packet::PacketBatch&& batch) override { tun_->send(std::move(batch)); }
    void from_tun(packet::PacketBatch&& batch) override { sockets_.input(std::move(batch)); }
    void on_tun_closed(const Error&) override { loop_.stop(); }

    rt::LoopRuntime& loop_;
    host::Tun* tun_ = nullptr;
    netstack::Stack stack_;
    netstack::OverlaySockets sockets_;
};

rt::Task<> sink(rt::Runtime& runtime, rt::StreamPtr stream, Duration limit) {
    Bytes buffer(256 * 1024);
    const TimePoint end = runtime.now() + limit;
    std::uint64_t total = 0;
    while (runtime.now() < end) {
        const auto got = co_await stream->read_some(buffer);
        if (!got || *got == 0) break;
        total += *got;
    }
    const std::string answer = std::to_string(total) + "\n";
    (void)co_await stream->write_all(as_view(answer));
    (void)stream->shutdown_write();
    while (const auto got = co_await stream->read_some(buffer)) {
        if (*got == 0) break;
    }
}

rt::Task<> source(rt::StreamPtr stream) {
    const Bytes buffer(256 * 1024);
    while (co_await stream->write_all(buffer)) {
    }
}

// From one to the other until it ends or either fails. A small buffer: there may be thousands.
rt::Task<bool> pass_on(rt::Stream& from, rt::Stream& to) {
    Bytes buffer(4 * 1024);
    for (;;) {
        const auto got = co_await from.read_some(buffer);
        if (!got) co_return false;
        if (*got == 0) co_return to.shutdown_write().has_value();
        const auto written = co_await to.write_all(ByteView(buffer).first(*got));
        if (!written) co_return false;
    }
}

rt::Task<> echo(rt::StreamPtr stream) {
    co_await pass_on(*stream, *stream);
}

// The caller's first line, without its end; empty when it is none.
rt::Task<std::string> read_line(rt::Stream& stream) {
    std::string line;
    while (line.size() < 100) {
        std::uint8_t byte = 0;
        const auto got = co_await stream.read_some({&byte, 1});
        if (!got || *got == 0) break;
        if (byte == '\n') co_return line;
        line += static_cast<char>(byte);
    }
    co_return "";
}

std::optional<Endpoint> parse_target(const std::string& line) {
    const std::size_t space = line.find(' ');
    const auto address = IpAddress::parse(line.substr(0, space));
    std::uint16_t port = 0;
    if (!address || space == std::string::npos) return std::nullopt;
    std::from_chars(line.data() + space + 1, line.data() + line.size(), port);
    return Endpoint{*address, port};
}

struct Both {
    rt::StreamPtr near;
    rt::StreamPtr far;
};

// What ends one of them by force ends the other in the same way.
rt::Task<> one_way(std::shared_ptr<Both> both, bool outward) {
    rt::Stream& from = outward ? *both->near : *both->far;
    rt::Stream& to = outward ? *both->far : *both->near;
    if (co_await pass_on(from, to)) co_return;
    both->near->reset();
    both->far->reset();
}

rt::Task<> relay(Peer& peer, rt::TaskScope& scope, rt::StreamPtr near) {
    const std::string line = co_await read_line(*near);
    const auto target = parse_target(line);
    if (!target) co_return near->reset();
    auto far = co_await peer.sockets().dial_tcp(*target, 20s);
    if (!far) co_return near->reset();
    auto both = std::make_shared<Both>(std::move(near), std::move(*far));
    scope.spawn("back", one_way(both, false));
    co_await one_way(both, true);
}

rt::Task<> figures(const netstack::Stack& stack, rt::StreamPtr stream) {
    // The caller ends first, so that it and not we rest in TIME-WAIT.
    std::uint8_t byte = 0;
    (void)co_await stream->read_some({&byte, 1});
    const netstack::StackCounters& counters = stack.counters();
    const std::string text = fmt::format(
        "connections {}\nbuffer_bytes {}\nkept_bytes {}\nheap_bytes {}\ncookies_out {}\n"
        "cookies_accepted {}\nresets_in {}\nresets_out {}\nchallenges {}\nretransmits {}\n",
        stack.tcp_connection_count(), stack.buffer_bytes(), stack.kept_bytes(),
        ::mallinfo2().uordblks, counters.tcp_cookies_out, counters.tcp_cookies_accepted,
        counters.tcp_resets_in, counters.tcp_resets_out, counters.tcp_challenge_acks,
        counters.tcp_retransmits
    );
    (void)co_await stream->write_all(as_view(text));
}

rt::Task<> serve(
    Peer& peer, rt::LoopRuntime& loop, rt::TaskScope& scope, rt::AcceptorPtr acceptor,
    Duration limit
) {
    const std::uint16_t port = acceptor->local().port;
    for (;;) {
        auto stream = co_await acceptor->accept();
        if (!stream) co_return;
        if (port == 7001) scope.spawn("sink", sink(loop, std::move(*stream), limit));
        if (port == 7002) scope.spawn("source", source(std::move(*stream)));
        if (port == 7004) scope.spawn("relay", relay(peer, scope, std::move(*stream)));
        if (port == 7005) scope.spawn("figures", figures(peer.stack(), std::move(*stream)));
        if (port == 7003 || port == 7006) scope.spawn("echo", echo(std::move(*stream)));
    }
}

struct Settings {
    std::string device;
    std::vector<Prefix> host_side;
    netstack::StackOptions stack;
    Duration seconds = 4s;
};

bool set_option(Settings& settings, std::string_view key, std::string_view value) {
    using netstack::CongestionAlgorithm;
    if (key == "congestion") {
        constexpr std::pair<std::string_view, CongestionAlgorithm> kNames[] = {
            {"bbr", CongestionAlgorithm::bbr},
            {"cubic", CongestionAlgorithm::cubic},
            {"new_reno", CongestionAlgorithm::new_reno}
        };
        for (const auto& [name, algorithm] : kNames) {
            if (name != value) continue;
            settings.stack.congestion = algorithm;
            return true;
        }
        return false;
    }
    unsigned number = 0;
    if (std::from_chars(value.data(), value.data() + value.size(), number).ec != std::errc()) {
        return false;
    }
    if (key == "seconds") settings.seconds = std::chrono::seconds(number);
    if (key == "mtu") settings.stack.mtu = static_cast<std::uint16_t>(number);
    return key == "seconds" || key == "mtu";
}

std::optional<Settings> parse(int argc, char** argv) {
    if (argc < 3) return std::nullopt;
    Settings settings{.device = argv[1]};
    for (int i = 2; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (const std::size_t at = word.find('='); at != std::string_view::npos) {
            if (!set_option(settings, word.substr(0, at), word.substr(at + 1))) return std::nullopt;
        } else if (const auto prefix = Prefix::parse(word); prefix) {
            settings.host_side.push_back(*prefix);
        } else {
            return std::nullopt;
        }
    }
    return settings;
}

// The address after the host's.
Prefix next_of(const Prefix& prefix) {
    Bytes bytes(prefix.address.bytes().begin(), prefix.address.bytes().end());
    ++bytes.back();
    return {IpAddress::from_bytes(bytes).value(), prefix.length};
}

int run(const Settings& settings) {
    packet::PacketPool pool;
    rt::LoopRuntime loop;
    const auto factory = host::make_linux_tun_factory(loop, pool);
    auto tun = factory->open({.name = settings.device, .mtu = settings.stack.mtu});
    if (!tun) {
        std::fprintf(stderr, "%s\n", tun.error().message().c_str());
        return 1;
    }
    Peer peer(loop, pool, settings.stack);
    std::vector<Prefix> ours;
    for (const Prefix& prefix : settings.host_side) {
        if (const auto added = (*tun)->add_address(prefix); !added) {
            std::fprintf(stderr, "%s\n", added.error().message().c_str());
            return 1;
        }
        ours.push_back(next_of(prefix));
    }
    peer.start(**tun, std::move(ours));
    rt::TaskScope scope(loop, Log());
    for (std::uint16_t port = 7001; port <= 7006; ++port) {
        netstack::TcpListenOptions options = netstack::OverlaySockets::default_listen_options();
        // A measurement of many connections is no flood.
        if (port != 7006) options.half_open_limit = options.accept_queue_limit = 12000;
        auto acceptor = peer.sockets().listen_tcp(port, options);
        scope.spawn("serve", serve(peer, loop, scope, std::move(*acceptor), settings.seconds));
    }
    loop.on_stop_signal([&] {
        scope.start_closing();
        loop.post([&] { loop.stop(); });
    });
    std::puts("ready");
    std::fflush(stdout);
    loop.run();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    auto settings = parse(argc, argv);
    if (!settings) {
        std::fputs("usage: netstack_peer DEVICE ADDRESS/LENGTH... [key=value]...\n", stderr);
        return 2;
    }
    return run(*settings);
}
