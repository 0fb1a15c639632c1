// A host's view of the world's loop: the same clock and executor, but random numbers of its own,
// so that what one host draws does not change what another does, and a calendar that may be wrong.
#pragma once

#include "rt/virtual_runtime.h"

namespace selvage::sim {

class HostRuntime final : public rt::Runtime {
public:
    HostRuntime(rt::VirtualRuntime& loop, std::uint64_t seed) : loop_(loop), rng_(seed) {}

    rt::Executor executor() override { return loop_.executor(); }
    TimePoint now() override { return loop_.now(); }
    WallTime wall_now() override { return loop_.wall_now() + wall_skew_; }
    rt::TimerService& timers() override { return loop_.timers(); }
    rt::Rng& rng() override { return rng_; }
    rt::WorkerPool& workers() override { return loop_.workers(); }

    void set_wall_skew(Duration skew) { wall_skew_ = skew; }

private:
    rt::VirtualRuntime& loop_;
    rt::Rng rng_;
    Duration wall_skew_{0};
};

}  // namespace selvage::sim
