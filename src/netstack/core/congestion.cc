// Names to algorithms.
#include "netstack/core/congestion.h"

#include "netstack/core/bbr.h"
#include "netstack/core/window_control.h"

namespace selvage::netstack {

std::unique_ptr<CongestionControl> make_congestion_control(
    CongestionAlgorithm algorithm, std::uint32_t mss, Duration smoothed_rtt, bool pace_windows,
    TimePoint now
) {
    using Growth = WindowControl::Growth;
    switch (algorithm) {
        case CongestionAlgorithm::new_reno:
            return std::make_unique<WindowControl>(Growth::reno, mss, pace_windows, smoothed_rtt);
        case CongestionAlgorithm::cubic:
            return std::make_unique<WindowControl>(Growth::cubic, mss, pace_windows, smoothed_rtt);
        case CongestionAlgorithm::bbr:
            return std::make_unique<Bbr>(mss, smoothed_rtt, now);
    }
    return nullptr;
}

}  // namespace selvage::netstack
