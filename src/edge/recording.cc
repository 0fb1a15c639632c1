// Limits and names of recordings.
#include "edge/recording.h"

#include <fmt/chrono.h>

namespace selvage::edge {
namespace {

constexpr std::size_t kNameMax = 32;

}  // namespace

bool SessionRecording::add(std::string line) {
    const bool fits = bytes_ + line.size() <= options_.file_bytes_max &&
                      total_ + line.size() <= options_.total_bytes_max;
    if (!fits || file_->failed()) return false;
    bytes_ += line.size();
    total_ += line.size();
    file_->append(std::move(line));
    return true;
}

std::string recording_name(WallTime at, std::uint64_t session, std::string_view host_name) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(at).time_since_epoch().count();
    std::string out = fmt::format("{:%Y%m%dT%H%M%SZ}-{}-", fmt::gmtime(seconds), session);
    std::size_t taken = 0;
    for (const char c : host_name) {
        const bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (plain && taken++ < kNameMax) out.push_back(c);
    }
    return taken == 0 ? out + "host" : out;
}

}  // namespace selvage::edge
