// Finds out how far a neighbour is and whether it is still there.
// Source: protocol document 1-link.md, section 4.4.
//
// A tick every second. A ping goes out when 2^b ticks have passed since the last one; b grows to 5
// while all is well (about 32 s) and falls back to 0 when a ping was lost, or when packets went out
// but none came in since the last tick. One ping is outstanding at a time and waits 2 s. Five
// unanswered pings in a row end the connection.
//
// Who has a reason to doubt that the neighbour is there need not wait for that. A check sends a
// ping every 250 ms for a second, or longer where the way is long, beside the schedule and its
// statistics; any packet that comes meanwhile is an answer, and none ends the connection.
//
// A core without clock or I/O: PeerConn ticks it and sends what it asks for.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/time.h"
#include "rt/rng.h"

namespace selvage::peer {

class Pinger {
public:
    static constexpr Duration kTick = std::chrono::seconds(1);
    static constexpr Duration kAnswerLimit = std::chrono::seconds(2);
    static constexpr int kLossLimit = 5;
    static constexpr Duration kCheckTick = std::chrono::milliseconds(250);
    static constexpr int kCheckPings = 4;  // and more for two round trips
    // Others can give reason to doubt as often as they like: no more pings than this, and no
    // second of bad luck that they can wait for.
    static constexpr Duration kCheckPause = std::chrono::minutes(1);

    explicit Pinger(rt::Rng& rng) : rng_(rng) {}

    struct Decision {
        std::optional<std::uint32_t> ping;  // send a ping with this number now
        bool dead = false;                  // close the connection
    };
    // Once at the start and then every kTick. The counts are totals of the connection.
    Decision on_tick(TimePoint now, std::uint64_t rx_packets, std::uint64_t tx_packets);
    // False while one is running, and for kCheckPause after its beginning.
    bool begin_check(TimePoint now, std::uint64_t rx_packets);
    // After begin_check(), and then every kCheckTick while checking().
    Decision on_check_tick(std::uint64_t rx_packets);
    bool checking() const { return check_.has_value(); }
    // Numbers that nobody waits for are ignored.
    void on_pong(std::uint32_t number, TimePoint now);

    // Mean of the last 15 round trips; empty until the first answer.
    std::optional<Duration> latency() const;
    // Share of the last 100 pings that were lost, 0 to 1.
    double loss_rate() const;
    // The last ping was lost: the path may be dead, and another is the better choice meanwhile.
    bool in_doubt() const { return lost_in_a_row_ > 0; }
    // Two were lost in a row, and nothing else came either while they waited.
    bool silent() const { return silent_losses_ >= 2; }

private:
    static constexpr int kBackoffMax = 5;
    static constexpr std::size_t kLatencies = 15;
    static constexpr std::size_t kResults = 100;

    void note_result(bool answered);

    rt::Rng& rng_;
    struct Outstanding {
        std::uint32_t number;
        TimePoint sent;
        std::uint64_t rx_packets;
    };
    std::optional<Outstanding> outstanding_;
    int silent_losses_ = 0;
    struct Check {
        std::uint64_t rx_packets;  // when it began
        // Not a deadline: after a pause of our own process the answers wait in the socket.
        int pings_left;
    };
    std::optional<Check> check_;
    std::optional<TimePoint> check_began_;  // the last one
    std::uint32_t next_number_ = 0;
    int backoff_ = 0;
    int ticks_since_ping_ = 1 << kBackoffMax;  // so that the first tick pings
    int lost_in_a_row_ = 0;
    std::uint64_t last_rx_ = 0;
    std::uint64_t last_tx_ = 0;
    std::array<Duration, kLatencies> latencies_{};
    std::size_t latency_count_ = 0;  // ever; the ring holds the last kLatencies
    std::array<bool, kResults> lost_{};
    std::size_t result_count_ = 0;
};

}  // namespace selvage::peer
