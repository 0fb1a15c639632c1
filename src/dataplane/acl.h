// Acl: which clear packets may pass. A core without I/O: it is asked about a packet and a moment,
// and answers with a verdict and who decided.
//
//   judge:  cached verdict of the flow? -> else first rule that matches -> else default action
//           rate limit of that rule -> statistics
//           inbound or forward and denied: an answer to what we sent in the last minute passes
//
// What is decided once for a flow (addresses, ports, protocol, groups of both ends) is remembered
// until it is unused for kVerdictLife; apply() forgets everything, so new rules hold for live flows
// from their next packet on. Memory is fixed while packets flow: 1,024 verdicts, 16,384 flows whose
// answers pass, 1,024 flows of stateful rules; the one unused for the longest time gives way.
//
// Fragments after the first carry no ports. The first one decides for the datagram, so of rules
// about ports only those that allow match a later fragment; and answers admit the fragments that
// follow a first one. A packet of TCP or UDP that is too short to show its ports, which only serves
// to get round such rules, is denied where rules about ports exist.
#pragma once

#include <optional>

#include "dataplane/acl_groups.h"
#include "dataplane/acl_options.h"
#include "dataplane/flow_cache.h"
#include "packet/packet_buf.h"

namespace selvage::dataplane {

enum class AclReason : std::uint8_t {
    no_rules,        // nothing is configured for this direction
    rule,            // a rule matched
    default_action,  // no rule matched
    rate_limit,      // a rule matched whose rate is used up
    answer,          // denied by rule or default, but it answers what we sent
    hidden_ports,    // too short to show its ports
};
std::string_view name_of(AclReason reason);

struct AclVerdict {
    bool allowed = true;
    AclReason reason = AclReason::no_rules;
    const AclChain* chain = nullptr;  // that decided; valid until the next apply()
    const AclRule* rule = nullptr;    // likewise; null for a default action
};

// A direction's counts. `allowed` includes answers and Noop.
struct AclCounters {
    std::uint64_t allowed = 0;
    std::uint64_t noop = 0;  // of these: by a rule or default that says neither
    std::uint64_t answers = 0;
    std::uint64_t dropped = 0;
    std::uint64_t rate_limited = 0;  // of these
    std::uint64_t cache_hits = 0;
    std::uint64_t rule_matches = 0;  // first packets of flows that a rule decided
    std::uint64_t default_allows = 0;
    std::uint64_t default_drops = 0;
};

struct AclRuleStats {
    const AclChain* chain = nullptr;
    const AclRule* rule = nullptr;
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    std::uint64_t rate_limited = 0;
};

// A flow of a stateful rule.
struct AclFlowStats {
    Endpoint source;
    Endpoint destination;
    AclProtocol protocol = AclProtocol::unspecified;
    bool established = false;  // more than one packet
    TimePoint created{};
    TimePoint last_seen{};
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
};

class Acl {
public:
    explicit Acl(SipKey hash_key)
        : verdicts_(hash_key), answers_(hash_key), connections_(hash_key) {}
    Acl(const Acl&) = delete;
    Acl& operator=(const Acl&) = delete;

    // Replaces the rules. Counts of rules that stay as they are go on, and so do their rate limits.
    void apply(AclRules rules);
    // Whether there is anything to judge by.
    bool enabled() const { return enabled_; }
    const AclRules& rules() const { return rules_; }
    AclGroups& groups() { return groups_; }
    const AclGroups& groups() const { return groups_; }

    // Precondition: `type` is not unspecified.
    AclVerdict judge(
        AclChainType type, const packet::IpMeta& ip, GroupSet source_groups,
        GroupSet destination_groups, TimePoint now
    );

    const AclCounters& counters(AclChainType type) const { return direction(type).counters; }
    // Rules that are on, inbound, outbound, forward, in the order in which they are tried.
    std::vector<AclRuleStats> rule_stats() const;
    std::vector<AclFlowStats> flow_stats(TimePoint now) const;
    std::size_t cached_verdicts(TimePoint now) const;
    static constexpr std::size_t cached_verdicts_max() { return VerdictCache::capacity(); }

private:
    // A rule on its place, with what is known of it while it runs.
    struct Row {
        const AclChain* chain = nullptr;
        const AclRule* rule = nullptr;
        GroupSet source_groups = 0;
        GroupSet destination_groups = 0;
        std::optional<std::size_t> bucket;
        std::uint64_t packets = 0;
        std::uint64_t bytes = 0;
        std::uint64_t rate_limited = 0;
    };
    // Rules of one direction and priority share a bucket; the first of them sets its rate.
    struct Bucket {
        AclChainType type = AclChainType::unspecified;
        std::uint32_t priority = 0;
        double rate = 1;
        double burst = 1;
        double level = 1;
        std::optional<TimePoint> filled;
        bool take(TimePoint now);
    };
    struct Direction {
        std::vector<Row> rows;
        const AclChain* first_chain = nullptr;
        bool about_ports = false;  // some rule is
        bool may_drop = false;
        AclCounters counters;
        AclAction default_action() const {
            return first_chain == nullptr ? AclAction::allow : first_chain->default_action;
        }
    };
    struct Connection {
        TimePoint created{};
        std::uint64_t packets = 0;
        std::uint64_t bytes = 0;
        bool is_v6 = false;
    };
    struct Nothing {};
    static constexpr std::int32_t kDefaultRow = -1;
    using VerdictCache = FlowCache<std::int32_t, 256, 4>;

    Direction& direction(AclChainType type) { return directions_[static_cast<std::size_t>(type)]; }
    const Direction& direction(AclChainType type) const {
        return directions_[static_cast<std::size_t>(type)];
    }
    void add_chain(const AclChain& chain);
    void carry_over(const Acl::Direction& before, Direction& after);
    std::size_t bucket_for(AclChainType type, const AclRule& rule);
    // The row that decides, or kDefaultRow.
    std::int32_t find_row(
        Direction& direction, const packet::IpMeta& ip, const FlowCacheKey& key, TimePoint now
    );
    bool matches(const Row& row, const packet::IpMeta& ip, const FlowCacheKey& key) const;
    AclVerdict decide(
        Direction& direction, std::int32_t row, const packet::IpMeta& ip, TimePoint now
    );
    void note_connection(const packet::IpMeta& ip, TimePoint now);
    void note_outbound(const packet::IpMeta& ip, TimePoint now);
    bool is_answer(const packet::IpMeta& ip, TimePoint now);

    bool enabled_ = false;
    bool track_answers_ = false;
    AclRules rules_;
    AclGroups groups_;
    std::array<Direction, kAclChainTypes> directions_;
    std::vector<Bucket> buckets_;  // at most one per rule
    VerdictCache verdicts_;
    FlowCache<Nothing, 2048, 8> answers_;
    FlowCache<Connection, 256, 4> connections_;
};

}  // namespace selvage::dataplane
