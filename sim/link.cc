// Loss first, then the queue, then the way: as a frame would meet them.
#include "sim/link.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/siphash.h"

namespace selvage::sim {
namespace {

Duration draw(rt::Rng& rng, Duration limit) {
    if (limit <= Duration{0}) return Duration{0};
    return Duration(static_cast<Duration::rep>(rng.below(static_cast<std::uint64_t>(limit.count())))
    );
}

}  // namespace

Link::Link(std::string name, std::uint64_t seed, LinkOptions options)
    : name_(std::move(name)), rng_(siphash24({seed, 1}, as_view(name_))), options_(options) {}

bool Link::is_lost(std::size_t bytes) {
    const std::size_t pieces = std::max<std::size_t>(1, (bytes + options_.mtu - 1) / options_.mtu);
    for (std::size_t i = 0; i < pieces; ++i) {
        if (rng_.chance(options_.loss)) return true;
    }
    return false;
}

// When the last bit has left; empty when the queue is full.
std::optional<TimePoint> Link::after_queue(std::size_t bytes, TimePoint now) {
    if (options_.rate_bytes == 0) return now;
    const auto rate = static_cast<double>(options_.rate_bytes);
    busy_until_ = std::max(busy_until_, now);
    const std::chrono::duration<double> wait = busy_until_ - now;
    if (wait.count() * rate + static_cast<double>(bytes) >
        static_cast<double>(options_.queue_bytes)) {
        return std::nullopt;
    }
    const std::chrono::duration<double> own(static_cast<double>(bytes) / rate);
    busy_until_ += std::chrono::duration_cast<Duration>(own);
    return busy_until_;
}

Link::Passage Link::pass(std::size_t bytes, bool may_fragment, TimePoint now) {
    ++stats_.frames;
    stats_.bytes += bytes;
    if (!options_.up) {
        ++stats_.lost;
        return {.reason = "cut"};
    }
    if (bytes > options_.mtu && !(may_fragment && options_.fragments)) {
        ++stats_.lost_oversized;
        return {.reason = "above the MTU"};
    }
    if (is_lost(bytes)) {
        ++stats_.lost;
        return {.reason = "lost"};
    }
    const auto sent = after_queue(bytes, now);
    if (!sent) {
        ++stats_.lost_queue_full;
        return {.reason = "queue full"};
    }
    Passage out;
    TimePoint arrival = *sent + options_.delay + draw(rng_, options_.jitter);
    if (rng_.chance(options_.reordering)) {
        ++stats_.reordered;
        arrival += draw(rng_, options_.reordering_delay);
    } else {
        arrival = std::max(arrival, last_arrival_);
        last_arrival_ = arrival;
    }
    out.first = arrival;
    if (rng_.chance(options_.duplication)) {
        ++stats_.duplicated;
        out.second = arrival + draw(rng_, options_.jitter + std::chrono::milliseconds(1));
    }
    return out;
}

}  // namespace selvage::sim
