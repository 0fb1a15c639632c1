// Compiling rules into rows, and judging packets by them.
#include "dataplane/acl.h"

#include <algorithm>

namespace selvage::dataplane {
namespace {

using packet::IpMeta;
using packet::IpProtocol;

// As the reference: a verdict that nobody asked for is forgotten after this time.
constexpr Duration kVerdictLife = std::chrono::seconds(15);
// The reference looks every 30 s for records older than 30 s, so an answer may come up to a minute
// later. We always grant the minute: a connection that it would keep must not break here.
constexpr Duration kAnswerLife = std::chrono::seconds(60);
constexpr Duration kConnectionLife = std::chrono::seconds(60);

// FlowCacheKey::kind.
constexpr std::uint8_t kKindV6 = 0x80;
constexpr std::uint8_t kKindLaterFragment = 0x40;

FlowCacheKey key_of(const IpMeta& ip, std::uint8_t kind) {
    FlowCacheKey key;
    key.source = ip.source.raw();
    key.destination = ip.destination.raw();
    key.source_port = ip.source_port;
    key.destination_port = ip.destination_port;
    key.protocol = ip.protocol;
    key.kind = kind;
    if (ip.source.is_v6()) key.kind |= kKindV6;
    if (ip.is_later_fragment) key.kind |= kKindLaterFragment;
    return key;
}

IpAddress address_of(const std::array<std::uint8_t, 16>& raw, bool is_v6) {
    if (is_v6) return IpAddress::v6(raw);
    return IpAddress::v4(raw[0], raw[1], raw[2], raw[3]);
}

bool any_contains(const std::vector<Prefix>& networks, const IpAddress& address) {
    return networks.empty() || std::ranges::any_of(networks, [&address](const Prefix& network) {
               return network.contains(address);
           });
}

bool any_contains(const std::vector<PortRange>& ranges, std::uint16_t port) {
    return ranges.empty() || std::ranges::any_of(ranges, [port](const PortRange& range) {
               return range.contains(port);
           });
}

bool about_ports(const AclRule& rule) {
    return !rule.ports.empty() || !rule.source_ports.empty();
}

bool hides_ports(const IpMeta& ip) {
    const auto protocol = static_cast<IpProtocol>(ip.protocol);
    return (protocol == IpProtocol::tcp || protocol == IpProtocol::udp) && !ip.has_ports &&
           !ip.is_later_fragment;
}

}  // namespace

std::string_view name_of(AclReason reason) {
    switch (reason) {
        case AclReason::no_rules:
            return "no rules";
        case AclReason::rule:
            return "rule";
        case AclReason::default_action:
            return "default action";
        case AclReason::rate_limit:
            return "rate limit";
        case AclReason::answer:
            return "answer";
        case AclReason::hidden_ports:
            return "hidden ports";
    }
    return "unknown";
}

bool Acl::Bucket::take(TimePoint now) {
    if (filled) {
        const double seconds = std::chrono::duration<double>(now - *filled).count();
        level = std::min(burst, level + std::max(seconds, 0.0) * rate);
    }
    filled = now;
    if (level < 1) return false;
    level -= 1;
    return true;
}

// ---- New rules -------------------------------------------------------------------------------

void Acl::apply(AclRules rules) {
    // The old rules live on until their counts have been carried over.
    const AclRules old_rules = std::exchange(rules_, std::move(rules));
    auto before = std::exchange(directions_, {});
    const auto old_buckets = std::exchange(buckets_, {});
    groups_.declare(std::move(rules_.declares), rules_.members);
    rules_.declares.clear();

    if (!rules_.tcp_whitelist.empty() || !rules_.udp_whitelist.empty()) {
        rules_.chains.push_back(whitelist_chain(rules_.tcp_whitelist, rules_.udp_whitelist));
    }
    for (const AclChain& chain : rules_.chains)
        add_chain(chain);
    for (std::size_t i = 0; i < directions_.size(); ++i)
        carry_over(before[i], directions_[i]);
    for (Bucket& bucket : buckets_) {
        const auto same = std::ranges::find_if(old_buckets, [&bucket](const Bucket& old) {
            return old.type == bucket.type && old.priority == bucket.priority &&
                   old.rate == bucket.rate && old.burst == bucket.burst;
        });
        if (same != old_buckets.end()) bucket = *same;
    }

    enabled_ = !rules_.chains.empty();
    track_answers_ =
        direction(AclChainType::inbound).may_drop || direction(AclChainType::forward).may_drop;
    if (enabled_) {
        verdicts_.reserve();
        connections_.reserve();
    }
    if (track_answers_) answers_.reserve();
    verdicts_.clear();
    answers_.clear();
}

void Acl::add_chain(const AclChain& chain) {
    if (chain.type == AclChainType::unspecified) return;
    Direction& to = direction(chain.type);
    if (to.first_chain == nullptr) {
        to.first_chain = &chain;
        to.may_drop = chain.default_action == AclAction::drop;
    }
    if (!chain.enabled) return;
    const auto first = to.rows.size();
    for (const AclRule& rule : chain.rules) {
        if (!rule.enabled) continue;
        Row row{.chain = &chain, .rule = &rule};
        row.source_groups = groups_.set_of(rule.source_groups);
        row.destination_groups = groups_.set_of(rule.destination_groups);
        to.rows.push_back(row);
        to.about_ports = to.about_ports || about_ports(rule);
        to.may_drop = to.may_drop || rule.action == AclAction::drop || rule.rate_limit != 0;
    }
    // Equal priorities stay in the order of the file: the rules lie in one vector.
    std::sort(
        to.rows.begin() + static_cast<std::ptrdiff_t>(first), to.rows.end(),
        [](const Row& a, const Row& b) {
            if (a.rule->priority != b.rule->priority) return a.rule->priority > b.rule->priority;
            return a.rule < b.rule;
        }
    );
    for (std::size_t i = first; i < to.rows.size(); ++i) {
        const AclRule& rule = *to.rows[i].rule;
        if (rule.rate_limit != 0) to.rows[i].bucket = bucket_for(chain.type, rule);
    }
}

std::size_t Acl::bucket_for(AclChainType type, const AclRule& rule) {
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        if (buckets_[i].type == type && buckets_[i].priority == rule.priority) return i;
    }
    const double burst = std::max<std::uint32_t>(rule.burst_limit, 1);
    buckets_.push_back(
        {.type = type,
         .priority = rule.priority,
         .rate = static_cast<double>(rule.rate_limit),
         .burst = burst,
         .level = burst,
         .filled = std::nullopt}
    );
    return buckets_.size() - 1;
}

