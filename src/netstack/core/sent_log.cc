// The ring of segments and its two lists.
#include "netstack/core/sent_log.h"

#include <algorithm>
#include <cassert>

namespace selvage::netstack {

namespace {
constexpr std::size_t kFirstSlots = 16;
// Kept when empty; more is given back, so that a connection that was busy once costs little.
constexpr std::size_t kKeptSlots = 256;
}  // namespace

std::uint32_t SentLog::find(SeqNum seq) const {
    std::uint32_t low = 0;
    std::uint32_t high = count();
    while (low < high) {
        const std::uint32_t middle = low + (high - low) / 2;
        if ((*this)[(first_ + middle) & kNumberMask].end.after(seq)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return (first_ + low) & kNumberMask;
}

std::uint32_t SentLog::repeated_bytes() const {
    std::uint32_t bytes = 0;
    for (std::uint32_t n = in_flight_.tail; n != kNone; n = (*this)[n].previous) {
        if ((*this)[n].retransmitted) bytes += (*this)[n].size();
    }
    return bytes;
}

void SentLog::grow() {
    std::vector<SentSegment> larger(std::max(kFirstSlots, slots_.size() * 2));
    const auto mask = static_cast<std::uint32_t>(larger.size()) - 1;
    for (std::uint32_t n = first_; n != end_; n = after(n))
        larger[n & mask] = (*this)[n];
    slots_ = std::move(larger);
}

void SentLog::link_back(List& list, std::uint32_t number) {
    SentSegment& segment = (*this)[number];
    segment.previous = list.tail;
    segment.next = kNone;
    (list.tail == kNone ? list.head : (*this)[list.tail].next) = number;
    list.tail = number;
    list.bytes += segment.size();
}

void SentLog::link_front(List& list, std::uint32_t number) {
    SentSegment& segment = (*this)[number];
    segment.previous = kNone;
    segment.next = list.head;
    (list.head == kNone ? list.tail : (*this)[list.head].previous) = number;
    list.head = number;
    list.bytes += segment.size();
}

void SentLog::leave_list(std::uint32_t number) {
    SentSegment& segment = (*this)[number];
    if (segment.state == SentSegment::State::sacked) {
        sacked_bytes_ -= segment.size();
        --sacked_count_;
        return;
    }
    List& list = segment.state == SentSegment::State::lost ? lost_ : in_flight_;
    (segment.previous == kNone ? list.head : (*this)[segment.previous].next) = segment.next;
    (segment.next == kNone ? list.tail : (*this)[segment.next].previous) = segment.previous;
    list.bytes -= segment.size();
}

void SentLog::push(const SentSegment& segment) {
    assert(!full());
    if (count() == slots_.size()) grow();
    const std::uint32_t number = end_;
    (*this)[number] = segment;
    end_ = after(end_);
    (*this)[number].state = SentSegment::State::in_flight;
    link_back(in_flight_, number);
}

void SentLog::pop_first() {
    leave_list(first_);
    first_ = after(first_);
    if (empty() && slots_.size() > kKeptSlots) slots_ = std::vector<SentSegment>();
}

void SentLog::trim_first(SeqNum begin) {
    SentSegment& segment = (*this)[first_];
    const std::uint32_t gone = begin.since(segment.begin);
    switch (segment.state) {
        case SentSegment::State::in_flight:
            in_flight_.bytes -= gone;
            break;
        case SentSegment::State::lost:
            lost_.bytes -= gone;
            break;
        case SentSegment::State::sacked:
            sacked_bytes_ -= gone;
            break;
    }
    segment.begin = begin;
}

void SentLog::put_in_flight(std::uint32_t number) {
    leave_list(number);
    (*this)[number].state = SentSegment::State::in_flight;
    link_back(in_flight_, number);
}

void SentLog::mark_lost(std::uint32_t number) {
    leave_list(number);
    (*this)[number].state = SentSegment::State::lost;
    link_back(lost_, number);
}

void SentLog::mark_sacked(std::uint32_t number) {
    leave_list(number);
    SentSegment& segment = (*this)[number];
    segment.state = SentSegment::State::sacked;
    sacked_bytes_ += segment.size();
    ++sacked_count_;
}

bool SentLog::merge_first(std::uint32_t most) {
    if (count() < 2) return false;
    const SentSegment first = (*this)[first_];
    SentSegment& second = (*this)[after(first_)];
    const bool both_lost =
        first.state == SentSegment::State::lost && second.state == SentSegment::State::lost;
    if (!both_lost || first.size() + second.size() > most) return false;
    pop_first();
    second.begin = first.begin;
    second.retransmitted |= first.retransmitted;
    lost_.bytes += first.size();
    return true;
}

void SentLog::restore_lost() {
    while (lost_.tail != kNone) {
        const std::uint32_t number = lost_.tail;
        leave_list(number);
        (*this)[number].state = SentSegment::State::in_flight;
        link_front(in_flight_, number);
    }
}

void SentLog::resegment(std::uint32_t most) {
    std::vector<SentSegment> pieces;
    for (std::uint32_t n = first_; n != end_; n = after(n)) {
        SentSegment rest = (*this)[n];
        // The last one may carry a FIN, which takes a number and no room.
        while (rest.size() > most && pieces.size() < kSegmentsMax - 1) {
            SentSegment piece = rest;
            piece.end = piece.begin + most;
            rest.begin = piece.end;
            pieces.push_back(piece);
        }
        pieces.push_back(rest);
        if (pieces.size() + count() >= 2 * std::size_t{kSegmentsMax}) return;  // rather as they are
    }
    std::size_t slots = std::max(kFirstSlots, slots_.size());
    while (slots < pieces.size())
        slots *= 2;
    slots_.assign(slots, {});
    in_flight_ = lost_ = {};
    sacked_bytes_ = sacked_count_ = 0;
    first_ = 0;
    end_ = static_cast<std::uint32_t>(pieces.size());
    std::vector<std::uint32_t> by_time;
    for (std::uint32_t n = 0; n < end_; ++n) {
        slots_[n] = pieces[n];
        switch (slots_[n].state) {
            case SentSegment::State::in_flight:
                by_time.push_back(n);
                break;
            case SentSegment::State::lost:
                link_back(lost_, n);
                break;
            case SentSegment::State::sacked:
                sacked_bytes_ += slots_[n].size();
                ++sacked_count_;
                break;
        }
    }
    std::ranges::sort(by_time, {}, [this](std::uint32_t n) {
        return std::pair(slots_[n].sent_at, n);
    });
    for (const std::uint32_t n : by_time)
        link_back(in_flight_, n);
}

}  // namespace selvage::netstack
