// How large the segments of a connection are: what the peer takes, what messages say of the path,
// and what is found out without them.
#include <algorithm>

#include "netstack/core/tcp_connection.h"

namespace selvage::netstack {

std::uint32_t TcpConnection::own_mss() const {
    const std::size_t ip =
        flow_.local.is_v4() ? sizeof(packet::Ipv4Header) : sizeof(packet::Ipv6Header);
    const auto most =
        static_cast<std::uint32_t>(shared_.options.mtu - ip - sizeof(packet::TcpHeader));
    return options_.mss_max == 0 ? most
                                 : std::clamp<std::uint32_t>(options_.mss_max, kMssMin, most);
}

std::uint32_t TcpConnection::path_mss() const {
    const std::size_t ip =
        flow_.local.is_v4() ? sizeof(packet::Ipv4Header) : sizeof(packet::Ipv6Header);
    return static_cast<std::uint32_t>(path_mtu_ - ip - sizeof(packet::TcpHeader));
}

void TcpConnection::set_mss(std::uint32_t mss) {
    mss_ = mss;
    if (path_) path_->congestion->set_segment_size(full_segment());
}

void TcpConnection::on_path_mtu(std::uint16_t mtu, TimePoint now) {
    if (mtu >= path_mtu_) return;
    path_mtu_ = mtu;
    const std::uint32_t before = mss_;
    mss_ = std::min(mss_, path_mss());
    mss_search_.limit(path_mss(), mss_);
    if (mss_ >= before || !synchronized() || in_flight() == 0) return;
    // Slow start with smaller segments (RFC 1191, section 6.5): all that was too large is lost.
    send_timer_ = SendTimer::retransmit;
    send_timer_at_ = now;
}

// RFC 4821, section 7.7. A path that is away for a while looks the same; then the full size comes
// back with the first that is sent in it.
void TcpConnection::suspect_size() {
    const std::uint32_t safe = flow_.local.is_v4() ? MssSearch::kSafe4 : MssSearch::kSafe6;
    const SentLog& log = path_->recovery.log();
    if (log.empty() || log[log.first()].size() + option_bytes() <= safe || mss_ <= safe) return;
    ++shared_.counters.tcp_black_holes;
    mss_search_.start(mss_);
    mss_ = safe;
}

// What new data may go in one segment. One that tries a size has others behind it, so that its loss
// shows at once, and nothing before it that is to be repaired.
std::uint32_t TcpConnection::new_segment_most(
    std::uint32_t ready, std::uint32_t room, TimePoint now
) const {
    const std::uint32_t size = mss_search_.next_size(mss_, now);
    if (size == 0 || path_->recovery.recovering()) return full_segment();
    const std::uint32_t bytes = size - option_bytes();
    return room >= bytes && ready >= bytes + 2 * full_segment() ? bytes : full_segment();
}

}  // namespace selvage::netstack
