// Turns by deficit round robin, and CoDel within each flow.
#include "tunnel/fair_queue.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "packet/peer_header.h"

namespace selvage::tunnel {

using packet::PacketBuf;

namespace {

constexpr std::ptrdiff_t kQuantum = packet::kBlockBytes;  // RFC 8290, 5.2.3: one packet
constexpr Duration kTarget = 5ms;
constexpr Duration kInterval = 100ms;

// The more were dropped in a row, the sooner comes the next (RFC 8289, 5.3).
TimePoint control_law(TimePoint from, std::uint32_t count) {
    const double wait = static_cast<double>(kInterval.count()) / std::sqrt(count);
    return from + Duration(static_cast<Duration::rep>(wait));
}

}  // namespace

std::uint32_t FairQueue::flow_of(const PacketBuf& packet) const {
    std::array<std::uint8_t, 37> key{};
    if (const auto& ip = packet.meta().ip) {
        const auto put = [&key](std::size_t at, const IpAddress& address) {
            std::ranges::copy(address.bytes(), key.begin() + static_cast<std::ptrdiff_t>(at));
        };
        put(0, ip->source);
        put(16, ip->destination);
        std::memcpy(&key[32], &ip->source_port, 2);
        std::memcpy(&key[34], &ip->destination_port, 2);
        key[36] = ip->protocol;
    } else {
        const auto* header = packet.header<packet::PeerHeader>();
        std::memcpy(key.data(), &header->from_peer, 4);
        std::memcpy(&key[4], &header->to_peer, 4);
    }
    return static_cast<std::uint32_t>(siphash13(hash_key_, key) % kFlows);
}

void FairQueue::append(List& list, std::uint32_t flow) {
    flows_[flow].next = kNone;
    (list.first == kNone ? list.first : flows_[list.last].next) = flow;
    list.last = flow;
}

void FairQueue::remove_first(List& list) {
    list.first = flows_[list.first].next;
}

void FairQueue::push(PacketBuf&& packet, TimePoint now) {
    if (flows_.empty()) flows_.resize(kFlows);
    if (free_ == kNone) {
        free_ = static_cast<std::uint32_t>(entries_.size());
        entries_.emplace_back();
    }
    const std::uint32_t at = flow_of(packet);
    Flow& flow = flows_[at];
    const std::uint32_t slot = free_;
    Entry& entry = entries_[slot];
    free_ = std::exchange(entry.next, kNone);
    flow.bytes += packet.size();
    bytes_ += packet.size();
    ++size_;
    entry.packet = std::move(packet);
    entry.since = now;
    (flow.first == kNone ? flow.first : entries_[flow.last].next) = slot;
    flow.last = slot;
    if (!std::exchange(flow.listed, true)) {
        flow.deficit = kQuantum;
        append(new_flows_, at);
    }
}

PacketBuf FairQueue::take(Flow& flow, TimePoint* since) {
    const std::uint32_t slot = flow.first;
    Entry& entry = entries_[slot];
    flow.first = std::exchange(entry.next, free_);
    free_ = slot;
    flow.bytes -= entry.packet.size();
    bytes_ -= entry.packet.size();
    --size_;
    if (since != nullptr) *since = entry.since;
    return std::move(entry.packet);
}

FairQueue::Taken FairQueue::take_and_judge(Flow& flow, TimePoint now) {
    TimePoint since;
    Taken out{take(flow, &since)};
    // A single packet more would be no queue that stands.
    if (now - since < kTarget || flow.bytes <= packet::kBlockBytes) {
        flow.first_above = TimePoint{};
    } else if (flow.first_above == TimePoint{}) {
        flow.first_above = now + kInterval;
    } else {
        out.may_drop = now >= flow.first_above;
    }
    return out;
}

PacketBuf FairQueue::take_in_time(Flow& flow, TimePoint now, std::uint64_t& dropped) {
    Taken taken = take_and_judge(flow, now);
    if (flow.dropping) {
        flow.dropping = taken.may_drop;
        while (flow.dropping && now >= flow.drop_next) {
            ++dropped;
            ++flow.count;
            taken = take_and_judge(flow, now);
            flow.dropping = taken.may_drop;
            if (flow.dropping) flow.drop_next = control_law(flow.drop_next, flow.count);
        }
    } else if (taken.may_drop) {
        ++dropped;
        taken = take_and_judge(flow, now);
        flow.dropping = true;
        // Soon after the last time: go on about where that ended.
        const std::uint32_t more = flow.count - flow.last_count;
        flow.count = more > 1 && now - flow.drop_next < 16 * kInterval ? more : 1;
        flow.drop_next = control_law(now, flow.count);
        flow.last_count = flow.count;
    }
    return std::move(taken.packet);
}

PacketBuf FairQueue::pop(TimePoint now, std::uint64_t& dropped) {
    for (;;) {
        const bool is_new = new_flows_.first != kNone;
        List& list = is_new ? new_flows_ : old_flows_;
        const std::uint32_t at = list.first;
        Flow& flow = flows_[at];
        if (flow.deficit <= 0) {
            flow.deficit += kQuantum;
            remove_first(list);
            append(old_flows_, at);
        } else if (flow.first == kNone) {
            // A new flow becomes an old one first, or it could come back as new each time.
            remove_first(list);
            flow.listed = is_new;
            if (is_new) append(old_flows_, at);
        } else {
            PacketBuf out = take_in_time(flow, now, dropped);
            flow.deficit -= static_cast<std::ptrdiff_t>(out.size());
            return out;
        }
    }
}

void FairQueue::drop_from_longest() {
    (void)take(*std::ranges::max_element(flows_, {}, &Flow::bytes));
}

void FairQueue::clear() {
    *this = FairQueue(hash_key_);
}

}  // namespace selvage::tunnel
