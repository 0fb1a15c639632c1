// The hash chains over lines: each line's hash is keyed with what came before it.
#include "sim/trace.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/siphash.h"

namespace selvage::sim {

void Trace::add(TimePoint now, std::string_view line) {
    if (!on_) return;
    const auto at = static_cast<std::uint64_t>((now - start_).count());
    hash_ = siphash24({hash_, at}, as_view(line));
    ++count_;
    if (lines_.size() >= kLinesKept) lines_.pop_front();
    lines_.push_back({now, std::string(line)});
}

std::string Trace::tail(std::size_t lines) const {
    std::string out;
    const std::size_t first = lines_.size() > lines ? lines_.size() - lines : 0;
    for (std::size_t i = first; i < lines_.size(); ++i) {
        const std::chrono::duration<double> at = lines_[i].when - start_;
        out += fmt::format("{:12.6f} s  {}\n", at.count(), lines_[i].text);
    }
    return out;
}

}  // namespace selvage::sim
