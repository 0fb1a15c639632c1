// Taps: who watches the clear packets that pass the pipeline, as tcpdump watches a device.
//
//   from the mesh   after it was opened, before its sender and the ACL were judged
//   to the mesh     after the ACL and routing, before it is compressed and sealed
//
// What is relayed for others stays sealed and is not seen. Watching never slows the pipeline: each
// tap has a bounded queue, and what does not fit is counted as lost. Without a tap it costs one
// comparison per packet.
#pragma once

#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/ip.h"
#include "base/time.h"
#include "packet/packet_buf.h"
#include "rt/event.h"

namespace selvage::dataplane {

enum class TapDirection : std::uint8_t { from_mesh, to_mesh };

// Which packets; empty means all.
struct TapFilter {
    struct End {
        std::optional<IpAddress> address;
        std::optional<std::uint16_t> port;
    };
    PeerId peer;  // who sent it, or whom it is for
    std::vector<std::uint8_t> protocols;
    std::vector<End> ends;  // at most two; a packet in either direction matches

    bool matches(PeerId from_or_to, const packet::IpMeta& ip) const;
};

// "[tcp|udp|icmp][,END[,END]]" with END as ADDRESS, ADDRESS:PORT or :PORT. Errors: bad_argument.
Result<TapFilter> parse_flow(std::string_view text);

struct TappedPacket {
    TimePoint at{};
    TapDirection direction{};
    PeerId peer;                    // none for what goes to everybody
    std::uint32_t whole_bytes = 0;  // before it was cut
    Bytes bytes;
};

struct TapOptions {
    TapFilter filter;
    std::size_t snap_bytes = 0;       // to which packets are cut; 0: not at all
    std::uint64_t packets_limit = 0;  // after so many it sees no more; 0: no end
    // What waits for its reader: a quarter of a second at 100 Mbit/s.
    std::size_t queue_bytes_limit = 4 * 1024 * 1024;
};

class Tap;

class Taps {
public:
    // A person rarely needs a second one; each costs a copy of every packet that matches.
    static constexpr std::size_t kLimit = 4;

    bool empty() const { return taps_.empty(); }
    bool full() const { return taps_.size() >= kLimit; }
    void offer(
        TapDirection direction, PeerId peer, const packet::IpMeta& ip, ByteView bytes, TimePoint now
    );

private:
    friend class Tap;
    std::vector<Tap*> taps_;
};

// Watches from its construction to its destruction.
class Tap {
public:
    // Precondition: !taps.full(). Both outlive it.
    Tap(rt::Runtime& runtime, Taps& taps, TapOptions options);
    ~Tap();
    Tap(const Tap&) = delete;
    Tap& operator=(const Tap&) = delete;

    // The oldest packet that waits.
    std::optional<TappedPacket> take();
    // Notified when packets came.
    rt::Event& changed() { return changed_; }
    // Whether it has seen as many as it may.
    bool finished() const {
        return options_.packets_limit != 0 && accepted_ >= options_.packets_limit;
    }
    std::uint64_t accepted() const { return accepted_; }
    std::uint64_t lost() const { return lost_; }

private:
    friend class Taps;
    void offer(TapDirection direction, PeerId peer, ByteView bytes, TimePoint now);

    Taps& taps_;
    TapOptions options_;
    rt::Event changed_;
    std::deque<TappedPacket> queue_;  // bounded by queue_bytes_limit
    std::size_t queue_bytes_ = 0;
    std::uint64_t accepted_ = 0;
    std::uint64_t lost_ = 0;
};

}  // namespace selvage::dataplane
