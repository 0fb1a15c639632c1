// One direction between two simulated hosts: how late, how reliably, in which order and how fast
// frames get through. Its behaviour may be changed while the world runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "rt/rng.h"

namespace selvage::sim {

struct LinkOptions {
    Duration delay = std::chrono::milliseconds(5);
    Duration jitter{0};  // added uniformly from [0, jitter); order is kept
    double loss = 0;     // probabilities, per frame
    double duplication = 0;
    double reordering = 0;  // such a frame is late by up to `reordering_delay`; others pass it
    Duration reordering_delay = std::chrono::milliseconds(20);
    std::uint64_t rate_bytes = 0;  // per second; 0: unlimited
    // Bytes that wait for a limited rate; what finds the queue full is lost.
    std::size_t queue_bytes = 256 * 1024;
    std::size_t mtu = 1500;
    // Datagrams above the MTU travel in pieces, each of which may be lost. False: they vanish, as
    // on a path that breaks path MTU discovery.
    bool fragments = true;
    bool up = true;  // false: everything is lost
};

struct LinkStats {
    std::uint64_t frames = 0;
    std::uint64_t bytes = 0;
    std::uint64_t lost = 0;
    std::uint64_t lost_queue_full = 0;
    std::uint64_t lost_oversized = 0;
    std::uint64_t duplicated = 0;
    std::uint64_t reordered = 0;
};

class Link {
public:
    // `name` names the direction ("a>b") and is part of its random stream's seed, so that traffic
    // elsewhere does not change what happens here.
    Link(std::string name, std::uint64_t seed, LinkOptions options);

    const std::string& name() const { return name_; }
    LinkOptions& options() { return options_; }
    const LinkOptions& options() const { return options_; }
    const LinkStats& stats() const { return stats_; }

    // When a frame of `bytes` that is sent now arrives: never (empty; `reason` says why), once, or
    // twice.
    struct Passage {
        std::optional<TimePoint> first;
        std::optional<TimePoint> second;
        std::string_view reason;
    };
    Passage pass(std::size_t bytes, bool may_fragment, TimePoint now);

private:
    bool is_lost(std::size_t bytes);
    std::optional<TimePoint> after_queue(std::size_t bytes, TimePoint now);

    std::string name_;
    rt::Rng rng_;
    LinkOptions options_;
    LinkStats stats_;
    TimePoint busy_until_{};
    TimePoint last_arrival_{};
};

}  // namespace selvage::sim
