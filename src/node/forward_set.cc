// Which forwards stay, which go, and in what order.
#include "node/forward_set.h"

#include <algorithm>
#include <cassert>

namespace selvage::node {
namespace {

bool same_place(const edge::ForwardOptions& a, const edge::ForwardOptions& b) {
    if (a.from != b.from || a.udp != b.udp || a.listen.port != b.listen.port) return false;
    // 0.0.0.0 and 127.0.0.1 are in each other's way.
    return a.from == edge::Origin::mesh || a.listen.address == b.listen.address ||
           a.listen.address.is_unspecified() || b.listen.address.is_unspecified();
}

bool same(const edge::ForwardOptions& a, const edge::ForwardOptions& b) {
    return a.from == b.from && a.udp == b.udp && a.listen == b.listen &&
           a.to.to_string() == b.to.to_string() && a.allow.rules() == b.allow.rules() &&
           a.open_to_all == b.open_to_all && a.shadow_host == b.shadow_host &&
           a.proxy_protocol == b.proxy_protocol;
}

}  // namespace

ForwardSet::ForwardSet(edge::Forwards::Parts parts, std::vector<edge::ForwardOptions> options)
    : parts_(std::move(parts)), changed_(parts_.runtime), scope_(parts_.runtime, parts_.log) {
    for (edge::ForwardOptions& each : options)
        entries_.push_back(make_entry(std::move(each)));
}

ForwardSet::~ForwardSet() {
    assert(scope_.empty());
}

ForwardSet::Entry ForwardSet::make_entry(edge::ForwardOptions options) const {
    std::vector<edge::ForwardOptions> one;
    one.push_back(options);
    return {
        .options = std::move(options),
        .forward = std::make_unique<edge::Forwards>(parts_, std::move(one))
    };
}

Result<> ForwardSet::start() {
    scope_.spawn("bury forwards", bury_retired());
    return start_ready();
}

rt::Task<> ForwardSet::stop() {
    co_await scope_.close();
    for (std::list<Entry>* each : {&entries_, &retired_}) {
        for (Entry& entry : *each)
            co_await entry.forward->stop();
    }
    retired_.clear();
}

Result<> ForwardSet::apply(std::vector<edge::ForwardOptions> options) {
    std::list<Entry> kept;
    for (edge::ForwardOptions& each : options) {
        const auto old = std::ranges::find_if(entries_, [&each](const Entry& entry) {
            return same(entry.options, each);
        });
        if (old != entries_.end()) {
            kept.splice(kept.end(), entries_, old);
        } else {
            kept.push_back(make_entry(std::move(each)));
        }
    }
    std::erase_if(entries_, [](const Entry& entry) { return !entry.started; });
    retired_.splice(retired_.end(), entries_);
    entries_ = std::move(kept);
    changed_.notify();
    return start_ready();
}

bool ForwardSet::waits(const Entry& entry) const {
    return std::ranges::any_of(retired_, [&entry](const Entry& old) {
        return same_place(old.options, entry.options);
    });
}

Result<> ForwardSet::start_ready() {
    Result<> first;
    for (Entry& entry : entries_) {
        if (entry.started || waits(entry)) continue;
        entry.started = true;
        auto started = entry.forward->start();
        if (!started && first) first = std::move(started);
    }
    return first;
}

rt::Task<> ForwardSet::bury_retired() {
    for (;;) {
        while (retired_.empty())
            co_await changed_.wait();
        // It stays in the list meanwhile: should we be cancelled, stop() finds it there.
        co_await retired_.front().forward->stop();
        retired_.pop_front();
        // What fails here has said so in the log, and list() tells it.
        static_cast<void>(start_ready());
    }
}

std::vector<edge::ForwardInfo> ForwardSet::list() const {
    std::vector<edge::ForwardInfo> out;
    for (const Entry& entry : entries_) {
        for (edge::ForwardInfo& info : entry.forward->list())
            out.push_back(std::move(info));
    }
    return out;
}

}  // namespace selvage::node
