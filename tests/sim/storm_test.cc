// Storms: eight nodes that join, leave, crash and are killed for ten minutes, on links that lose,
// repeat, reorder, slow down and fall apart. Whatever happened, every node keeps its invariants all
// the time, and once the storm is over the network becomes one again and forgets who is gone.
//
// `./dev sim --seeds 1000` runs a thousand of them; a failing seed is repeated with
// `./dev sim Storm --seed N`, then with its trace.
#include <gtest/gtest.h>

#include "packet/checksum.h"
#include "packet/ip_headers.h"
#include "programs.h"
#include "seeds.h"
#include "selvage_host.h"

namespace selvage::sim {
namespace {

constexpr std::size_t kNodes = 8;
constexpr Duration kStormTime = 10min;
// From the last change to agreement. A dead connection whose pings have become rare is noticed
// after 42 s (1-link.md section 4.4); dialling and route exchange follow.
constexpr Duration kSettleTime = 75s;
// From there until nobody remembers nodes that are gone: 90 s (2-control.md section 3.6), a tick,
// and what the last exchanges take.
constexpr Duration kForgetTime = 100s;

class Storm {
public:
    explicit Storm(World& world) : world_(world), rng_(world.seed() * 0x9e3779b97f4a7c15 + 1) {
        for (std::size_t i = 0; i < kNodes; ++i)
            nodes_.push_back(std::make_unique<SelvageHost>(world, options_of(i)));
        for (std::size_t a = 0; a < kNodes; ++a) {
            for (std::size_t b = 0; b < a; ++b)
                change_link(a, b);
        }
    }
    ~Storm() {
        while (!nodes_.empty())
            nodes_.pop_back();
    }

