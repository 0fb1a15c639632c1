// selvage acl: the rules in force and what they have counted; selvage acl check: what a file's
// rules say to a packet, without a node.
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/text_table.h"
#include "command.h"
#include "config/load.h"
#include "dataplane/acl.h"
#include "environment.h"
#include "selvage_watch.pb.h"

namespace selvage::app {
namespace {

namespace api = ::selvage::api;
using dataplane::AclChainType;

constexpr std::uint32_t kListAcl = 1;

nlohmann::json list_json(const auto& texts) {
    nlohmann::json out = nlohmann::json::array();
    for (const auto& text : texts)
        out.push_back(text);
    return out;
}

nlohmann::json rule_json(const api::AclRuleLine& line) {
    const ::acl::Rule& rule = line.rule();
    return {
        {"name", rule.name()},
        {"priority", rule.priority()},
        {"protocol", ::acl::Protocol_Name(rule.protocol())},
        {"ports", list_json(rule.ports())},
        {"source_ports", list_json(rule.source_ports())},
        {"source_ips", list_json(rule.source_ips())},
        {"destination_ips", list_json(rule.destination_ips())},
        {"source_groups", list_json(rule.source_groups())},
        {"destination_groups", list_json(rule.destination_groups())},
        {"action", ::acl::Action_Name(rule.action())},
        {"rate_limit", rule.rate_limit()},
        {"burst_limit", rule.burst_limit()},
        {"stateful", rule.stateful()},
        {"packets", line.packets()},
        {"bytes", line.bytes()},
        {"rate_limited", line.rate_limited()},
    };
}

nlohmann::json json_of(const api::ListAclResponse& acl) {
    nlohmann::json chains = nlohmann::json::array();
    for (const api::AclChainLine& chain : acl.chains()) {
        nlohmann::json rules = nlohmann::json::array();
        for (const api::AclRuleLine& rule : chain.rules())
            rules.push_back(rule_json(rule));
        chains.push_back(
            {{"name", chain.name()},
             {"type", chain.type()},
             {"enabled", chain.enabled()},
             {"default_action", chain.default_action()},
             {"rules", rules},
             {"rules_off", chain.rules_off()}}
        );
    }
    nlohmann::json members = nlohmann::json::array();
    for (const api::AclMember& member : acl.members()) {
        members.push_back(
            {{"peer_id", member.peer_id()},
             {"hostname", member.hostname()},
             {"groups", list_json(member.groups())}}
        );
    }
    return {{"chains", chains}, {"members", members}, {"own_groups", list_json(acl.own_groups())}};
}

// What a rule asks for, in few words: "TCP to 10.0.0.0/8 port 80,443".
std::string condition_of(const ::acl::Rule& rule) {
    std::string out = ::acl::Protocol_Name(rule.protocol());
    const auto add = [&out](std::string_view word, const auto& list) {
        if (list.empty()) return;
        out += fmt::format(" {} {}", word, fmt::join(list, ","));
    };
    add("from", rule.source_ips());
    add("of", rule.source_groups());
    add("source port", rule.source_ports());
    add("to", rule.destination_ips());
    add("in", rule.destination_groups());
    add("port", rule.ports());
    if (rule.rate_limit() != 0) {
        out += fmt::format(", {}/s burst {}", rule.rate_limit(), rule.burst_limit());
    }
    return out;
}

std::string text_of(const api::ListAclResponse& acl) {
    if (acl.chains().empty()) return "no rules: everything passes\n";
    std::vector<std::vector<std::string>> rows = {
        {"chain", "rule", "priority", "packets", "bytes", "limited", "action", "what"}
    };
    for (const api::AclChainLine& chain : acl.chains()) {
        const std::string name = fmt::format("{} ({})", chain.name(), chain.type());
        if (!chain.enabled()) rows.push_back({name, "-", "", "", "", "", "", "off"});
        for (const api::AclRuleLine& line : chain.rules()) {
            rows.push_back(
                {name, or_dash(line.rule().name()), std::to_string(line.rule().priority()),
                 std::to_string(line.packets()), bytes_text(line.bytes()),
                 std::to_string(line.rate_limited()), ::acl::Action_Name(line.rule().action()),
                 condition_of(line.rule())}
            );
        }
        if (!chain.default_action().empty()) {
            rows.push_back({name, "default", "", "", "", "", chain.default_action(), "the rest"});
        }
    }
    std::string out = build_table(rows);
    for (const api::AclMember& member : acl.members()) {
        out += fmt::format("{}: {}\n", member.hostname(), fmt::join(member.groups(), ", "));
    }
    return out;
}

// A packet in words, and what rules say to it.
class Check {
public:
    void declare(CLI::App& arguments) {
        arguments.add_option("file", file_, "configuration file")->required();
        arguments.add_option("--from", from_, "source: ADDRESS or ADDRESS:PORT")->required();
        arguments.add_option("--to", to_, "destination: ADDRESS or ADDRESS:PORT")->required();
        arguments.add_option("--protocol", protocol_, "tcp, udp, icmp, icmpv6 or a number");
        arguments.add_option(
            "--chain", chain_,
            "inbound, outbound or forward; by default by the addresses of the file's node"
        );
        arguments.add_option("--from-group", from_groups_, "groups of the sender")->expected(0, -1);
        arguments.add_option("--to-group", to_groups_, "groups of the receiver")->expected(0, -1);
    }

