// The ping schedule.
#include "peer/pinger.h"

#include <algorithm>
#include <numeric>

namespace selvage::peer {

Pinger::Decision Pinger::on_tick(
    TimePoint now, std::uint64_t rx_packets, std::uint64_t tx_packets
) {
    if (rx_packets != last_rx_) silent_losses_ = 0;
    if (outstanding_ && now - outstanding_->sent >= kAnswerLimit) {
        if (rx_packets == outstanding_->rx_packets) ++silent_losses_;
        outstanding_.reset();
        note_result(false);
        if (lost_in_a_row_ >= kLossLimit) return {.dead = true};
    }
    const bool silent = tx_packets > last_tx_ && rx_packets == last_rx_;
    last_rx_ = rx_packets;
    last_tx_ = tx_packets;
    if (lost_in_a_row_ > 0 || silent) backoff_ = 0;
    ++ticks_since_ping_;
    if (outstanding_ || ticks_since_ping_ < (1 << backoff_)) return {};

    ticks_since_ping_ = 0;
    backoff_ = std::min(backoff_ + 1, kBackoffMax);
    // A little jitter at the long end, so that the pings of many connections drift apart.
    if (backoff_ > 3 && rng_.chance(0.2)) --backoff_;
    outstanding_ = Outstanding{next_number_++, now, rx_packets};
    ++last_tx_;  // our own ping is not a sign that somebody waits for an answer
    return {.ping = outstanding_->number};
}

bool Pinger::begin_check(TimePoint now, std::uint64_t rx_packets) {
    if (check_began_ && now - *check_began_ < kCheckPause) return false;
    check_began_ = now;
    const Duration round_trips = 2 * latency().value_or(Duration{0});
    check_ = Check{rx_packets, kCheckPings + static_cast<int>(round_trips / kCheckTick)};
    return true;
}

Pinger::Decision Pinger::on_check_tick(std::uint64_t rx_packets) {
    if (!check_ || rx_packets != check_->rx_packets) {
        check_.reset();
        return {};
    }
    if (check_->pings_left-- == 0) return {.dead = true};
    ++last_tx_;
    return {.ping = next_number_++};
}

void Pinger::on_pong(std::uint32_t number, TimePoint now) {
    if (!outstanding_ || outstanding_->number != number) return;
    latencies_[latency_count_++ % kLatencies] = now - outstanding_->sent;
    outstanding_.reset();
    note_result(true);
}

void Pinger::note_result(bool answered) {
    lost_[result_count_++ % kResults] = !answered;
    lost_in_a_row_ = answered ? 0 : lost_in_a_row_ + 1;
}

std::optional<Duration> Pinger::latency() const {
    if (latency_count_ == 0) return std::nullopt;
    const auto count = std::min(latency_count_, kLatencies);
    const auto end = latencies_.begin() + static_cast<std::ptrdiff_t>(count);
    return std::accumulate(latencies_.begin(), end, Duration{0}) / static_cast<long>(count);
}

double Pinger::loss_rate() const {
    if (result_count_ == 0) return 0;
    const auto count = std::min(result_count_, kResults);
    const auto end = lost_.begin() + static_cast<std::ptrdiff_t>(count);
    return static_cast<double>(std::count(lost_.begin(), end, true)) / static_cast<double>(count);
}

}  // namespace selvage::peer