    void rage() {
        const TimePoint end = world_.now() + kStormTime;
        TimePoint next_change = world_.now();
        while (world_.now() < end && world_.violations().empty() && dishonesty().empty()) {
            if (world_.now() >= next_change) {
                change_something();
                next_change = world_.now() + std::chrono::milliseconds(500 + rng_.below(12'000));
            }
            ping_somebody();
            world_.run_for(std::chrono::milliseconds(200 + rng_.below(600)));
        }
    }
    void calm_down() {
        for (std::size_t a = 0; a < kNodes; ++a) {
            for (std::size_t b = 0; b < a; ++b)
                world_.link(nodes_[a]->host(), nodes_[b]->host(), {.delay = 10ms});
        }
        for (const auto& node : nodes_) {
            if (!node->running()) node->start();
        }
    }
    std::string disagreement() const { return check_agreement(all()); }
    std::string picture() const { return describe_network(all()); }
    std::string memories() const {
        for (const auto& node : nodes_) {
            const auto& links = node->node().routes().core().links();
            if (links.records().size() != kNodes || links.rows().size() != kNodes) {
                return fmt::format(
                    "{} remembers {} records and {} rows", node->host().name(),
                    links.records().size(), links.rows().size()
                );
            }
        }
        return {};
    }
    std::string dishonesty() const {
        for (const auto& node : nodes_) {
            if (!node->running()) continue;
            const auto wrong = check_honest(node->node());
            if (!wrong.empty()) return fmt::format("{}: {}", node->host().name(), wrong);
        }
        return {};
    }
    // Whether links lead from one to the other on which every node between carries data.
    bool has_data_path(SelvageHost& from, SelvageHost& to) const {
        std::set<const SelvageHost*> seen{&from};
        std::vector<SelvageHost*> todo{&from};
        while (!todo.empty()) {
            SelvageHost& at = *todo.back();
            todo.pop_back();
            if (at.has_neighbour(to)) return true;
            for (const auto& next : nodes_) {
                const bool relays = next->node().routes().core().links().options().own.relays_data;
                if (relays && at.has_neighbour(*next) && seen.insert(next.get()).second) {
                    todo.push_back(next.get());
                }
            }
        }
        return false;
    }
    SelvageHost& any() { return *nodes_[rng_.below(kNodes)]; }

private:
    SelvageOptions options_of(std::size_t i) {
        SelvageOptions out{
            .name = fmt::format("n{}", i),
            .address = fmt::format("10.144.1.{}/24", i + 1),
            .latency_first = rng_.chance(0.3),
            .relays_data = !rng_.chance(0.1)
        };
        const auto dial = [&](std::size_t to) {
            out.peers.push_back(nodes_[to]->url(rng_.chance(0.5) ? "tcp" : "udp"));
        };
        if (i == 0) return out;
        dial(rng_.below(i));  // so that all together are one network
        while (rng_.chance(0.5) && out.peers.size() < 4)
            dial(rng_.below(i));
        return out;
    }

    void change_link(std::size_t a, std::size_t b) {
        LinkOptions options{.delay = std::chrono::milliseconds(1 + rng_.below(80))};
        options.jitter = std::chrono::milliseconds(rng_.below(20));
        if (rng_.chance(0.5)) options.loss = static_cast<double>(rng_.below(20)) / 100;
        if (rng_.chance(0.2)) options.duplication = 0.05;
        if (rng_.chance(0.2)) options.reordering = 0.1;
        if (rng_.chance(0.1)) options.rate_bytes = 20'000;
        world_.link(nodes_[a]->host(), nodes_[b]->host(), options);
    }

    void change_something() {
        SelvageHost& node = any();
        SelvageHost& other = any();
        const std::uint64_t what = rng_.below(20);
        world_.note(fmt::format("storm: {} at {}", what, node.host().name()));
        if (what < 8) return node.running() ? end(node, what) : node.start();
        if (what == 8) return world_.isolate(node.host());
        if (what < 11) return world_.rejoin(node.host());
        if (what == 11) return heal_everything();
        if (&node == &other) return;
        if (what < 14) return world_.cut(node.host(), other.host());
        if (what == 14) return world_.cut_one_way(node.host(), other.host());
        if (what < 17) return world_.heal(node.host(), other.host());
        const std::size_t b = 1 + rng_.below(kNodes - 1);
        change_link(b, rng_.below(b));
    }
    // A node that runs ends in one of three ways, or goes on.
    void end(SelvageHost& node, std::uint64_t how) {
        if (how == 0) node.stop();
        if (how == 1) node.crash();
        if (how == 2) node.kill();
    }
    void heal_everything() {
        for (const auto& node : nodes_)
            world_.rejoin(node->host());
    }

    // Data on the way makes connections that died in silence show it. Whether it is answered does
    // not matter.
    void ping_somebody() {
        SelvageHost& from = any();
        SelvageHost& to = any();
        if (!from.running() || &from == &to) return;
        packet::PacketBuf packet = from.host().pool().take();
        if (!packet) return;
        // An IPv4 header, then an ICMP echo request.
        Bytes bytes = from_hex("4500001c0000000040010000").value();
        for (const IpAddress& address : {from.address(), to.address()})
            bytes.insert(bytes.end(), address.bytes().begin(), address.bytes().end());
        const auto sum = packet::checksum_finish(packet::checksum_add(ByteView(bytes)));
        bytes[10] = static_cast<std::uint8_t>(sum >> 8);
        bytes[11] = static_cast<std::uint8_t>(sum);
        const Bytes echo = from_hex("0800f7fd00010001").value();
        bytes.insert(bytes.end(), echo.begin(), echo.end());
        if (!packet.append(bytes)) return;
        packet::PacketBatch batch(world_.now());
        batch.push(std::move(packet));
        from.node().forwarder().from_stack(std::move(batch));
    }

    std::vector<SelvageHost*> all() const {
        std::vector<SelvageHost*> out;
        for (const auto& node : nodes_)
            out.push_back(node.get());
        return out;
    }

    World& world_;
    rt::Rng rng_;
    std::vector<std::unique_ptr<SelvageHost>> nodes_;
};

void weather(World& world) {
    Storm storm(world);
    storm.rage();
    ASSERT_EQ(storm.dishonesty(), "");
    storm.calm_down();
    const TimePoint calm = world.now();
    ASSERT_TRUE(world.run_until([&] { return storm.disagreement().empty(); }, kSettleTime))
        << "not one network again: " << storm.disagreement() << storm.picture();
    const std::chrono::duration<double> settled = world.now() - calm;
    testing::Test::RecordProperty(
        fmt::format("seed_{}_settled_s", world.seed()), fmt::format("{:.1f}", settled.count())
    );
    // It stays, and what is gone is forgotten.
    world.run_for(kForgetTime);
    EXPECT_EQ(storm.disagreement(), "");
    EXPECT_EQ(storm.memories(), "");
    for (int i = 0; i < 3; ++i) {
        SelvageHost& from = storm.any();
        SelvageHost& to = storm.any();
        if (&from == &to) continue;
        auto stream = world.run(from.dial({to.address(), 7}));
        // A way around those that carry no data is found whenever there is one.
        ASSERT_EQ(stream.has_value(), storm.has_data_path(from, to));
        if (!stream) continue;
        const auto seen = world.run(echo_round(from.host(), **stream, 3000));
        ASSERT_TRUE(seen) << seen.error().message();
        EXPECT_EQ(*seen, 3000U);
    }
    EXPECT_EQ(storm.dishonesty(), "");
}

TEST(Storm, LeavesANetworkThatIsWhole) {
    for_seed_range(weather, {.seeds = 20});
}

TEST(Storm, IsTheSameTwice) {
    for_seeds(weather, {.seeds = 1});
}

}  // namespace
}  // namespace selvage::sim