    Result<int> run(bool json) {
        auto options = config::load_file(file_, variable);
        if (!options) return options.error();
        auto packet = parse_packet();
        if (!packet) return packet.error();
        auto type = chain_type(*options, *packet);
        if (!type) return type.error();
        dataplane::Acl acl(SipKey{});
        acl.apply(options->acl.duplicate());
        auto from = groups(acl, from_groups_);
        if (!from) return from.error();
        auto to = groups(acl, to_groups_);
        if (!to) return to.error();
        // Any moment will do: a fresh set of rules has seen nothing.
        const auto verdict = acl.judge(*type, *packet, *from, *to, TimePoint{});
        print(json ? json_of(*type, verdict).dump(2) + "\n" : text_of(*type, verdict));
        return verdict.allowed ? 0 : 1;
    }

private:
    static Result<Endpoint> parse_side(const std::string& text, bool& has_port) {
        if (auto address = IpAddress::parse(text)) return Endpoint{*address, 0};
        auto endpoint = Endpoint::parse(text);
        if (!endpoint) return Error(Errc::bad_argument, fmt::format("{} is no address", text));
        has_port = true;
        return *endpoint;
    }

    Result<packet::IpMeta> parse_packet() const {
        bool from_port = false;
        bool to_port = false;
        auto from = parse_side(from_, from_port);
        if (!from) return from.error();
        auto to = parse_side(to_, to_port);
        if (!to) return to.error();
        packet::IpMeta ip;
        ip.source = from->address;
        ip.destination = to->address;
        ip.source_port = from->port;
        ip.destination_port = to->port;
        ip.total_length = 60;
        constexpr std::pair<std::string_view, packet::IpProtocol> kNames[] = {
            {"tcp", packet::IpProtocol::tcp},
            {"udp", packet::IpProtocol::udp},
            {"icmp", packet::IpProtocol::icmp},
            {"icmpv6", packet::IpProtocol::icmpv6},
        };
        const auto named = std::ranges::find(kNames, protocol_, [](const auto& row) {
            return std::string(row.first);
        });
        if (named != std::end(kNames)) {
            ip.protocol = static_cast<std::uint8_t>(named->second);
        } else {
            const char* last = protocol_.data() + protocol_.size();
            const auto [end, failed] = std::from_chars(protocol_.data(), last, ip.protocol);
            if (failed != std::errc{} || end != last) {
                return Error(
                    Errc::bad_argument, "--protocol is tcp, udp, icmp, icmpv6 or 0 to 255"
                );
            }
        }
        ip.has_ports = dataplane::acl_protocol(ip.protocol) == dataplane::AclProtocol::tcp ||
                       dataplane::acl_protocol(ip.protocol) == dataplane::AclProtocol::udp;
        if (ip.has_ports && !to_port) {
            return Error(Errc::bad_argument, "--to needs a port, as 10.144.1.2:80");
        }
        return ip;
    }

