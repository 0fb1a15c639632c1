// Bits in and out of a cookie.
#include "netstack/core/syn_cookies.h"

#include <algorithm>
#include <array>

namespace selvage::netstack {

namespace {

// What callers have: EasyTier's packets of 1,360 and 1,380 bytes over IPv4 and IPv6, Ethernet, and
// the defaults of RFC 9293.
constexpr std::array<std::uint16_t, 8> kMssTable{216, 536, 1000, 1220, 1300, 1320, 1340, 1440};

constexpr int kHashBits = 28;
constexpr std::uint32_t kHashMask = (1U << kHashBits) - 1;

constexpr std::uint32_t kOptionMask = 0x3f;
constexpr std::uint32_t kScaleMask = 0x0f;
constexpr std::uint32_t kNoScale = 0x0f;  // larger than any that RFC 7323 allows
constexpr std::uint32_t kSackBit = 0x10;
constexpr std::uint32_t kEcnBit = 0x20;

std::uint64_t epoch_at(TimePoint now) {
    return static_cast<std::uint64_t>(now.time_since_epoch() / SynCookies::kEpoch);
}

}  // namespace

SipKey SynCookies::key_of(std::uint64_t epoch) const {
    struct {
        be64 epoch;
        be64 half;
    } bytes;
    bytes.epoch = epoch;
    bytes.half = 0;
    SipKey key{.k0 = siphash24(secret_, as_bytes_of(bytes))};
    bytes.half = 1;
    key.k1 = siphash24(secret_, as_bytes_of(bytes));
    return key;
}

std::uint32_t SynCookies::hash(
    const FlowKey& flow, SeqNum peer_isn, std::uint32_t index, std::uint64_t epoch
) const {
    const std::uint64_t more = std::uint64_t{peer_isn.raw()} << 32 | (index + 1);
    const std::uint64_t whole = hash_flow(key_of(epoch), flow, HashPurpose::cookie, true, more);
    return static_cast<std::uint32_t>(whole) & kHashMask;
}

std::optional<SeqNum> SynCookies::make(
    const FlowKey& flow, SeqNum peer_isn, std::uint16_t mss, TimePoint now
) const {
    if (mss < kMssTable.front()) return std::nullopt;
    const auto above = std::upper_bound(kMssTable.begin(), kMssTable.end(), mss);
    const auto index = static_cast<std::uint32_t>(above - kMssTable.begin() - 1);
    const std::uint64_t epoch = epoch_at(now);
    const auto parity = static_cast<std::uint32_t>(epoch & 1);
    const std::uint32_t bits = hash(flow, peer_isn, index, epoch);
    return SeqNum(index << (kHashBits + 1) | parity << kHashBits | bits);
}

std::optional<std::uint16_t> SynCookies::check(
    const FlowKey& flow, SeqNum peer_isn, SeqNum cookie, TimePoint now
) const {
    const std::uint32_t index = cookie.raw() >> (kHashBits + 1);
    std::uint64_t epoch = epoch_at(now);
    if ((epoch & 1) != (cookie.raw() >> kHashBits & 1)) --epoch;
    if (hash(flow, peer_isn, index, epoch) != (cookie.raw() & kHashMask)) return std::nullopt;
    return kMssTable[index];
}

std::uint32_t SynCookies::put_options(std::uint32_t clock, const TcpOptions& options, bool ecn) {
    std::uint32_t bits = kNoScale;
    if (options.window_scale) bits = std::min<std::uint32_t>(*options.window_scale, 14);
    if (options.sack_permitted) bits |= kSackBit;
    if (ecn) bits |= kEcnBit;
    const std::uint32_t value = (clock & ~kOptionMask) | bits;
    // Never from the future: the caller would take what comes next for old.
    return static_cast<std::int32_t>(value - clock) > 0 ? value - (kOptionMask + 1) : value;
}

bool SynCookies::take_options(std::uint32_t clock, TcpOptions& options) {
    const std::uint32_t scale = clock & kScaleMask;
    if (scale != kNoScale) options.window_scale = static_cast<std::uint8_t>(scale);
    options.sack_permitted = (clock & kSackBit) != 0;
    return (clock & kEcnBit) != 0;
}

}  // namespace selvage::netstack
