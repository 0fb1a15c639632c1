// The link layer's vectors: keys, ciphers, compression, headers of packets that relays touch.
#include "crypto/cipher.h"
#include "crypto/keys.h"
#include "packet/compress.h"
#include "packet/foreign_packet.h"
#include "packet/packet_buf.h"
#include "packet/peer_header.h"
#include "peer_rpc.pb.h"
#include "rpc/envelope.h"
#include "tunnel/udp_header.h"
#include "vector_file.h"

namespace selvage {
namespace {

using crypto::PacketCipher;
using crypto::SecretText;
using packet::PeerHeader;
using test::hex_of;
using test::Json;
using test::load_vectors;
using test::peer_packets;

void expect_header(const Json& fields, const PeerHeader& header) {
    const Json& decoded = fields.contains("packet") ? fields["packet"] : fields;  // layer udp
    EXPECT_EQ(header.from().raw(), decoded.at("from_peer_id").get<std::uint32_t>());
    EXPECT_EQ(header.to().raw(), decoded.at("to_peer_id").get<std::uint32_t>());
    EXPECT_EQ(header.type, decoded.at("packet_type").get<int>());
    EXPECT_EQ(header.flags, decoded.at("flags").get<int>());
    EXPECT_EQ(header.hops, decoded.at("forward_counter").get<int>());
    EXPECT_EQ(header.reserved, decoded.at("reserved").get<int>());
    EXPECT_EQ(header.payload_len.value(), decoded.at("len").get<std::uint32_t>());
}

PeerHeader header_of(const Bytes& wire) {
    Reader in(wire);
    PeerHeader header;
    EXPECT_TRUE(in.read(header));
    return header;
}

PacketCipher cipher_for(const Json& vector) {
    const std::string name = vector.contains("inputs") && vector["inputs"].contains("algorithm")
                                 ? vector["inputs"]["algorithm"].get<std::string>()
                                 : "";
    const auto algorithm =
        name.empty() ? crypto::CipherAlgorithm::none : crypto::cipher_from_name(name).value();
    return PacketCipher::make(algorithm, SecretText(vector["secret"].get<std::string>())).value();
}

// Opens and expands the payload as a receiver does.
Bytes plaintext_of(const Json& vector, const PeerHeader& header, Bytes payload) {
    if (header.has(packet::flag::kEncrypted)) {
        const auto size = cipher_for(vector).open(payload);
        EXPECT_TRUE(size.has_value()) << "the payload did not open";
        payload.resize(size.value_or(0));
    }
    if (!header.has(packet::flag::kCompressed)) return payload;
    Bytes room(packet::kBlockBytes);
    packet::Compressor compressor;
    auto plain = compressor.expand(payload, header.payload_len, room);
    EXPECT_TRUE(plain.has_value()) << "the payload did not expand";
    return plain ? Bytes(plain->begin(), plain->end()) : Bytes{};
}

// Seals a plaintext with the vector's nonce: must give the same bytes.
void expect_sealed_again(const Json& vector, ByteView plain, ByteView sealed) {
    PacketCipher cipher = cipher_for(vector);
    Bytes buffer(plain.begin(), plain.end());
    buffer.resize(plain.size() + cipher.tail_bytes());
    std::array<std::uint8_t, crypto::kNonceBytes> nonce{};
    if (vector["inputs"].contains("nonce"))
        std::ranges::copy(hex_of(vector["inputs"]["nonce"]), nonce.begin());
    ASSERT_TRUE(cipher.seal_with_nonce(buffer, nonce));
    EXPECT_EQ(to_hex(buffer), to_hex(sealed));
}

void expect_packets(const std::string& file) {
    for (const Json& vector : load_vectors(file)) {
        SCOPED_TRACE(vector["name"].get<std::string>());
        const Bytes wire = peer_packets(vector).front();
        const PeerHeader header = header_of(wire);
        expect_header(vector["decoded"], header);
        EXPECT_EQ(to_hex(as_bytes_of(header)), to_hex(ByteView(wire).first(16)));
        if (!vector.contains("plaintext")) continue;
        const ByteView payload = ByteView(wire).subspan(16);
        EXPECT_EQ(
            to_hex(plaintext_of(vector, header, Bytes(payload.begin(), payload.end()))),
            vector["plaintext"].get<std::string>()
        );
        if (header.has(packet::flag::kEncrypted) && !header.has(packet::flag::kCompressed)) {
            expect_sealed_again(vector, hex_of(vector["plaintext"]), payload);
        }
    }
}

TEST(KeyVectors, KeysAndDigestComeFromNameAndSecret) {
    for (const Json& vector : load_vectors("link/keys.json")) {
        SCOPED_TRACE(vector["name"].get<std::string>());
        const SecretText secret(vector["secret"].get<std::string>());
        const Json& want = vector["decoded"];
        EXPECT_EQ(to_hex(crypto::derive_key128(secret).reveal()), want["k128"].get<std::string>());
        EXPECT_EQ(to_hex(crypto::derive_key256(secret).reveal()), want["k256"].get<std::string>());
        EXPECT_EQ(
            to_hex(crypto::network_digest(vector["network"].get<std::string>(), secret)),
            want["digest"].get<std::string>()
        );
    }
}

TEST(CipherVectors, OpenAndSealToTheSameBytes) {
    expect_packets("link/ciphers.json");
}

TEST(RelayVectors, OnlyTheHopCountChangesOnTheWay) {
    expect_packets("link/relay.json");
    const Json vectors = load_vectors("link/relay.json");
    Bytes sent = peer_packets(vectors[0]).front();
    sent[10] = 2;
    EXPECT_EQ(to_hex(sent), to_hex(peer_packets(vectors[1]).front()));
}

TEST(ZstdVectors, ExpandAfterOpening) {
    expect_packets("link/zstd.json");
}

TEST(ZstdVectors, ShrinkToTheSameBytes) {
    for (const Json& vector : load_vectors("link/zstd.json")) {
        if (vector["source"] != "computed" || vector["inputs"].contains("algorithm")) continue;
        packet::Compressor compressor;
        Bytes room(packet::kBlockBytes);
        const auto made = compressor.shrink(hex_of(vector["plaintext"]), room);
        ASSERT_TRUE(made.has_value());
        EXPECT_EQ(to_hex(*made), to_hex(ByteView(peer_packets(vector).front()).subspan(16)));
    }
}

TEST(ZstdVectors, ShortPayloadsAreNotWorthIt) {
    packet::Compressor compressor;
    Bytes room(packet::kBlockBytes);
    const Json vector = load_vectors("link/zstd.json").at(2);
    EXPECT_FALSE(compressor.shrink(hex_of(vector["plaintext"]), room).has_value());
}

TEST(PingVectors, APongIsThePingWithAnotherType) {
    const Json vectors = load_vectors("link/ping.json");
    for (const Json& vector : vectors) {
        SCOPED_TRACE(vector["name"].get<std::string>());
        const Bytes wire = peer_packets(vector).front();
        expect_header(vector["decoded"], header_of(wire));
        Reader in(ByteView(wire).subspan(16));
        le32 sequence;
        ASSERT_TRUE(in.read(sequence));
        EXPECT_EQ(sequence.value(), vector["decoded"]["seq"].get<std::uint32_t>());
        EXPECT_EQ(in.left(), 0U);
    }
    Bytes ping = peer_packets(vectors[0]).front();
    ping[8] = static_cast<std::uint8_t>(packet::PacketType::pong);
    EXPECT_EQ(to_hex(ping), to_hex(peer_packets(vectors[1]).front()));
}

TEST(HandshakeVectors, ParseAndBuildToTheSameBytes) {
    for (const Json& vector : load_vectors("link/handshake.json")) {
        SCOPED_TRACE(vector["name"].get<std::string>());
        const Json& fields = vector["decoded"];
        const Json& decoded = fields.contains("packet") ? fields["packet"] : fields;
        const Bytes wire = peer_packets(vector).front();
        expect_header(fields, header_of(wire));
        const ByteView payload = ByteView(wire).subspan(16);
        peer_rpc::HandshakeRequest message;
        ASSERT_TRUE(message.ParseFromArray(payload.data(), static_cast<int>(payload.size())));
        const Json& want = decoded["handshake"];
        EXPECT_EQ(message.magic(), want["magic"].get<std::uint32_t>());
        EXPECT_EQ(message.my_peer_id(), want["my_peer_id"].get<std::uint32_t>());
        EXPECT_EQ(message.version(), want["version"].get<std::uint32_t>());
        EXPECT_EQ(message.network_name(), want["network_name"].get<std::string>());
        EXPECT_EQ(
            to_hex(as_view(message.network_secret_digest())),
            want["network_secret_digest"].get<std::string>()
        );
        EXPECT_EQ(message.features_size(), want.contains("features") ? 1 : 0);
        EXPECT_EQ(to_hex(as_view(message.SerializeAsString())), to_hex(payload));
        // Who knows the secret of the vector shows its digest; the answers to strangers are zero.
        const auto digest = crypto::network_digest(
            vector["network"].get<std::string>(), SecretText(vector["secret"].get<std::string>())
        );
        const std::string zeros(64, '0');
        const std::string shown = want["network_secret_digest"];
        EXPECT_TRUE(shown == to_hex(digest) || shown == zeros) << shown;
    }
}

TEST(ForeignNetworkVectors, AreReadAndWrappedAgainToTheSameBytes) {
    for (const Json& vector : load_vectors("link/foreign_network.json")) {
        SCOPED_TRACE(vector["name"].get<std::string>());
        const Bytes wire = peer_packets(vector).front();
        expect_header(vector["decoded"], header_of(wire));
        EXPECT_FALSE(packet::is_control(header_of(wire).packet_type()));
        const auto parsed = packet::parse_foreign_packet(ByteView(wire).subspan(16));
        ASSERT_TRUE(parsed);
        const Json& want = vector["decoded"]["foreign"];
        EXPECT_EQ(parsed->to.raw(), want["dst_peer_id"].get<std::uint32_t>());
        EXPECT_EQ(parsed->network_name, want["network_name"].get<std::string>());
        packet::PacketPool pool;
        const auto again = packet::wrap_foreign_packet(
            pool, parsed->to, parsed->network_name, pool.copy(parsed->inner)
        );
        EXPECT_EQ(to_hex(again.bytes()), to_hex(ByteView(wire).subspan(16)));
    }
}

TEST(UdpTunnelVectors, ParseAndBuildToTheSameBytes) {
    for (const Json& vector : load_vectors("link/udp_tunnel.json")) {
        SCOPED_TRACE(vector["name"].get<std::string>());
        const Json& want = vector["decoded"];
        const Bytes wire = hex_of(vector["wire"]);
        const auto frame = tunnel::parse_udp_frame(wire);
        ASSERT_TRUE(frame.has_value());
        EXPECT_EQ(frame->conn_id, want["conn_id"].get<std::uint32_t>());
        EXPECT_EQ(static_cast<int>(frame->type), want["msg_type"].get<int>());
        EXPECT_EQ(frame->body.size(), want["len"].get<std::size_t>());
        if (want.contains("body")) EXPECT_EQ(to_hex(frame->body), want["body"].get<std::string>());
        const auto header =
            tunnel::build_udp_header(frame->conn_id, frame->type, frame->body.size());
        EXPECT_EQ(to_hex(as_bytes_of(header)), to_hex(ByteView(wire).first(8)));
        if (frame->type != tunnel::UdpType::syn && frame->type != tunnel::UdpType::sack) continue;
        const Bytes opening =
            tunnel::build_udp_opening(frame->conn_id, frame->type, tunnel::magic_of(*frame));
        EXPECT_EQ(to_hex(opening), to_hex(wire));
    }
}

// What is refused by a function without a connection around it; the rest is tested where the
// connection is.
TEST(RefusedVectors, SealedCompressedAndForeignPayloadsThatAreNone) {
    int seen = 0;
    for (const Json& vector : load_vectors("link/refused.json")) {
        const std::string name = vector["name"];
        SCOPED_TRACE(name);
        if (vector["inputs"]["transport"] != "tcp") continue;
        const Bytes wire = hex_of(vector["wire"]);
        const ByteView payload = wire.size() < 20 ? ByteView{} : ByteView(wire).subspan(20);
        if (name.starts_with("flag ENCRYPTED")) {
            auto cipher =
                PacketCipher::make(crypto::CipherAlgorithm::aes_gcm, SecretText("s1")).value();
            Bytes buffer(payload.begin(), payload.end());
            EXPECT_FALSE(cipher.open(buffer));
            ++seen;
        } else if (name.starts_with("flag COMPRESSED")) {
            packet::Compressor compressor;
            Bytes room(packet::kBlockBytes);
            EXPECT_FALSE(compressor.expand(payload, payload.size(), room).has_value());
            ++seen;
        } else if (name.starts_with("ForeignNetworkPacket")) {
            EXPECT_FALSE(packet::parse_foreign_packet(payload).has_value());
            ++seen;
        } else if (name == "RpcReq not protobuf") {
            EXPECT_FALSE(rpc::parse_piece(payload).has_value());
            ++seen;
        }
    }
    EXPECT_EQ(seen, 12);
}

TEST(RefusedVectors, DatagramsThatAreNoFrames) {
    for (const auto* name : {"SYN with len field 7 and body 8", "7-byte datagram"}) {
        for (const Json& vector : load_vectors("link/refused.json")) {
            if (vector["name"] != name) continue;
            EXPECT_FALSE(tunnel::parse_udp_frame(hex_of(vector["wire"])).has_value()) << name;
        }
    }
}

}  // namespace
}  // namespace selvage
