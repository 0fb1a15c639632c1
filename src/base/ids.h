// Ids that cannot be mixed up: each kind of thing has its own type.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

#include <fmt/format.h>

namespace selvage {

template <class Tag, class Int = std::uint32_t>
class Id {
public:
    using Raw = Int;
    constexpr Id() = default;
    constexpr explicit Id(Int raw) : raw_(raw) {}
    constexpr Int raw() const { return raw_; }
    // Zero is never given out, so it can stand for "none" where an optional would not fit.
    constexpr explicit operator bool() const { return raw_ != 0; }
    friend constexpr auto operator<=>(Id, Id) = default;

private:
    Int raw_ = 0;
};

using PeerId = Id<struct PeerTag>;  // a node of the mesh; random per process start, never 0
using ConnId = Id<struct ConnTag>;  // one connection to a neighbour; local only

}  // namespace selvage

template <class Tag, class Int>
struct std::hash<selvage::Id<Tag, Int>> {
    std::size_t operator()(selvage::Id<Tag, Int> id) const { return std::hash<Int>{}(id.raw()); }
};

template <class Tag, class Int>
struct fmt::formatter<selvage::Id<Tag, Int>> : fmt::formatter<Int> {
    auto format(selvage::Id<Tag, Int> id, fmt::format_context& ctx) const {
        return fmt::formatter<Int>::format(id.raw(), ctx);
    }
};