void Acl::carry_over(const Direction& before, Direction& after) {
    after.counters = before.counters;
    for (Row& row : after.rows) {
        const auto same = std::ranges::find_if(before.rows, [&row](const Row& old) {
            return old.chain->name == row.chain->name && *old.rule == *row.rule;
        });
        if (same == before.rows.end()) continue;
        row.packets = same->packets;
        row.bytes = same->bytes;
        row.rate_limited = same->rate_limited;
    }
}

// ---- Packets ---------------------------------------------------------------------------------

AclVerdict Acl::judge(
    AclChainType type, const IpMeta& ip, GroupSet source_groups, GroupSet destination_groups,
    TimePoint now
) {
    Direction& in = direction(type);
    AclVerdict verdict;
    if (in.about_ports && hides_ports(ip)) {
        verdict = {.allowed = false, .reason = AclReason::hidden_ports, .chain = in.first_chain};
    } else if (in.first_chain != nullptr) {
        FlowCacheKey key = key_of(ip, static_cast<std::uint8_t>(type));
        key.source_groups = source_groups;
        key.destination_groups = destination_groups;
        verdict = decide(in, find_row(in, ip, key, now), ip, now);
    }
    if (type == AclChainType::outbound) {
        if (verdict.allowed && track_answers_) note_outbound(ip, now);
    } else if (!verdict.allowed && verdict.reason != AclReason::hidden_ports &&
               is_answer(ip, now)) {
        verdict.allowed = true;
        verdict.reason = AclReason::answer;
        ++in.counters.answers;
    }
    ++(verdict.allowed ? in.counters.allowed : in.counters.dropped);
    if (!verdict.allowed && verdict.reason == AclReason::rate_limit) ++in.counters.rate_limited;
    return verdict;
}

std::int32_t Acl::find_row(
    Direction& direction, const IpMeta& ip, const FlowCacheKey& key, TimePoint now
) {
    if (const std::int32_t* known = verdicts_.find(key, now, kVerdictLife)) {
        ++direction.counters.cache_hits;
        return *known;
    }
    std::int32_t found = kDefaultRow;
    for (std::size_t i = 0; i < direction.rows.size(); ++i) {
        if (!matches(direction.rows[i], ip, key)) continue;
        found = static_cast<std::int32_t>(i);
        break;
    }
    if (found != kDefaultRow) {
        ++direction.counters.rule_matches;
    } else if (direction.default_action() == AclAction::drop) {
        ++direction.counters.default_drops;
    } else {
        ++direction.counters.default_allows;
    }
    return verdicts_.put(key, found, now);
}

