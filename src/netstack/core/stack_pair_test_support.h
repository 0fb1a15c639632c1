// Two whole stacks back to back in virtual time, with a link between them that loses, delays,
// reorders, duplicates and corrupts packets as a seed says. For tests, fuzzing and benchmarks.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "netstack/core/stack.h"

namespace selvage::netstack::testing {

// splitmix64: tests must not depend on rt.
class Dice {
public:
    explicit Dice(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        state_ += 0x9e3779b97f4a7c15;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    bool chance(double probability) {
        return static_cast<double>(next() >> 11) * 0x1.0p-53 < probability;
    }
    std::uint64_t below(std::uint64_t bound) { return next() % bound; }

private:
    std::uint64_t state_;
};

struct LinkOptions {
    Duration delay = 5ms;
    Duration jitter{};  // added at random, so that packets overtake each other
    double loss = 0;
    double duplicate = 0;
    double corrupt = 0;
    std::uint64_t rate = 0;      // bytes a second; 0 is no limit
    std::uint64_t queue = 0;     // bytes that may wait for their turn; more are lost
    std::size_t mtu = SIZE_MAX;  // larger packets vanish without a message
};

// One direction of the link: what a stack sends, on its way to the other.
class LinkEnd final : public PacketOut {
public:
    LinkEnd(LinkOptions options, Dice& dice) : options(options), dice_(dice) {}

    void from_stack(packet::PacketBatch&& batch) override {
        for (packet::PacketBuf& packet : batch) {
            ++packets;
            if (dice_.chance(options.loss) || packet.size() > options.mtu) continue;
            if (options.rate > 0 && !take_turn(packet.size(), batch.now())) continue;
            if (dice_.chance(options.duplicate)) carry(packet.bytes(), batch.now());
            if (dice_.chance(options.corrupt)) {
                packet.data()[dice_.below(packet.size())] ^=
                    static_cast<std::uint8_t>(1U << dice_.below(8));
            }
            carry(packet.bytes(), batch.now());
        }
    }
    // Kept as plain bytes: what is under way on a link does not use the pool.
    std::multimap<TimePoint, Bytes> under_way;
    LinkOptions options;
    std::uint64_t packets = 0;

private:
    // The line is busy until free_at_; what would wait too long is lost.
    bool take_turn(std::size_t bytes, TimePoint now) {
        const auto time_of = [&](std::uint64_t count) {
            return Duration(count * 1'000'000'000 / options.rate);
        };
        free_at_ = std::max(free_at_, now);
        if (free_at_ - now > time_of(options.queue)) return false;
        free_at_ += time_of(bytes);
        return true;
    }
    void carry(ByteView bytes, TimePoint now) {
        Duration delay = options.delay + std::max(free_at_ - now, Duration::zero());
        if (options.jitter > Duration::zero()) {
            delay += Duration(dice_.below(static_cast<std::uint64_t>(options.jitter.count())));
        }
        under_way.emplace(now + delay, Bytes(bytes.begin(), bytes.end()));
    }
    Dice& dice_;
    TimePoint free_at_{};
};

inline const IpAddress kLeftAddress = IpAddress::v4(10, 0, 0, 1);
inline const IpAddress kRightAddress = IpAddress::v4(10, 0, 0, 2);

class StackPair {
public:
    explicit StackPair(
        std::uint64_t seed, LinkOptions link = {}, StackOptions left_options = {},
        StackOptions right_options = {}
    )
        : dice(seed),
          left(std::move(left_options), pool, seeds_from(dice)),
          right(std::move(right_options), pool, seeds_from(dice)),
          to_right(link, dice),
          to_left(link, dice) {
        left.set_addresses({Prefix{kLeftAddress, 24}});
        right.set_addresses({Prefix{kRightAddress, 24}});
    }

