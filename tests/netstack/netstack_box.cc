// A path between two TUN devices with a rate, a delay, a loss and a reordering of its own, the same
// in both directions: what stands between a kernel and our stack in tests/interop and in ./dev
// bench netstack-kernel.
//
//   netstack_box LEFT RIGHT key=value...   delay_us loss_ppm reorder_ppm rate_bits queue_bytes mtu
//
// A packet waits for its turn on the line (more than queue_bytes: lost), then for the delay. One
// that is reordered skips the delay. Runs until it is told to stop.
#include <charconv>
#include <cstdio>
#include <deque>
#include <map>
#include <string>
#include <string_view>

#include "host/linux/host.h"
#include "rt/loop.h"

namespace {

using namespace selvage;

using Settings = std::map<std::string, std::uint64_t, std::less<>>;

class Direction final : public host::TunSink {
public:
    Direction(rt::LoopRuntime& loop, const Settings& settings)
        : loop_(loop), settings_(settings), timer_(loop.timers()) {}

    void to(host::Tun& tun) { to_ = &tun; }
    void from_tun(packet::PacketBatch&& batch) override {
        for (packet::PacketBuf& packet : batch)
            take(std::move(packet), loop_.now());
        run();
    }
    void on_tun_closed(const Error&) override { loop_.stop(); }

private:
    bool chance(std::string_view key) {
        return loop_.rng().next() % 1'000'000 < settings_.find(key)->second;
    }
    void take(packet::PacketBuf&& packet, TimePoint now) {
        if (chance("loss_ppm")) return;
        const std::uint64_t rate = settings_.find("rate_bits")->second;
        if (rate > 0) {
            const auto time_of = [&](std::uint64_t bytes) {
                return Duration(bytes * 8'000'000'000 / rate);
            };
            free_at_ = std::max(free_at_, now);
            if (free_at_ - now > time_of(settings_.find("queue_bytes")->second)) return;
            free_at_ += time_of(packet.size());
        }
        const TimePoint sent = std::max(free_at_, now);
        const auto delay = std::chrono::microseconds(settings_.find("delay_us")->second);
        waiting_.emplace(chance("reorder_ppm") ? sent : sent + delay, std::move(packet));
    }
    void run() {
        packet::PacketBatch batch(loop_.now());
        while (!waiting_.empty() && waiting_.begin()->first <= loop_.now()) {
            batch.push(std::move(waiting_.extract(waiting_.begin()).mapped()));
            if (!batch.full()) continue;
            to_->send(std::move(batch));
            batch = packet::PacketBatch(loop_.now());
        }
        if (!batch.empty()) to_->send(std::move(batch));
        if (waiting_.empty()) return;
        const TimePoint next = waiting_.begin()->first;
        if (timer_.pending() && armed_ <= next) return;
        armed_ = next;
        timer_.set(next, [this] { run(); });
    }

    rt::LoopRuntime& loop_;
    const Settings& settings_;
    rt::Timer timer_;
    TimePoint armed_{};
    TimePoint free_at_{};
    host::Tun* to_ = nullptr;
    std::multimap<TimePoint, packet::PacketBuf> waiting_;  // bounded by the pool
};

int run(const std::string& left_name, const std::string& right_name, const Settings& settings) {
    packet::PacketPool pool(65536);
    rt::LoopRuntime loop;
    const auto factory = host::make_linux_tun_factory(loop, pool);
    const auto mtu = static_cast<unsigned>(settings.find("mtu")->second);
    auto left = factory->open({.name = left_name, .mtu = mtu});
    auto right = factory->open({.name = right_name, .mtu = mtu});
    if (!left || !right) {
        std::fprintf(stderr, "%s\n", (left ? right : left).error().message().c_str());
        return 1;
    }
    Direction to_right(loop, settings);
    Direction to_left(loop, settings);
    to_right.to(**right);
    to_left.to(**left);
    (*left)->start(to_right);
    (*right)->start(to_left);
    loop.on_stop_signal([&] { loop.stop(); });
    std::puts("ready");
    std::fflush(stdout);
    loop.run();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    Settings settings{{"delay_us", 0},  {"loss_ppm", 0},         {"reorder_ppm", 0},
                      {"rate_bits", 0}, {"queue_bytes", 250000}, {"mtu", 1360}};
    bool good = argc >= 3;
    for (int i = 3; i < argc && good; ++i) {
        const std::string_view word = argv[i];
        const std::size_t at = word.find('=');
        const auto known = settings.find(word.substr(0, at));
        good = at != std::string_view::npos && known != settings.end();
        if (!good) break;
        const std::string_view value = word.substr(at + 1);
        good = std::from_chars(value.data(), value.data() + value.size(), known->second).ec ==
               std::errc();
    }
    if (!good) {
        std::fputs("usage: netstack_box LEFT RIGHT [key=number]...\n", stderr);
        return 2;
    }
    return run(argv[1], argv[2], settings);
}
