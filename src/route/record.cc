// Between records and their protobuf form.
#include "route/record.h"

#include <array>

#include "base/log.h"
#include "peer_rpc.pb.h"

namespace selvage::route {
namespace {

// Names of the wire, longer than any that a person would choose; the rest is cut, not refused.
constexpr std::size_t kHostnameBytes = 255;
constexpr std::size_t kVersionBytes = 64;
constexpr std::size_t kGroupProofBytes = 32;         // an HMAC-SHA256
constexpr std::uint32_t kDefaultNetworkLength = 24;  // what 0 means in field 13

std::array<std::uint8_t, 16> words_to_bytes(
    std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d
) {
    const std::array<be32, 4> words{a, b, c, d};
    return std::bit_cast<std::array<std::uint8_t, 16>>(words);
}

template <class Message>
std::array<std::uint8_t, 16> bytes_of(const Message& m) {
    return words_to_bytes(m.part1(), m.part2(), m.part3(), m.part4());
}

FeatureFlags read_flags(const common::PeerFeatureFlag& in) {
    FeatureFlags out;
    out.set(Feature::public_server, in.is_public_server());
    out.set(Feature::avoid_relay_data, in.avoid_relay_data());
    out.set(Feature::kcp_input, in.kcp_input());
    out.set(Feature::no_relay_kcp, in.no_relay_kcp());
    out.set(Feature::conn_list_sync, in.support_conn_list_sync());
    out.set(Feature::quic_input, in.quic_input());
    out.set(Feature::no_relay_quic, in.no_relay_quic());
    out.set(Feature::credential_peer, in.is_credential_peer());
    out.set(Feature::need_p2p, in.need_p2p());
    out.set(Feature::disable_p2p, in.disable_p2p());
    out.set(Feature::ipv6_provider, in.ipv6_public_addr_provider());
    return out;
}

std::optional<Refusal> check(const peer_rpc::RoutePeerInfo& in) {
    if (in.peer_id() == 0) return Refusal::record_without_id;
    if (in.network_length() > 32) return Refusal::ipv4_prefix_length;
    if (in.ipv6_addr().network_length() > 128) return Refusal::ipv6_prefix_length;
    if (in.ipv6_public_addr_prefix().network_length() > 128) return Refusal::provider_prefix_length;
    if (in.ipv6_public_addr_lease().network_length() > 128) return Refusal::lease_prefix_length;
    return std::nullopt;
}

void read_addresses(const peer_rpc::RoutePeerInfo& in, PeerRecord& out) {
    if (in.has_ipv4_addr() && in.ipv4_addr().addr() != 0) {
        const std::uint32_t length =
            in.network_length() == 0 ? kDefaultNetworkLength : in.network_length();
        out.ipv4 = Prefix{
            .address = IpAddress::v4(in.ipv4_addr().addr()),
            .length = static_cast<std::uint8_t>(length)
        };
    }
    if (in.has_ipv6_addr() && in.ipv6_addr().has_address()) {
        out.ipv6 = Prefix{
            .address = IpAddress::v6(bytes_of(in.ipv6_addr().address())),
            .length = static_cast<std::uint8_t>(in.ipv6_addr().network_length())
        };
    }
    if (in.has_ipv6_public_addr_lease() && in.ipv6_public_addr_lease().has_address()) {
        out.ipv6_lease = IpAddress::v6(bytes_of(in.ipv6_public_addr_lease().address()));
    }
}

}  // namespace

std::expected<PeerRecord, Refusal> parse_record(ByteView raw, const RouteOptions& options) {
    if (raw.size() > options.record_bytes_limit) return std::unexpected(Refusal::record_too_large);
    peer_rpc::RoutePeerInfo in;
    if (!in.ParseFromArray(raw.data(), static_cast<int>(raw.size()))) {
        return std::unexpected(Refusal::undecodable);
    }
    if (const auto refusal = check(in)) return std::unexpected(*refusal);
    PeerRecord out;
    out.peer = PeerId(in.peer_id());
    out.route_id = in.peer_route_id();
    out.version = in.version();
    if (in.has_inst_id()) out.instance = Uuid{bytes_of(in.inst_id())};
    read_addresses(in, out);
    for (const std::string& text : in.proxy_cidrs()) {
        if (out.proxy_cidrs.size() >= options.proxy_cidrs_per_peer) break;
        // Text that is no network, or has host bits, is skipped as stock nodes do.
        const auto prefix = Prefix::parse(text);
        if (prefix && !prefix->has_host_bits()) out.proxy_cidrs.push_back(*prefix);
    }
    for (const peer_rpc::PeerGroupInfo& group : in.groups()) {
        if (out.groups.size() >= options.groups_per_peer) break;
        const std::string& proof = group.group_proof();
        if (proof.size() != kGroupProofBytes) continue;  // proves nothing
        out.groups.push_back(
            {.name = group.group_name(), .proof = Bytes(proof.begin(), proof.end())}
        );
    }
    out.hostname = in.hostname().substr(0, kHostnameBytes);
    out.version_text = in.easytier_version().substr(0, kVersionBytes);
    if (in.has_feature_flag()) out.features = read_flags(in.feature_flag());
    out.udp_nat_type = static_cast<std::uint8_t>(in.udp_nat_type());
    out.tcp_nat_type = static_cast<std::uint8_t>(in.tcp_nat_type());
    out.raw.assign(raw.begin(), raw.end());
    return out;
}

PeerRecord build_own_record(
    const RouteOptions& options, std::uint64_t route_id, std::uint32_t version, WallTime now
) {
    const OwnNode& own = options.own;
    peer_rpc::RoutePeerInfo out;
    out.set_peer_id(options.self.raw());
    const auto words = std::bit_cast<std::array<be32, 4>>(own.instance.bytes);
    out.mutable_inst_id()->set_part1(words[0]);
    out.mutable_inst_id()->set_part2(words[1]);
    out.mutable_inst_id()->set_part3(words[2]);
    out.mutable_inst_id()->set_part4(words[3]);
    if (own.ipv4) out.mutable_ipv4_addr()->set_addr(own.ipv4->address.v4_value());
    if (own.ipv6) {
        const auto parts = std::bit_cast<std::array<be32, 4>>(own.ipv6->address.raw());
        common::Ipv6Addr& address = *out.mutable_ipv6_addr()->mutable_address();
        address.set_part1(parts[0]);
        address.set_part2(parts[1]);
        address.set_part3(parts[2]);
        address.set_part4(parts[3]);
        out.mutable_ipv6_addr()->set_network_length(own.ipv6->length);
    }
    out.set_network_length(own.ipv4 ? own.ipv4->length : kDefaultNetworkLength);
    for (const Prefix& cidr : own.proxy_cidrs) {
        if (static_cast<std::size_t>(out.proxy_cidrs_size()) >= options.proxy_cidrs_per_peer) break;
        out.add_proxy_cidrs(Prefix{cidr.network(), cidr.length}.to_string());
    }
    out.set_hostname(printable(own.hostname, kHostnameBytes));  // always UTF-8, always short
    const auto nanos = now.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(nanos);
    out.mutable_last_update()->set_seconds(seconds.count());
    out.mutable_last_update()->set_nanos(static_cast<std::int32_t>((nanos - seconds).count()));
    out.set_version(version);
    out.set_easytier_version(own.version_text);
    out.mutable_feature_flag()->set_support_conn_list_sync(true);
    if (!own.relays_data) out.mutable_feature_flag()->set_avoid_relay_data(true);
    if (own.public_server) out.mutable_feature_flag()->set_is_public_server(true);
    out.set_peer_route_id(route_id);
    for (const GroupClaim& claim : own.groups) {
        if (static_cast<std::size_t>(out.groups_size()) >= options.groups_per_peer) break;
        peer_rpc::PeerGroupInfo& group = *out.add_groups();
        group.set_group_name(claim.name);
        group.set_group_proof(claim.proof.data(), claim.proof.size());
    }
    const std::string raw = out.SerializeAsString();
    return parse_record(as_view(raw), options).value();
}

}  // namespace selvage::route