    // Lets both speak, then jumps to the next thing that happens. False when nothing ever will.
    bool step() {
        speak();
        std::optional<TimePoint> next;
        const auto consider = [&](std::optional<TimePoint> at) {
            if (at && (!next || *at < *next)) next = at;
        };
        consider(left.next_timeout());
        consider(right.next_timeout());
        if (!to_left.under_way.empty()) consider(to_left.under_way.begin()->first);
        if (!to_right.under_way.empty()) consider(to_right.under_way.begin()->first);
        if (!next) return false;
        now = std::max(now, *next);
        deliver(to_left, left);
        deliver(to_right, right);
        return true;
    }
    // Runs until `done` says so; false when `limit` of virtual time passes.
    template <class Done>
    bool run_until(Done done, Duration limit = std::chrono::minutes(10)) {
        const TimePoint end = now + limit;
        while (!done()) {
            if (now > end) return false;
            // Nothing under way and no timer: `done` itself may be what changes things, as a slow
            // reader does.
            if (!step()) now += 10ms;
        }
        return true;
    }
    void run_for(Duration span) {
        const TimePoint end = now + span;
        while (now < end && step()) {
        }
        now = std::max(now, end);
    }

    packet::PacketPool pool;
    Dice dice;
    TimePoint now{std::chrono::hours(1)};
    Stack left;
    Stack right;
    LinkEnd to_right;
    LinkEnd to_left;

private:
    static StackSeeds seeds_from(Dice& dice) {
        return {
            .sequence_key = {dice.next(), dice.next()}, .table_key = {dice.next(), dice.next()}
        };
    }
    void speak() {
        left.poll(now, to_right);
        right.poll(now, to_left);
    }
    void deliver(LinkEnd& from, Stack& to) {
        while (!from.under_way.empty() && from.under_way.begin()->first <= now) {
            auto first = from.under_way.extract(from.under_way.begin());
            packet::PacketBuf packet = pool.copy(first.mapped());
            if (packet) to.input(std::move(packet), now);
        }
    }
};

// A stream whose every byte is known from its position, so that nothing has to be kept to compare.
inline std::uint8_t pattern_byte(std::uint64_t seed, std::uint64_t position) {
    const std::uint64_t word = (position / 8 + 1) * (seed | 1) * 0x9e3779b97f4a7c15;
    return static_cast<std::uint8_t>((word ^ (word >> 32)) >> (position % 8 * 8));
}

// Sends and checks one direction of a connection.
class PatternWriter {
public:
    PatternWriter(std::uint64_t seed, std::uint64_t total) : seed_(seed), total_(total) {}
    // Writes what fits; shuts the direction down at the end.
    void pump(Stack& stack, TcpId id) {
        while (written_ < total_) {
            std::uint8_t buffer[4096];
            const std::uint64_t want = std::min<std::uint64_t>(sizeof(buffer), total_ - written_);
            for (std::uint64_t i = 0; i < want; ++i)
                buffer[i] = pattern_byte(seed_, written_ + i);
            const std::size_t done = stack.tcp_write(id, {buffer, want});
            written_ += done;
            if (done < want) return;
        }
        if (!std::exchange(shut_, true)) stack.tcp_shutdown_write(id);
    }
    std::uint64_t written() const { return written_; }

private:
    std::uint64_t seed_;
    std::uint64_t total_;
    std::uint64_t written_ = 0;
    bool shut_ = false;
};

class PatternReader {
public:
    explicit PatternReader(std::uint64_t seed) : seed_(seed) {}
    void pump(Stack& stack, TcpId id, std::size_t most = SIZE_MAX) {
        std::uint8_t buffer[4096];
        while (most > 0) {
            const std::size_t count = stack.tcp_read(id, {buffer, std::min(sizeof(buffer), most)});
            if (count == 0) return;
            most -= count;
            for (std::size_t i = 0; i < count; ++i)
                wrong_ += buffer[i] != pattern_byte(seed_, read_ + i) ? 1 : 0;
            read_ += count;
        }
    }
    std::uint64_t read() const { return read_; }
    std::uint64_t wrong() const { return wrong_; }

private:
    std::uint64_t seed_;
    std::uint64_t read_ = 0;
    std::uint64_t wrong_ = 0;
};

}  // namespace selvage::netstack::testing
