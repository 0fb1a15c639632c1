// FlowCache: what was decided or seen for a connection, in a fixed block of memory.
//
// Set-associative: the hash of a key names a set of kWays places, and a new entry takes the place
// that was unused for the longest time in its set. So nothing is ever allocated per packet, nothing
// needs sweeping, and a flood of connections costs others their entries but never memory or time.
// The hash is keyed, so nobody outside can aim at a set.
#pragma once

#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "base/ip.h"
#include "base/siphash.h"
#include "base/time.h"

namespace selvage::dataplane {

// Packed, without padding: equality and hash look at the bytes.
struct FlowCacheKey {
    std::array<std::uint8_t, 16> source{};
    std::array<std::uint8_t, 16> destination{};
    le64 source_groups;
    le64 destination_groups;
    be16 source_port;
    be16 destination_port;
    std::uint8_t protocol = 0;
    std::uint8_t kind = 0;  // what else tells entries apart; the owner's business

    friend bool operator==(const FlowCacheKey& a, const FlowCacheKey& b) {
        return std::memcmp(&a, &b, sizeof(a)) == 0;
    }
};
static_assert(sizeof(FlowCacheKey) == 54 && WireStruct<FlowCacheKey>);

template <class Value, std::size_t kSets, std::size_t kWays>
class FlowCache {
public:
    explicit FlowCache(SipKey hash_key) : hash_key_(hash_key) {}
    static constexpr std::size_t capacity() { return kSets * kWays; }

    // Takes the memory. Before that nothing is found, and put() must not be called.
    void reserve() { places_.resize(capacity()); }
    void clear() {
        for (Place& place : places_)
            place.used = false;
    }

    // An entry that nobody has used for `life` is gone. Both calls count as a use; what they give
    // is valid until the next put().
    Value* find(const FlowCacheKey& key, TimePoint now, Duration life) {
        if (places_.empty()) return nullptr;
        for (Place& place : set_of(key)) {
            if (!place.used || !(place.key == key)) continue;
            if (now - place.last_used > life) {
                place.used = false;
                return nullptr;
            }
            place.last_used = now;
            return &place.value;
        }
        return nullptr;
    }
    Value& put(const FlowCacheKey& key, const Value& value, TimePoint now) {
        Place* victim = nullptr;
        for (Place& place : set_of(key)) {
            if (!place.used) {
                victim = &place;
                break;
            }
            if (victim == nullptr || place.last_used < victim->last_used) victim = &place;
        }
        *victim = {.used = true, .key = key, .last_used = now, .value = value};
        return victim->value;
    }

    template <class Visit>
    void for_each(Visit visit) const {
        for (const Place& place : places_) {
            if (place.used) visit(place.key, place.value, place.last_used);
        }
    }

private:
    struct Place {
        bool used = false;
        FlowCacheKey key;
        TimePoint last_used{};
        Value value{};
    };
    std::span<Place> set_of(const FlowCacheKey& key) {
        const std::size_t set = siphash13(hash_key_, as_bytes_of(key)) % kSets;
        return std::span(places_).subspan(set * kWays, kWays);
    }

    SipKey hash_key_;
    std::vector<Place> places_;
};

}  // namespace selvage::dataplane
