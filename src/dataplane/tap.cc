// Which packets a tap sees, and its queue.
#include "dataplane/tap.h"

#include <algorithm>
#include <charconv>

#include "base/log.h"

namespace selvage::dataplane {
namespace {

// What a packet costs beside its bytes, so that many small ones are bounded as well.
constexpr std::size_t kEntryBytes = sizeof(TappedPacket) + 32;

bool is_end(const TapFilter::End& end, const IpAddress& address, std::uint16_t port, bool ports) {
    if (end.address && *end.address != address) return false;
    return !end.port || (ports && *end.port == port);
}

std::optional<TapFilter::End> parse_end(std::string_view text) {
    if (text.starts_with(':')) {
        std::uint16_t port = 0;
        const char* last = text.data() + text.size();
        const auto [end, failed] = std::from_chars(text.data() + 1, last, port);
        if (failed == std::errc{} && end == last && port != 0) {
            return TapFilter::End{.address = std::nullopt, .port = port};
        }
    }
    if (auto address = IpAddress::parse(text)) {
        return TapFilter::End{.address = *address, .port = std::nullopt};
    }
    if (auto endpoint = Endpoint::parse(text)) {
        return TapFilter::End{.address = endpoint->address, .port = endpoint->port};
    }
    return std::nullopt;
}

std::vector<std::uint8_t> protocols_of(std::string_view name) {
    using packet::IpProtocol;
    const auto number = [](IpProtocol protocol) { return static_cast<std::uint8_t>(protocol); };
    if (name == "tcp") return {number(IpProtocol::tcp)};
    if (name == "udp") return {number(IpProtocol::udp)};
    if (name == "icmp") return {number(IpProtocol::icmp), number(IpProtocol::icmpv6)};
    return {};
}

}  // namespace

bool TapFilter::matches(PeerId from_or_to, const packet::IpMeta& ip) const {
    if (peer && peer != from_or_to) return false;
    if (!protocols.empty() && std::ranges::find(protocols, ip.protocol) == protocols.end()) {
        return false;
    }
    const auto from = [&](const End& end) {
        return is_end(end, ip.source, ip.source_port, ip.has_ports);
    };
    const auto to = [&](const End& end) {
        return is_end(end, ip.destination, ip.destination_port, ip.has_ports);
    };
    if (ends.empty()) return true;
    if (ends.size() == 1) return from(ends[0]) || to(ends[0]);
    return (from(ends[0]) && to(ends[1])) || (from(ends[1]) && to(ends[0]));
}

Result<TapFilter> parse_flow(std::string_view text) {
    const Error wrong(
        Errc::bad_argument,
        fmt::format(
            "\"{}\" is no flow: [tcp|udp|icmp][,END[,END]] with END as ADDRESS, ADDRESS:PORT or "
            ":PORT",
            printable(text, 100)
        )
    );
    TapFilter out;
    for (bool first = true; first || !text.empty(); first = false) {
        const auto comma = text.find(',');
        const std::string_view word = text.substr(0, comma);
        if (first) out.protocols = protocols_of(word);
        if (!first || out.protocols.empty()) {
            const auto end = parse_end(word);
            if (!end || out.ends.size() == 2) return wrong;
            out.ends.push_back(*end);
        }
        if (comma == std::string_view::npos) break;
        text.remove_prefix(comma + 1);
        if (text.empty()) return wrong;
    }
    return out;
}

void Taps::offer(
    TapDirection direction, PeerId peer, const packet::IpMeta& ip, ByteView bytes, TimePoint now
) {
    for (Tap* tap : taps_) {
        if (tap->options_.filter.matches(peer, ip)) tap->offer(direction, peer, bytes, now);
    }
}

Tap::Tap(rt::Runtime& runtime, Taps& taps, TapOptions options)
    : taps_(taps), options_(std::move(options)), changed_(runtime) {
    taps_.taps_.push_back(this);
}

Tap::~Tap() {
    std::erase(taps_.taps_, this);
}

void Tap::offer(TapDirection direction, PeerId peer, ByteView bytes, TimePoint now) {
    if (finished()) return;
    const std::size_t kept =
        options_.snap_bytes == 0 ? bytes.size() : std::min(bytes.size(), options_.snap_bytes);
    if (queue_bytes_ + kept + kEntryBytes > options_.queue_bytes_limit) {
        ++lost_;
        return;
    }
    queue_bytes_ += kept + kEntryBytes;
    ++accepted_;
    const ByteView head = bytes.first(kept);
    queue_.push_back(
        {.at = now,
         .direction = direction,
         .peer = peer,
         .whole_bytes = static_cast<std::uint32_t>(bytes.size()),
         .bytes = Bytes(head.begin(), head.end())}
    );
    changed_.notify();
}

std::optional<TappedPacket> Tap::take() {
    if (queue_.empty()) return std::nullopt;
    std::optional<TappedPacket> out(std::move(queue_.front()));
    queue_.pop_front();
    queue_bytes_ -= out->bytes.size() + kEntryBytes;
    return out;
}

}  // namespace selvage::dataplane
