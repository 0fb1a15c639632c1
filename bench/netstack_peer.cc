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

rt::Task<> echo(rt::StreamPtr stream) {
    Bytes buffer(64 * 1024);
    for (;;) {
        const auto got = co_await stream->read_some(buffer);
        if (!got) co_return;
        if (*got == 0) break;
        if (!co_await stream->write_all(ByteView(buffer).first(*got))) co_return;
    }
    (void)stream->shutdown_write();
}

rt::Task<> serve(
    rt::Runtime& runtime, rt::TaskScope& scope, rt::AcceptorPtr acceptor, int port, Duration limit
) {
    for (;;) {
        auto stream = co_await acceptor->accept();
        if (!stream) co_return;
        if (port == 7001) scope.spawn("sink", sink(runtime, std::move(*stream), limit));
        if (port == 7002) scope.spawn("source", source(std::move(*stream)));
        if (port == 7003) scope.spawn("echo", echo(std::move(*stream)));
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

int run(Settings settings) {
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
    for (const int port : {7001, 7002, 7003}) {
        netstack::TcpListenOptions options = netstack::OverlaySockets::default_listen_options();
        // A measurement of many connections is no flood.
        options.half_open_limit = options.accept_queue_limit = 8192;
        auto acceptor = peer.sockets().listen_tcp(static_cast<std::uint16_t>(port), options);
        scope.spawn("serve", serve(loop, scope, std::move(*acceptor), port, settings.seconds));
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
    return run(std::move(*settings));
}
