// Route sync and peer center as the reference speaks them: parse, compare fields, build, compare
// bytes.
#include "crypto/cipher.h"
#include "packet/peer_header.h"
#include "route/core_net.h"
#include "route/peer_center.h"
#include "rpc/envelope.h"
#include "rpc/service.h"
#include "vector_file.h"

namespace selvage::route {
namespace {

using selvage::test::Json;
using selvage::test::load_vectors;

// The content of the call or reply that a vector holds.
Bytes content_of(const Json& decoded) {
    const Json& rpc = decoded["rpc"];
    return from_hex(rpc.value("request", rpc.value("response", ""))).value();
}

std::uint32_t number(const Json& fields, const char* name) {
    return fields.value(name, 0U);
}

void expect_record(const Json& want, ByteView raw) {
    RouteOptions options;
    const auto record = parse_record(raw, options);
    ASSERT_TRUE(record.has_value());
    EXPECT_EQ(record->peer.raw(), number(want, "peer_id"));
    EXPECT_EQ(record->version, number(want, "version"));
    EXPECT_EQ(record->route_id, want.value("peer_route_id", std::uint64_t{0}));
    EXPECT_EQ(record->hostname, want.value("hostname", ""));
    EXPECT_EQ(record->version_text, want.value("easytier_version", ""));
    EXPECT_EQ(record->udp_nat_type, number(want, "udp_nat_type"));
    EXPECT_EQ(record->ipv4.has_value(), want.contains("ipv4_addr"));
    if (record->ipv4)
        EXPECT_EQ(record->ipv4->address.v4_value(), number(want["ipv4_addr"], "addr"));
    EXPECT_EQ(record->features.has_value(), want.contains("feature_flag"));
    if (record->features) {
        const Json& flags = want["feature_flag"];
        EXPECT_EQ(record->has(Feature::public_server), flags.contains("is_public_server"));
        EXPECT_EQ(record->has(Feature::conn_list_sync), flags.contains("support_conn_list_sync"));
        EXPECT_EQ(record->has(Feature::kcp_input), flags.contains("kcp_input"));
        EXPECT_EQ(record->has(Feature::quic_input), flags.contains("quic_input"));
    }
    if (want.contains("proxy_cidrs")) {
        ASSERT_EQ(record->proxy_cidrs.size(), want["proxy_cidrs"].size());
        EXPECT_EQ(record->proxy_cidrs[0].to_string(), want["proxy_cidrs"][0].get<std::string>());
    }
    EXPECT_EQ(to_hex(record->raw), to_hex(raw)) << "unknown fields must survive";
}

void expect_connections(const Json& want, const SyncRequest& request) {
    if (want.contains("conn_bitmap")) {
        const auto& bitmap = std::get<ConnBitmap>(request.connections);
        const Json& peers = want["conn_bitmap"]["peer_ids"];
        ASSERT_EQ(bitmap.peers.size(), peers.size());
        for (std::size_t i = 0; i < peers.size(); ++i) {
            EXPECT_EQ(bitmap.peers[i].peer.raw(), number(peers[i], "peer_id"));
            EXPECT_EQ(bitmap.peers[i].version, number(peers[i], "version"));
        }
        EXPECT_EQ(to_hex(bitmap.bits), want["conn_bitmap"]["bitmap"].get<std::string>());
        // The rows that it stands for give the same bitmap.
        ConnList rows;
        for (std::size_t r = 0; r < bitmap.peers.size(); ++r)
            rows.push_back(row_of(bitmap, r));
        EXPECT_EQ(to_hex(build_bitmap(rows).bits), to_hex(bitmap.bits));
    }
    if (want.contains("conn_peer_list")) {
        const auto& list = std::get<ConnList>(request.connections);
        const Json& infos = want["conn_peer_list"]["peer_conn_infos"];
        ASSERT_EQ(list.size(), infos.size());
        for (std::size_t i = 0; i < infos.size(); ++i) {
            EXPECT_EQ(list[i].peer.peer.raw(), number(infos[i]["peer_id"], "peer_id"));
            EXPECT_EQ(list[i].peer.version, number(infos[i]["peer_id"], "version"));
            ASSERT_EQ(list[i].connected.size(), infos[i]["connected_peer_ids"].size());
            EXPECT_EQ(
                list[i].connected[0].raw(), infos[i]["connected_peer_ids"][0].get<std::uint32_t>()
            );
        }
    }
}

void expect_sync_request(const Json& decoded) {
    const Json& want = decoded["content"];
    const Bytes bytes = content_of(decoded);
    RefusalCounts refusals;
    const auto request = parse_sync_request(bytes, RouteOptions{}, refusals);
    ASSERT_TRUE(request.has_value());
    EXPECT_EQ(refusals.total(), 0U);
    EXPECT_EQ(request->sender.raw(), number(want, "my_peer_id"));
    EXPECT_EQ(request->session, want["my_session_id"].get<std::uint64_t>());
    EXPECT_EQ(request->is_initiator, want.contains("is_initiator"));
    const std::size_t records =
        want.contains("peer_infos") ? want["peer_infos"]["items"].size() : 0;
    ASSERT_EQ(request->records.size(), records);
    for (std::size_t i = 0; i < records; ++i) {
        expect_record(want["peer_infos"]["items"][i], request->records[i]);
    }
    expect_connections(want, *request);
    if (want.contains("foreign_network_infos")) {
        const Json& info = want["foreign_network_infos"]["infos"][0];
        ASSERT_EQ(request->foreign.size(), 1U);
        const ForeignEntry& entry = request->foreign[0];
        EXPECT_EQ(entry.server.raw(), number(info["key"], "peer_id"));
        EXPECT_EQ(entry.network_name, info["key"]["network_name"].get<std::string>());
        EXPECT_EQ(entry.version, number(info["value"], "version"));
        EXPECT_EQ(entry.server_there.raw(), number(info["value"], "my_peer_id_for_this_network"));
        EXPECT_EQ(
            to_hex(entry.secret_digest), info["value"]["network_secret_digest"].get<std::string>()
        );
        EXPECT_EQ(
            entry.members.size(), info["value"].value("foreign_peer_ids", Json::array()).size()
        );
    }
    EXPECT_EQ(to_hex(build_sync_request(*request)), to_hex(bytes));
}

void expect_sync_reply(const Json& decoded) {
    const Json& want = decoded["content"];
    const Bytes bytes = content_of(decoded);
    const SyncReply reply = parse_sync_reply(bytes).value();
    EXPECT_EQ(reply.is_initiator, want.contains("is_initiator"));
    EXPECT_EQ(reply.session, want.value("session_id", std::uint64_t{0}));
    EXPECT_EQ(reply.error.has_value(), want.contains("error"));
    if (reply.error) EXPECT_EQ(static_cast<int>(*reply.error), want["error"].get<int>());
    if (reply.error == SyncError::duplicate_peer_id) return;  // understood, never said
    EXPECT_EQ(to_hex(build_sync_reply(reply)), to_hex(bytes));
}

void expect_sync(const Json& decoded) {
    if (decoded["pieces"][0]["descriptor"]["service_name"] != "OspfRouteRpc") return;
    if (decoded["rpc"].contains("timeout_ms")) {
        expect_sync_request(decoded);
    } else {
        expect_sync_reply(decoded);
    }
}

TEST(RouteVectors, EveryCapturedSyncIsUnderstoodAndBuiltAgain) {
    for (const auto* file : {"control/route-sync.json", "control/rpc-pieces.json"}) {
        for (const Json& vector : load_vectors(file)) {
            SCOPED_TRACE(vector["name"].get<std::string>());
            const Json& decoded = vector["decoded"];
            const bool first_has_name =
                decoded.contains("pieces") && decoded["pieces"][0].contains("descriptor");
            if (first_has_name) expect_sync(decoded);
        }
    }
    for (const Json& vector : load_vectors("control/packets.json")) {
        const Json& decoded = vector["decoded"];
        if (decoded.contains("inner") && decoded["inner"].contains("pieces"))
            expect_sync(decoded["inner"]);
    }
}

TEST(RouteVectors, TheWorkedExamplesComeOutByteForByte) {
    // 2-control.md section 2.3: three peers in a line, and one row as a list.
    const ConnList rows{
        {.peer = {.peer = PeerId(11), .version = 1}, .connected = {PeerId(22)}},
        {.peer = {.peer = PeerId(22), .version = 3}, .connected = {PeerId(11), PeerId(33)}},
    };
    SyncRequest request{
        .sender = PeerId(11),
        .session = 0x0123456789abcdef,
        .is_initiator = true,
        .records = {},
        .connections = {},
        .foreign = {}
    };
    ConnBitmap bitmap = build_bitmap(rows);
    bitmap.bits[0] |= 0x80;  // 33 reports 22, though at version 0 nobody takes it
    request.connections = bitmap;
    EXPECT_EQ(
        to_hex(build_sync_request(request)),
        "080b10ef9bafcdf8acd1910118012a140a04080b10010a04081610030a0208211202aa00"
    );
    request.connections = ConnList{rows[1]};
    EXPECT_EQ(
        to_hex(build_sync_request(request)),
        "080b10ef9bafcdf8acd1910118013a0c0a0a0a0408161003120"
        "20b21"
    );
}

TEST(RouteVectors, OurRecordSaysWhatTheReferenceReads) {
    // 2-control.md section 2.2, its example, but for the flags that differ.
    RouteOptions options;
    options.self = PeerId(11);
    options.own.hostname = "n1";
    options.own.version_text = "2.6.4";
    options.own.ipv4 = Prefix::parse("10.144.144.1/24").value();
    options.own.instance = Uuid::parse("00112233-4455-6677-8899-aabbccddeeff").value();
    const PeerRecord record = build_own_record(options, 1, 1, WallTime{});
    EXPECT_EQ(
        to_hex(record.raw),
        "080b121608b3c44410f7ccd5a20418bbd5e6c40820ffddf7e60c220508"
        "81a0c25432026e314200480152"
        "05322e362e345a02280160016818"
    );
    EXPECT_TRUE(record.has(Feature::conn_list_sync));
    EXPECT_FALSE(record.has(Feature::kcp_input)) << "not until we take it";
}

TEST(PeerCenterVectors, EveryCapturedCallIsUnderstoodAndBuiltAgain) {
    int seen = 0;
    for (const auto* file : {"control/peer-center.json", "control/rpc-pieces.json"}) {
        for (const Json& vector : load_vectors(file)) {
            SCOPED_TRACE(vector["name"].get<std::string>());
            const Json& decoded = vector["decoded"];
            if (!decoded["pieces"][0].contains("descriptor")) continue;
            const Json& target = decoded["pieces"][0]["descriptor"];
            if (target["service_name"] != "PeerCenterRpc") continue;
            ++seen;
            const Bytes bytes = content_of(decoded);
            const bool is_request = decoded["rpc"].contains("timeout_ms");
            if (is_request && target["method_index"] == 1) {
                const auto [reporter, latencies] = parse_report(bytes).value();
                EXPECT_EQ(reporter.raw(), number(decoded["content"], "my_peer_id"));
                EXPECT_EQ(to_hex(build_report(reporter, latencies)), to_hex(bytes));
            } else if (is_request) {
                const std::uint64_t digest = parse_get_map(bytes).value();
                EXPECT_EQ(digest, decoded["content"].value("digest", std::uint64_t{0}));
                EXPECT_EQ(to_hex(build_get_map(digest)), to_hex(bytes));
            } else if (target["method_index"] == 2) {
                const FetchedMap map = parse_map(bytes).value();
                EXPECT_EQ(map.unchanged, decoded["content"].empty());
                EXPECT_EQ(map.digest, decoded["content"].value("digest", std::uint64_t{0}));
                const Json reports = decoded["content"].value("global_peer_map", Json::array());
                EXPECT_EQ(map.map.size(), reports.size());
            }
        }
    }
    EXPECT_GE(seen, 8);
}

TEST(RouteVectors, ACoreTakesARealTableAndPassesItOnByteForByte) {
    // The request of a real node between others, fed to a core whose other neighbour then gets it.
    const Json vector = load_vectors("control/route-sync.json").at(3);
    const Json& want = vector["decoded"]["content"];
    test::CoreNet net;
    RouteOptions options;
    options.self = PeerId(2786725342);
    net.add(options);
    RouteCore& core = net.at(2786725342);
    const PeerId sender(number(want, "my_peer_id"));
    core.neighbour_up(sender, {}, net.moment());
    core.neighbour_up(PeerId(9), {}, net.moment());
    RouteCore& far = net.add(9);
    far.neighbour_up(PeerId(2786725342), {}, net.moment());
    // The sender was our target when this was captured; here it opens the session itself.
    SyncRequest request;
    RefusalCounts refusals;
    request = parse_sync_request(content_of(vector["decoded"]), options, refusals).value();
    request.is_initiator = true;
    ASSERT_TRUE(core.on_request(sender, build_sync_request(request), net.moment()).has_value());
    net.run(2);
    for (const Bytes& raw : request.records) {
        const PeerRecord record = parse_record(raw, options).value();
        ASSERT_NE(far.links().record(record.peer), nullptr) << record.hostname;
        EXPECT_EQ(to_hex(far.links().record(record.peer)->raw), to_hex(raw));
    }
    EXPECT_EQ(far.table()->find(PeerId(119705710))->least_hop->hops, 4U);
}

}  // namespace
}  // namespace selvage::route
