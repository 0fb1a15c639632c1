// What can be asked about one connection: for reports, measurements and tests.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace selvage::netstack {

// How sending goes, in the order of severity.
enum class TcpPhase : std::uint8_t {
    open,      // nothing unusual
    disorder,  // duplicate or selective acknowledgements, no loss concluded yet
    reduced,   // the window is smaller because routers signalled congestion
    recovery,  // losses noticed by acknowledgements are sent again
    loss,      // the retransmission timer expired
};

struct TcpInfo {
    TcpPhase phase = TcpPhase::open;
    // Bytes.
    std::uint32_t mss = 0;             // payload of a full segment that we send
    std::uint32_t advertised_mss = 0;  // what we told the peer
    std::uint32_t congestion_window = 0;
    std::uint32_t slow_start_threshold = 0;  // at least 2^30 while no loss was seen
    std::uint32_t in_flight = 0;             // sent and not acknowledged by number
    std::uint32_t sacked = 0;
    std::uint32_t lost = 0;
    std::uint32_t retransmitted = 0;  // and not acknowledged
    // Segments by which the path is known to reorder, and how often it was seen.
    std::uint32_t reordering = 3;
    std::uint32_t reorderings_seen = 0;
    int backoff = 0;
    Duration smoothed_rtt{};
    Duration rtt_variation{};
    Duration min_rtt{};
};

}  // namespace selvage::netstack
