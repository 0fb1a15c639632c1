// Rules, counts and flows into protobuf.
#include "node/acl_messages.h"

#include <algorithm>

#include "base/log.h"

namespace selvage::node {
namespace {

using dataplane::AclChainType;

void fill_endpoint(const Endpoint& from, common::SocketAddr& out) {
    if (from.address.is_v4()) {
        out.mutable_ipv4()->set_addr(from.address.v4_value());
    } else {
        const auto words = std::bit_cast<std::array<be32, 4>>(from.address.raw());
        out.mutable_ipv6()->set_part1(words[0]);
        out.mutable_ipv6()->set_part2(words[1]);
        out.mutable_ipv6()->set_part3(words[2]);
        out.mutable_ipv6()->set_part4(words[3]);
    }
    out.set_port(from.port);
}

std::uint64_t unix_seconds(TimePoint at, const Clocks& clocks) {
    const auto wall = clocks.wall - (clocks.now - at);
    return static_cast<std::uint64_t>(std::max<std::int64_t>(
        0, std::chrono::duration_cast<std::chrono::seconds>(wall.time_since_epoch()).count()
    ));
}

void fill_totals(const dataplane::Acl& acl, acl::AclStats& out) {
    auto& global = *out.mutable_global();
    const auto count = [&global](const std::string& key, std::uint64_t value) {
        if (value != 0) global[key] += value;
    };
    for (const auto type : {AclChainType::inbound, AclChainType::outbound, AclChainType::forward}) {
        const dataplane::AclCounters& counters = acl.counters(type);
        for (const std::string& prefix : {std::string(), std::string(name_of(type))}) {
            count(prefix + "PacketsTotal", counters.allowed + counters.dropped);
            count(prefix + "PacketsAllowed", counters.allowed - counters.noop);
            count(prefix + "PacketsDropped", counters.dropped);
            count(prefix + "PacketsNoop", counters.noop);
        }
        count("CacheHits", counters.cache_hits);
        count("RuleMatches", counters.rule_matches);
        count("DefaultAllows", counters.default_allows);
        count("DefaultDrops", counters.default_drops);
    }
}

template <class List, class Add>
void add_texts(const List& list, Add add) {
    for (const auto& item : list)
        add(item.to_string());
}

}  // namespace

void fill_acl_rule(const dataplane::AclRule& rule, acl::Rule& out) {
    out.set_name(printable(rule.name, 256));
    out.set_description(printable(rule.description, 256));
    out.set_priority(rule.priority);
    out.set_enabled(rule.enabled);
    out.set_protocol(static_cast<acl::Protocol>(rule.protocol));
    out.set_action(static_cast<acl::Action>(rule.action));
    add_texts(rule.ports, [&out](std::string text) { out.add_ports(std::move(text)); });
    add_texts(rule.source_ports, [&out](std::string text) {
        out.add_source_ports(std::move(text));
    });
    add_texts(rule.source_ips, [&out](std::string text) { out.add_source_ips(std::move(text)); });
    add_texts(rule.destination_ips, [&out](std::string text) {
        out.add_destination_ips(std::move(text));
    });
    for (const std::string& name : rule.source_groups)
        out.add_source_groups(printable(name, 256));
    for (const std::string& name : rule.destination_groups)
        out.add_destination_groups(printable(name, 256));
    out.set_rate_limit(rule.rate_limit);
    out.set_burst_limit(rule.burst_limit);
    out.set_stateful(rule.stateful);
}

void fill_acl_stats(const dataplane::Acl& acl, const Clocks& clocks, acl::AclStats& out) {
    for (const dataplane::AclRuleStats& stats : acl.rule_stats()) {
        acl::RuleStats& line = *out.add_rules();
        fill_acl_rule(*stats.rule, *line.mutable_rule());
        line.mutable_stat()->set_packet_count(stats.packets);
        line.mutable_stat()->set_byte_count(stats.bytes);
    }
    for (const dataplane::AclFlowStats& flow : acl.flow_stats(clocks.now)) {
        acl::ConnTrackEntry& entry = *out.add_conn_track();
        fill_endpoint(flow.source, *entry.mutable_src_addr());
        fill_endpoint(flow.destination, *entry.mutable_dst_addr());
        entry.set_protocol(static_cast<acl::Protocol>(flow.protocol));
        entry.set_state(flow.established ? acl::Established : acl::New);
        entry.set_created_at(unix_seconds(flow.created, clocks));
        entry.set_last_seen(unix_seconds(flow.last_seen, clocks));
        entry.set_packet_count(flow.packets);
        entry.set_byte_count(flow.bytes);
    }
    fill_totals(acl, out);
    (*out.mutable_global())["CacheSize"] = acl.cached_verdicts(clocks.now);
    (*out.mutable_global())["CacheMaxSize"] = dataplane::Acl::cached_verdicts_max();
}

void fill_acl_chains(const dataplane::Acl& acl, ::selvage::api::ListAclResponse& out) {
    const auto stats = acl.rule_stats();
    std::array<bool, dataplane::kAclChainTypes> seen{};
    for (const dataplane::AclChain& chain : acl.rules().chains) {
        ::selvage::api::AclChainLine& line = *out.add_chains();
        line.set_name(printable(chain.name, 256));
        line.set_type(std::string(name_of(chain.type)));
        line.set_enabled(chain.enabled);
        bool& before = seen[static_cast<std::size_t>(chain.type)];
        if (!std::exchange(before, true)) {
            line.set_default_action(std::string(name_of(chain.default_action)));
        }
        for (const dataplane::AclRuleStats& rule : stats) {
            if (rule.chain != &chain) continue;
            ::selvage::api::AclRuleLine& row = *line.add_rules();
            fill_acl_rule(*rule.rule, *row.mutable_rule());
            row.set_packets(rule.packets);
            row.set_bytes(rule.bytes);
            row.set_rate_limited(rule.rate_limited);
        }
        line.set_rules_off(static_cast<std::uint32_t>(
            chain.rules.size() - static_cast<std::size_t>(line.rules_size())
        ));
    }
}

}  // namespace selvage::node
