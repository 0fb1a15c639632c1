// The control plane's vectors: RPC packets of all kinds, opened, joined, expanded, and built again.
#include "crypto/cipher.h"
#include "error.pb.h"
#include "packet/peer_header.h"
#include "peer_rpc.pb.h"
#include "rpc/envelope.h"
#include "rpc/reassembly.h"
#include "rpc/service.h"
#include "rpc/typed.h"
#include "vector_file.h"

namespace selvage {
namespace {

using packet::PeerHeader;
using test::hex_of;
using test::Json;
using test::load_vectors;
using test::peer_packets;

// The payload of a peer packet as its receiver sees it.
Bytes opened(const Json& vector, const Bytes& packet, const PeerHeader& header) {
    Bytes payload(packet.begin() + sizeof(PeerHeader), packet.end());
    if (!header.has(packet::flag::kEncrypted)) return payload;
    auto cipher = crypto::PacketCipher::make(
        crypto::cipher_from_name(vector["inputs"]["algorithm"].get<std::string>()).value(),
        crypto::SecretText(vector["secret"].get<std::string>())
    );
    const auto size = cipher->open(payload);
    EXPECT_TRUE(size.has_value()) << "the payload did not open";
    payload.resize(size.value_or(0));
    return payload;
}

void expect_header(const Json& want, const PeerHeader& header) {
    EXPECT_EQ(header.from().raw(), want["from"].get<std::uint32_t>());
    EXPECT_EQ(header.to().raw(), want["to"].get<std::uint32_t>());
    EXPECT_EQ(header.type, want["type"].get<int>());
    EXPECT_EQ(header.flags, want["flags"].get<int>());
    EXPECT_EQ(header.hops, want["forward_counter"].get<int>());
    EXPECT_EQ(header.payload_len.value(), want["len"].get<std::uint32_t>());
}

void expect_piece(const Json& want, const rpc::Piece& piece) {
    const rpc::Envelope& got = piece.envelope;
    EXPECT_EQ(got.from.raw(), want["from_peer"].get<std::uint32_t>());
    EXPECT_EQ(got.to.raw(), want["to_peer"].get<std::uint32_t>());
    EXPECT_EQ(got.transaction, want["transaction_id"].get<std::int64_t>());
    EXPECT_EQ(got.is_request, want.contains("is_request"));
    EXPECT_EQ(piece.total, want["total_pieces"].get<std::uint32_t>());
    EXPECT_EQ(piece.index, want.value("piece_idx", 0U));
    EXPECT_EQ(got.body.size(), want["body_size"].get<std::size_t>());
    EXPECT_EQ(piece.has_descriptor, want.contains("descriptor"));
    if (want.contains("descriptor")) {
        EXPECT_EQ(got.target.domain, want["descriptor"]["domain_name"].get<std::string>());
        EXPECT_EQ(got.target.service, want["descriptor"]["service_name"].get<std::string>());
        EXPECT_EQ(got.target.proto_name, want["descriptor"]["proto_name"].get<std::string>());
        EXPECT_EQ(got.target.method, want["descriptor"].value("method_index", 0U));
    }
    if (want.contains("compression_info")) {
        EXPECT_EQ(static_cast<int>(got.coding), want["compression_info"]["algo"].get<int>());
        EXPECT_EQ(
            static_cast<int>(got.accepted), want["compression_info"]["accepted_algo"].get<int>()
        );
    }
}

// Joins the packets of a vector, in the order in which they arrived, and checks what they say.
rpc::Envelope joined(const Json& vector, const Json& decoded, const std::vector<Bytes>& packets) {
    rpc::Reassembly reassembly{rpc::RpcOptions{}};
    std::optional<rpc::Envelope> whole;
    std::vector<std::string> plain(packets.size());
    for (std::size_t i = 0; i < packets.size(); ++i) {
        Reader in(packets[i]);
        PeerHeader header;
        EXPECT_TRUE(in.read(header));
        expect_header(decoded["headers"][i], header);
        const Bytes payload = opened(vector, packets[i], header);
        EXPECT_EQ(payload.size(), decoded["pieces"][i]["encoded_size"].get<std::size_t>());
        auto piece = rpc::parse_piece(payload);
        EXPECT_TRUE(piece.has_value());
        expect_piece(decoded["pieces"][i], *piece);
        plain[piece->index] = to_hex(payload);
        EXPECT_FALSE(whole.has_value()) << "whole before the last piece";
        whole = reassembly.add(header.from(), std::move(*piece), TimePoint{});
    }
    EXPECT_TRUE(whole.has_value());
    EXPECT_TRUE(reassembly.empty());
    EXPECT_EQ(reassembly.bytes(), 0U);
    // Cut again, the message gives the same packets.
    const auto again = rpc::build_pieces(*whole).value();
    EXPECT_EQ(again.size(), plain.size());
    for (std::size_t i = 0; i < again.size(); ++i)
        EXPECT_EQ(to_hex(again[i]), plain[i]);
    return std::move(*whole);
}

void expect_rpc(const Json& vector, const Json& decoded, const std::vector<Bytes>& packets) {
    rpc::Envelope whole = joined(vector, decoded, packets);
    const Bytes message =
        rpc::expand_body(std::move(whole.body), whole.coding, rpc::RpcOptions{}.message_bytes_limit)
            .value();
    EXPECT_EQ(to_hex(message), decoded["message"].get<std::string>());
    const Json& want = decoded["rpc"];
    if (whole.is_request) {
        const rpc::Request request = rpc::parse_request(message).value();
        EXPECT_EQ(to_hex(request.content), want.value("request", ""));
        EXPECT_EQ(request.timeout_ms, want["timeout_ms"].get<int>());
        const Bytes built =
            rpc::build_request(request.content, std::chrono::milliseconds(request.timeout_ms));
        EXPECT_EQ(to_hex(built), to_hex(message));
        return;
    }
    const auto reply = rpc::parse_reply(message);
    if (want.contains("error")) {
        ASSERT_FALSE(reply.has_value());
        const Json& error = want["error"];
        const Errc code = error.contains("invalid_service")        ? Errc::not_found
                          : error.contains("invalid_method_index") ? Errc::unsupported
                          : error.contains("prost_decode_error")   ? Errc::malformed
                                                                   : Errc::refused;
        EXPECT_TRUE(reply.error().is(code)) << reply.error().message();
        return;
    }
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(to_hex(*reply), want.value("response", ""));
    const auto runtime = std::chrono::microseconds(want.value("runtime_us", 0));
    EXPECT_EQ(to_hex(rpc::build_reply(*reply, whole.target, runtime)), to_hex(message));
}

void expect_all(const std::string& file) {
    for (const Json& vector : load_vectors(file)) {
        SCOPED_TRACE(vector["name"].get<std::string>());
        if (!vector["decoded"].contains("pieces")) continue;
        expect_rpc(vector, vector["decoded"], peer_packets(vector));
    }
}

TEST(RpcVectors, PiecesJoinInAnyOrderAndAreCutTheSameWay) {
    expect_all("control/rpc-pieces.json");
}
TEST(RpcVectors, EachKindOfErrorIsUnderstood) {
    expect_all("control/rpc-errors.json");
}
TEST(RpcVectors, RouteSyncTravelsInTheEnvelope) {
    expect_all("control/route-sync.json");
}
TEST(RpcVectors, PeerCenterTravelsInTheEnvelope) {
    expect_all("control/peer-center.json");
}
TEST(RpcVectors, DirectConnectTravelsInTheEnvelope) {
    expect_all("control/direct-connect.json");
}

TEST(RpcVectors, ErrorsOfOursHaveTheReferencesForm) {
    // 2-control.md section 1.8, but for the quote marks that stock nodes put around the name.
    const rpc::Descriptor target{.domain = "net1", .service = "DirectConnectorRpc", .method = 1};
    EXPECT_EQ(
        to_hex(rpc::build_unknown_service(target)),
        "12161a140a12446972656374436f6e6e6563746f72527063"
    );
    const Json vectors = load_vectors("control/rpc-errors.json");
    const auto micros = std::chrono::microseconds(9);
    EXPECT_EQ(
        to_hex(rpc::build_reply(Error(Errc::malformed), target, micros)),
        vectors[2]["decoded"]["message"].get<std::string>()
    );
}

TEST(RpcVectors, TheWorkedExampleOfACallComesOutByteForByte) {
    // 2-control.md section 1.8: GetIpList from 1001 to 2002.
    const rpc::Envelope call{
        .from = PeerId(1001),
        .to = PeerId(2002),
        .transaction = 7,
        .target = {.domain = "net1", .service = "DirectConnectorRpc", .method = 1},
        .is_request = true,
        .accepted = rpc::Coding::zstd,
        .body = rpc::build_request({}, std::chrono::seconds(5)),
    };
    const auto pieces = rpc::build_pieces(call).value();
    ASSERT_EQ(pieces.size(), 1U);
    EXPECT_EQ(
        to_hex(pieces[0]),
        "08e90710d20f180722300a046e657431121244697265"
        "6374436f6e6e6563746f725270631a12446972656374436f6e6e6563746f7252706320012a031888273001"
        "3801520408011002"
    );
}

TEST(PacketVectors, HeadersOfPingsDataAndForeignPackets) {
    for (const Json& vector : load_vectors("control/packets.json")) {
        SCOPED_TRACE(vector["name"].get<std::string>());
        const Json& decoded = vector["decoded"];
        const Bytes packet = peer_packets(vector).front();
        Reader in(packet);
        PeerHeader header;
        ASSERT_TRUE(in.read(header));
        expect_header(decoded["headers"][0], header);
        if (decoded.contains("ip_packet")) {
            EXPECT_EQ(
                to_hex(opened(vector, packet, header)), decoded["ip_packet"].get<std::string>()
            );
        }
        if (!decoded.contains("inner_wire")) continue;
        const Bytes inner = hex_of(decoded["inner_wire"]);
        if (decoded["inner"].contains("pieces")) {
            expect_rpc(vector, decoded["inner"], {inner});
        }
    }
}

}  // namespace
}  // namespace selvage
