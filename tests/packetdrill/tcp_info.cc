// Bytes to segments, and our phases to Linux' states of congestion avoidance.
#include "tests/packetdrill/tcp_info.h"

#include <linux/tcp.h>

#include <algorithm>
#include <cstring>

namespace selvage::packetdrill {

namespace {

std::uint32_t microseconds(Duration duration) {
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(duration).count()
    );
}

}  // namespace

void fill_tcp_info(const netstack::TcpConnection& connection, void* out, std::size_t room) {
    // Linux says this while no loss was seen.
    constexpr std::uint32_t kInfinite = 0x7fffffff;
    const netstack::TcpInfo info = connection.info();
    const std::uint32_t mss = std::max<std::uint32_t>(info.mss, 1);
    const auto segments = [&](std::uint32_t bytes) { return (bytes + mss - 1) / mss; };

    tcp_info linux_info{};
    linux_info.tcpi_ca_state = static_cast<std::uint8_t>(info.phase);
    linux_info.tcpi_snd_mss = info.mss;
    linux_info.tcpi_advmss = info.advertised_mss;
    linux_info.tcpi_snd_cwnd = info.congestion_window / mss;
    linux_info.tcpi_snd_ssthresh =
        info.slow_start_threshold >= kInfinite / 2 ? kInfinite : info.slow_start_threshold / mss;
    linux_info.tcpi_unacked = segments(info.in_flight);
    linux_info.tcpi_sacked = segments(info.sacked);
    linux_info.tcpi_lost = segments(info.lost);
    linux_info.tcpi_retrans = segments(info.retransmitted);
    linux_info.tcpi_reordering = info.reordering;
    linux_info.tcpi_reord_seen = info.reorderings_seen;
    linux_info.tcpi_rtt = microseconds(info.smoothed_rtt);
    linux_info.tcpi_rttvar = microseconds(info.rtt_variation);
    linux_info.tcpi_min_rtt = microseconds(info.min_rtt);
    linux_info.tcpi_backoff = static_cast<std::uint8_t>(info.backoff);
    std::memset(out, 0, room);
    std::memcpy(out, &linux_info, std::min(room, sizeof(linux_info)));
}

}  // namespace selvage::packetdrill
