// Texts of ports, and the chain of the port whitelists.
#include "dataplane/acl_options.h"

#include <charconv>
#include <numeric>

#include "packet/packet_buf.h"

namespace selvage::dataplane {
namespace {

std::string_view trim(std::string_view text) {
    while (text.starts_with(' '))
        text.remove_prefix(1);
    while (text.ends_with(' '))
        text.remove_suffix(1);
    return text;
}

bool parse_port(std::string_view text, std::uint16_t& out) {
    text = trim(text);
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
    return failed == std::errc{} && end == text.data() + text.size();
}

void add_whitelist(
    AclChain& chain, std::string name, AclProtocol protocol, const std::vector<PortRange>& ports,
    std::uint32_t priority
) {
    AclRule listed;
    listed.name = name;
    listed.description = "ports that callers may use";
    listed.priority = priority;
    listed.enabled = true;
    listed.protocol = protocol;
    listed.ports = ports;
    listed.action = AclAction::allow;
    listed.stateful = protocol == AclProtocol::tcp;
    chain.rules.push_back(std::move(listed));
    AclRule others;
    others.name = name + "_deny_other";
    others.description = "every other port";
    others.enabled = true;
    others.protocol = protocol;
    others.ports = {{0, 65535}};
    others.action = AclAction::drop;
    chain.rules.push_back(std::move(others));
}

}  // namespace

AclProtocol acl_protocol(std::uint8_t ip_protocol) {
    switch (static_cast<packet::IpProtocol>(ip_protocol)) {
        case packet::IpProtocol::tcp:
            return AclProtocol::tcp;
        case packet::IpProtocol::udp:
            return AclProtocol::udp;
        case packet::IpProtocol::icmp:
            return AclProtocol::icmp;
        case packet::IpProtocol::icmpv6:
            return AclProtocol::icmpv6;
    }
    return AclProtocol::unspecified;
}

Result<PortRange> PortRange::parse(std::string_view text) {
    PortRange out;
    const auto dash = text.find('-');
    const std::string_view last = dash == std::string_view::npos ? text : text.substr(dash + 1);
    if (!parse_port(text.substr(0, dash), out.first) || !parse_port(last, out.last) ||
        out.first > out.last) {
        return Error(Errc::bad_argument, "must be a port or a range of ports, as \"8000-8999\"");
    }
    return out;
}

std::string PortRange::to_string() const {
    return first == last ? std::to_string(first) : fmt::format("{}-{}", first, last);
}

std::size_t AclRules::rule_count() const {
    return std::accumulate(
        chains.begin(), chains.end(), std::size_t{0},
        [](std::size_t sum, const AclChain& chain) { return sum + chain.rules.size(); }
    );
}

AclRules AclRules::duplicate() const {
    AclRules out;
    out.chains = chains;
    for (const AclGroup& group : declares)
        out.declares.push_back({group.name, group.secret.duplicate()});
    out.members = members;
    out.tcp_whitelist = tcp_whitelist;
    out.udp_whitelist = udp_whitelist;
    return out;
}

AclChain whitelist_chain(
    const std::vector<PortRange>& tcp_whitelist, const std::vector<PortRange>& udp_whitelist
) {
    AclChain out;
    out.name = "inbound_whitelist";
    out.description = "from tcp_whitelist and udp_whitelist";
    out.type = AclChainType::inbound;
    out.enabled = true;
    out.default_action = AclAction::allow;
    std::uint32_t priority = 1000;
    if (!tcp_whitelist.empty()) {
        add_whitelist(out, "tcp_whitelist", AclProtocol::tcp, tcp_whitelist, priority--);
    }
    if (!udp_whitelist.empty()) {
        add_whitelist(out, "udp_whitelist", AclProtocol::udp, udp_whitelist, priority);
    }
    return out;
}

}  // namespace selvage::dataplane