bool Acl::matches(const Row& row, const IpMeta& ip, const FlowCacheKey& key) const {
    const AclRule& rule = *row.rule;
    if (rule.protocol != AclProtocol::any && rule.protocol != acl_protocol(ip.protocol)) {
        return false;
    }
    if (!any_contains(rule.source_ips, ip.source)) return false;
    if (!any_contains(rule.destination_ips, ip.destination)) return false;
    if (ip.has_ports) {
        if (!any_contains(rule.source_ports, ip.source_port)) return false;
        if (!any_contains(rule.ports, ip.destination_port)) return false;
    } else if (ip.is_later_fragment && about_ports(rule) && rule.action == AclAction::drop) {
        return false;
    }
    if (!rule.source_groups.empty() && (row.source_groups & key.source_groups) == 0) return false;
    return rule.destination_groups.empty() ||
           (row.destination_groups & key.destination_groups) != 0;
}

AclVerdict Acl::decide(Direction& direction, std::int32_t index, const IpMeta& ip, TimePoint now) {
    if (index == kDefaultRow) {
        const AclAction action = direction.default_action();
        if (action == AclAction::noop) ++direction.counters.noop;
        return {
            .allowed = action != AclAction::drop,
            .reason = AclReason::default_action,
            .chain = direction.first_chain
        };
    }
    Row& row = direction.rows[static_cast<std::size_t>(index)];
    AclVerdict verdict{
        .allowed = row.rule->action != AclAction::drop,
        .reason = AclReason::rule,
        .chain = row.chain,
        .rule = row.rule
    };
    if (row.bucket && !buckets_[*row.bucket].take(now)) {
        ++row.rate_limited;
        verdict.allowed = false;
        verdict.reason = AclReason::rate_limit;
        return verdict;
    }
    ++row.packets;
    row.bytes += ip.total_length;
    if (row.rule->action == AclAction::noop) ++direction.counters.noop;
    if (row.rule->stateful && row.rule->action == AclAction::allow) note_connection(ip, now);
    return verdict;
}

void Acl::note_connection(const IpMeta& ip, TimePoint now) {
    const FlowCacheKey key = key_of(ip, 0);
    Connection* connection = connections_.find(key, now, kConnectionLife);
    if (connection == nullptr) {
        connection = &connections_.put(key, {.created = now, .is_v6 = ip.source.is_v6()}, now);
    }
    ++connection->packets;
    connection->bytes += ip.total_length;
}

void Acl::note_outbound(const IpMeta& ip, TimePoint now) {
    IpMeta answer = ip;
    std::swap(answer.source, answer.destination);
    std::swap(answer.source_port, answer.destination_port);
    const FlowCacheKey key = key_of(answer, 0);
    if (answers_.find(key, now, kAnswerLife) == nullptr) answers_.put(key, {}, now);
}

bool Acl::is_answer(const IpMeta& ip, TimePoint now) {
    if (!track_answers_ || answers_.find(key_of(ip, 0), now, kAnswerLife) == nullptr) return false;
    if (ip.is_fragment && !ip.is_later_fragment) {
        IpMeta later = ip;
        later.is_later_fragment = true;
        later.source_port = later.destination_port = 0;
        const FlowCacheKey key = key_of(later, 0);
        if (answers_.find(key, now, kAnswerLife) == nullptr) answers_.put(key, {}, now);
    }
    return true;
}

// ---- Reports ---------------------------------------------------------------------------------

std::vector<AclRuleStats> Acl::rule_stats() const {
    std::vector<AclRuleStats> out;
    for (const Direction& direction : directions_) {
        for (const Row& row : direction.rows) {
            out.push_back(
                {.chain = row.chain,
                 .rule = row.rule,
                 .packets = row.packets,
                 .bytes = row.bytes,
                 .rate_limited = row.rate_limited}
            );
        }
    }
    return out;
}

std::vector<AclFlowStats> Acl::flow_stats(TimePoint now) const {
    std::vector<AclFlowStats> out;
    connections_.for_each([&](const FlowCacheKey& key, const Connection& one, TimePoint last) {
        if (now - last > kConnectionLife) return;
        out.push_back(
            {.source = {address_of(key.source, one.is_v6), key.source_port},
             .destination = {address_of(key.destination, one.is_v6), key.destination_port},
             .protocol = acl_protocol(key.protocol),
             .established = one.packets > 1,
             .created = one.created,
             .last_seen = last,
             .packets = one.packets,
             .bytes = one.bytes}
        );
    });
    return out;
}

std::size_t Acl::cached_verdicts(TimePoint now) const {
    std::size_t out = 0;
    verdicts_.for_each([&](const FlowCacheKey&, std::int32_t, TimePoint last) {
        if (now - last <= kVerdictLife) ++out;
    });
    return out;
}

}  // namespace selvage::dataplane
