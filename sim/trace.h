// What happened in a world, as lines with their virtual time, and one running hash over all of
// them.
//
// Two runs with equal seeds must end with equal hashes: a difference is hidden nondeterminism
// (pointer order, unseeded hashing, a stray clock). Only the last lines are kept; the hash covers
// every line.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "base/time.h"

namespace selvage::sim {

class Trace {
public:
    // What a failure report shows; a few round trips of a busy node.
    static constexpr std::size_t kLinesKept = 400;

    explicit Trace(TimePoint start, bool on = true) : start_(start), on_(on) {}
    bool is_on() const { return on_; }

    void add(TimePoint now, std::string_view line);

    std::uint64_t hash() const { return hash_; }
    std::uint64_t count() const { return count_; }
    // The last lines, oldest first, each "   1.234567 s  text".
    std::string tail(std::size_t lines = kLinesKept) const;

private:
    struct Line {
        TimePoint when;
        std::string text;
    };
    TimePoint start_;
    bool on_;
    std::uint64_t hash_ = 0;
    std::uint64_t count_ = 0;
    std::deque<Line> lines_;  // at most kLinesKept; the oldest gives way
};

}  // namespace selvage::sim
