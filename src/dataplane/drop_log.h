// DropLog: the last packets that were dropped, for each reason, so that a person can see which.
//
// Headers only, in fixed memory: kSamples per reason, the oldest gives way. What is noted costs a
// copy of a few dozen bytes, and only when a packet is lost anyway.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "base/time.h"
#include "dataplane/verdict.h"
#include "packet/packet_buf.h"
#include "packet/peer_header.h"

namespace selvage::dataplane {

// Where a packet came from and what it looked like before the pipeline changed it.
struct Arrival {
    PeerId neighbour;                          // none: a packet of this node
    std::optional<packet::PeerHeader> header;  // of packets from the mesh
    std::uint32_t bytes = 0;
};

struct DropSample {
    DropReason reason = DropReason::count;
    TimePoint at{};
    Arrival arrival;
    std::optional<packet::IpMeta> ip;  // of a packet that was clear when it was dropped
};

class DropLog {
public:
    // Enough to see who and whereto; a flood of one reason hides no other reason.
    static constexpr std::size_t kSamples = 8;

    void add(const DropSample& sample) {
        Reason& of = reasons_[static_cast<std::size_t>(sample.reason)];
        of.samples[of.count % kSamples] = sample;
        ++of.count;
    }
    // The oldest first, reason by reason.
    std::vector<DropSample> samples() const {
        std::vector<DropSample> out;
        for (const Reason& of : reasons_) {
            const std::uint64_t kept = std::min<std::uint64_t>(of.count, kSamples);
            for (std::uint64_t i = of.count - kept; i < of.count; ++i)
                out.push_back(of.samples[i % kSamples]);
        }
        return out;
    }

private:
    struct Reason {
        std::uint64_t count = 0;
        std::array<DropSample, kSamples> samples;
    };
    std::array<Reason, kDropReasons> reasons_;
};

}  // namespace selvage::dataplane
