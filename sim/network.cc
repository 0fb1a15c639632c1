// Frames from host to host.
#include "sim/network.h"

#include <cassert>

#include "base/siphash.h"

namespace selvage::sim {

std::string describe(const Frame& frame) {
    static constexpr std::string_view kNames[] = {"udp", "syn", "syn-ack", "tcp", "rst"};
    const auto kind = kNames[static_cast<std::size_t>(frame.kind)];
    std::string out = fmt::format("{} {} > {}", kind, frame.from, frame.to);
    if (frame.kind == FrameKind::segment) {
        out +=
            fmt::format(" at {} ack {} win {}", frame.position, frame.acknowledged, frame.window);
        if (frame.fin) out += " fin";
    }
    return out + fmt::format(" {} B", frame.payload.size());
}

void Network::add_address(const std::string& host, const IpAddress& address) {
    assert(!owners_.contains(address));
    owners_[address] = host;
}

std::string Network::owner(const IpAddress& address) const {
    const auto found = owners_.find(address);
    return found == owners_.end() ? std::string() : found->second;
}

const Network::Name* Network::find_name(const std::string& name) const {
    const auto found = names_.find(name);
    return found == names_.end() ? nullptr : &found->second;
}

Link& Network::link(const std::string& from, const std::string& to) {
    auto& place = links_[{from, to}];
    if (!place) place = std::make_unique<Link>(from + ">" + to, seed_, defaults_);
    return *place;
}

std::size_t Network::mtu(const std::string& from, const IpAddress& to) {
    const std::string host = owner(to);
    if (host.empty()) return defaults_.mtu;
    if (host == from || to.is_loopback()) return kLoopbackMtu;
    return link(from, host).options().mtu;
}

void Network::record(std::string_view what, const std::string& via, const Frame& frame) {
    if (!trace_.is_on()) return;
    std::string line = fmt::format("{} {} {}", via, what, describe(frame));
    if (hash_payloads_ && !frame.payload.empty()) {
        line += fmt::format(" #{:016x}", siphash24({}, frame.payload));
    }
    trace_.add(loop_.now(), line);
}

void Network::send(const std::string& from, Frame&& frame) {
    const std::string to = frame.to.address.is_loopback() ? from : owner(frame.to.address);
    if (to.empty()) {
        record("nobody there", from, frame);
        return;
    }
    if (to == from) {
        loop_.timers().at(
            loop_.now() + kLoopbackDelay,
            [this, to, frame = std::move(frame)]() mutable { arrive(to, to, std::move(frame)); }
        );
        return;
    }
    Link& way = link(from, to);
    bytes_sent_ += frame.size();
    if (trace_.is_on()) {
        if (captured_.size() >= kCapturedFrames) captured_.pop_front();
        captured_.push_back({loop_.now(), way.name(), frame});
    }
    const bool may_fragment = frame.kind == FrameKind::datagram;
    const Link::Passage passage = way.pass(frame.size(), may_fragment, loop_.now());
    if (!passage.first) {
        record(passage.reason, way.name(), frame);
        return;
    }
    record("sends", way.name(), frame);
    if (passage.second) {
        loop_.timers().at(*passage.second, [this, to, &way, frame]() mutable {
            arrive(to, way.name(), std::move(frame));
        });
    }
    loop_.timers().at(*passage.first, [this, to, &way, frame = std::move(frame)]() mutable {
        arrive(to, way.name(), std::move(frame));
    });
}

void Network::arrive(const std::string& to, const std::string& via, Frame&& frame) {
    NetworkPort& port = *ports_.at(to);
    if (!port.is_on()) {
        record("finds it off", via, frame);
        return;
    }
    record("arrives", via, frame);
    port.on_frame(std::move(frame));
}

}  // namespace selvage::sim
