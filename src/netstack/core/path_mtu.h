// What the paths to some destinations carry, when it is less than our own MTU (RFC 1191, RFC 8201).
// Only what quoted a live flow is remembered. The oldest entry gives way.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "base/ip.h"
#include "base/time.h"

namespace selvage::netstack {

class PathMtu {
public:
    static constexpr std::size_t kEntriesMax = 256;
    static constexpr Duration kLife = std::chrono::minutes(10);  // RFC 8201, section 4
    // Below these nobody has to be believed: RFC 8200 demands the one, and no path of today is
    // narrower than the other. A liar can make us send small packets, not tiny ones.
    static constexpr std::uint16_t kLeast4 = 552;
    static constexpr std::uint16_t kLeast6 = 1280;

    // What `mtu` can be at least on a path to `destination`.
    static std::uint16_t checked(const IpAddress& destination, std::uint32_t mtu) {
        const std::uint32_t least = destination.is_v4() ? kLeast4 : kLeast6;
        return static_cast<std::uint16_t>(std::clamp<std::uint32_t>(mtu, least, 0xffff));
    }
    void note(const IpAddress& destination, std::uint16_t mtu, TimePoint now) {
        std::erase_if(entries_, [&](const Entry& e) { return e.destination == destination; });
        if (entries_.size() >= kEntriesMax) entries_.pop_front();
        entries_.push_back({destination, mtu, now + kLife});
    }
    // `otherwise` when nothing smaller is known.
    std::uint16_t find(const IpAddress& destination, std::uint16_t otherwise) const {
        for (const Entry& e : entries_) {
            if (e.destination == destination) return std::min(e.mtu, otherwise);
        }
        return otherwise;
    }
    // The path may have changed for the better.
    void forget_old(TimePoint now) {
        while (!entries_.empty() && entries_.front().until <= now)
            entries_.pop_front();
    }

private:
    struct Entry {
        IpAddress destination;
        std::uint16_t mtu = 0;
        TimePoint until;
    };
    std::deque<Entry> entries_;
};

}  // namespace selvage::netstack