    Result<AclChainType> chain_type(const config::NodeOptions& options, const packet::IpMeta& ip)
        const {
        if (chain_ == "inbound") return AclChainType::inbound;
        if (chain_ == "outbound") return AclChainType::outbound;
        if (chain_ == "forward") return AclChainType::forward;
        if (!chain_.empty()) {
            return Error(Errc::bad_argument, "--chain is inbound, outbound or forward");
        }
        if (options.addresses.has(ip.source)) return AclChainType::outbound;
        return options.addresses.has(ip.destination) ? AclChainType::inbound
                                                     : AclChainType::forward;
    }

    static Result<dataplane::GroupSet> groups(
        const dataplane::Acl& acl, const std::vector<std::string>& names
    ) {
        for (const std::string& name : names) {
            if (acl.groups().set_of({name}) == 0) {
                return Error(
                    Errc::bad_argument, fmt::format("the file declares no group \"{}\"", name)
                );
            }
        }
        return acl.groups().set_of(names);
    }

    static nlohmann::json json_of(AclChainType type, const dataplane::AclVerdict& verdict) {
        nlohmann::json out = {
            {"verdict", verdict.allowed ? "allowed" : "dropped"},
            {"direction", name_of(type)},
            {"reason", name_of(verdict.reason)},
        };
        if (verdict.chain != nullptr) out["chain"] = verdict.chain->name;
        if (verdict.rule != nullptr) {
            out["rule"] = verdict.rule->name;
            out["priority"] = verdict.rule->priority;
            out["action"] = name_of(verdict.rule->action);
        }
        return out;
    }

    static std::string text_of(AclChainType type, const dataplane::AclVerdict& verdict) {
        const std::string_view word = verdict.allowed ? "allowed" : "dropped";
        if (verdict.chain == nullptr) {
            return fmt::format("{}: there is no {} chain\n", word, name_of(type));
        }
        if (verdict.rule == nullptr) {
            return fmt::format(
                "{}: {} of chain \"{}\" ({})\n", word, name_of(verdict.reason), verdict.chain->name,
                name_of(type)
            );
        }
        return fmt::format(
            "{}: rule \"{}\" (priority {}, {}) of chain \"{}\" ({})\n", word, verdict.rule->name,
            verdict.rule->priority, name_of(verdict.rule->action), verdict.chain->name,
            name_of(type)
        );
    }

    std::string file_;
    std::string from_;
    std::string to_;
    std::string protocol_ = "tcp";
    std::string chain_;
    std::vector<std::string> from_groups_;
    std::vector<std::string> to_groups_;
};

class AclCommand final : public Command {
public:
    explicit AclCommand(CLI::App& arguments) {
        arguments.add_subcommand("stats", "the rules in force and their counts")->alias("list");
        CLI::App* check = arguments.add_subcommand("check", "what a file's rules say to a packet");
        check_.declare(*check);
        check_arguments_ = check;
        arguments.require_subcommand(0, 1);
        for (CLI::App* one : arguments.get_subcommands({}))
            one->fallthrough();
    }

    bool works_offline() const override { return check_arguments_->parsed(); }

    rt::Task<Result<int>> run(CommandContext& context) override {
        if (check_arguments_->parsed()) co_return check_.run(context.json);
        auto acl = co_await context.client.call<api::ListAclResponse>(
            "SelvageWatchRpc", kListAcl, api::ListAclRequest{}
        );
        if (!acl) co_return acl.error();
        print(context.json ? json_of(*acl).dump(2) + "\n" : text_of(*acl));
        co_return 0;
    }

private:
    Check check_;
    CLI::App* check_arguments_ = nullptr;
};

}  // namespace

const CommandSpec acl_command{
    .name = "acl",
    .summary = "who may send what: rules and their counts; check asks a file",
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<AclCommand>(arguments);
    },
};

}  // namespace selvage::app
