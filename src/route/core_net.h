// For tests: route cores wired together in memory, in virtual time, one step a second. Messages
// take no time; order is that of ids, so that equal runs are equal.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "route/route_core.h"

namespace selvage::route::test {

class CoreNet {
public:
    RouteCore& add(std::uint32_t id) {
        RouteOptions options;
        options.self = PeerId(id);
        options.network_name = "net1";
        options.own.hostname = "n" + std::to_string(id);
        options.own.ipv4 = Prefix{IpAddress::v4(10, 144, 0, static_cast<std::uint8_t>(id)), 24};
        return add(options);
    }
    RouteCore& add(const RouteOptions& options) {
        const SipKey key{.k0 = options.self.raw(), .k1 = ++starts_};
        auto& slot = cores_[options.self];
        slot = std::make_unique<RouteCore>(options, key, 1000 + starts_, moment());
        return *slot;
    }
    // The node dies: its neighbours notice.
    void remove(std::uint32_t id) {
        for (const auto& [a, b] : std::set(links_)) {
            if (a == PeerId(id) || b == PeerId(id)) unlink(a.raw(), b.raw());
        }
        cores_.erase(PeerId(id));
    }
    void link(std::uint32_t a, std::uint32_t b) {
        links_.insert({PeerId(std::min(a, b)), PeerId(std::max(a, b))});
        at(a).neighbour_up(PeerId(b), {}, moment());
        at(b).neighbour_up(PeerId(a), {}, moment());
    }
    void unlink(std::uint32_t a, std::uint32_t b) {
        links_.erase({PeerId(std::min(a, b)), PeerId(std::max(a, b))});
        at(a).neighbour_down(PeerId(b), moment());
        at(b).neighbour_down(PeerId(a), moment());
    }
    RouteCore& at(std::uint32_t id) { return *cores_.at(PeerId(id)); }

    // One second: everybody ticks, then everybody says what it has to say until all is said.
    void step() {
        now_ += std::chrono::seconds(1);
        for (auto& [id, core] : cores_)
            core->tick(moment());
        for (int round = 0; round < 100; ++round) {
            if (!exchange()) return;
        }
        quiet_ = false;
    }
    void run(int seconds) {
        for (int i = 0; i < seconds; ++i)
            step();
    }
    // Whether every node reaches every other one.
    bool converged() const {
        for (const auto& [id, core] : cores_) {
            for (const auto& [other, unused] : cores_) {
                if (!reaches(*core, other)) return false;
            }
        }
        return true;
    }
    // Whether the nodes reach exactly those that links lead to, in however many parts the network
    // has fallen.
    bool matches_links() const {
        for (const auto& [id, core] : cores_) {
            const std::set<PeerId> part = part_of(id);
            for (const auto& [other, unused] : cores_) {
                if (reaches(*core, other) != part.contains(other)) return false;
            }
        }
        return true;
    }
    bool linked(std::uint32_t a, std::uint32_t b) const {
        return links_.contains({PeerId(std::min(a, b)), PeerId(std::max(a, b))});
    }
    // The path that packets take, hop by hop; empty when it does not arrive.
    std::vector<std::uint32_t> path(std::uint32_t from, std::uint32_t to) const {
        std::vector<std::uint32_t> out{from};
        while (out.back() != to && out.size() <= cores_.size()) {
            const auto core = cores_.find(PeerId(out.back()));
            if (core == cores_.end()) return {};
            const auto hop = core->second->table()->next_hop(PeerId(to), Policy::least_hop);
            if (!hop) return {};
            out.push_back(hop->raw());
        }
        return out.back() == to ? out : std::vector<std::uint32_t>{};
    }
    Moment moment() const {
        return {
            .now = now_, .wall = WallTime(std::chrono::seconds(1'800'000'000)) + (now_ - kStart)
        };
    }
    std::uint64_t messages() const { return messages_; }
    bool quiet() const { return quiet_; }  // never talked without end
    const std::map<PeerId, std::unique_ptr<RouteCore>>& cores() const { return cores_; }

private:
    static constexpr TimePoint kStart{std::chrono::hours(1000)};

    static bool reaches(const RouteCore& core, PeerId other) {
        const RouteEntry* entry = core.table()->find(other);
        return entry != nullptr && entry->least_hop;
    }
    std::set<PeerId> part_of(PeerId id) const {
        std::set<PeerId> part{id};
        for (bool grew = true; grew;) {
            grew = false;
            for (const auto& [a, b] : links_) {
                if (part.contains(a) == part.contains(b)) continue;
                part.insert(a);
                part.insert(b);
                grew = true;
            }
        }
        return part;
    }

    bool exchange() {
        bool said = false;
        for (auto& [id, core] : cores_) {
            for (const SessionView& session : core->sessions()) {
                const auto out = core->next_sync(session.peer, now_);
                if (!out) continue;
                const auto peer = cores_.find(session.peer);
                ++messages_;
                if (peer == cores_.end()) {
                    core->on_reply(*out, Error(Errc::timed_out), now_);
                    continue;  // asking again at once would not end
                }
                said = true;
                const auto reply = peer->second->on_request(id, out->bytes, moment());
                core->on_reply(*out, reply, now_);
            }
        }
        return said;
    }

    TimePoint now_ = kStart;
    std::uint64_t starts_ = 0;
    std::uint64_t messages_ = 0;
    bool quiet_ = true;
    std::set<std::pair<PeerId, PeerId>> links_;
    std::map<PeerId, std::unique_ptr<RouteCore>> cores_;
};

}  // namespace selvage::route::test
