// Payloads on their way out and in: every cipher, with and without compression.
#include "dataplane/payload_codec.h"

#include <gtest/gtest.h>

#include "rt/rng.h"

namespace selvage::dataplane {
namespace {

using crypto::CipherAlgorithm;
using packet::PacketBuf;
using packet::PeerHeader;

constexpr CipherAlgorithm kAll[] = {
    CipherAlgorithm::none, CipherAlgorithm::aes_gcm, CipherAlgorithm::aes_256_gcm,
    CipherAlgorithm::chacha20, CipherAlgorithm::xor_stream
};

PayloadCodec make(packet::PacketPool& pool, CipherAlgorithm algorithm, bool compresses) {
    auto cipher = crypto::PacketCipher::make(algorithm, crypto::SecretText("s1"));
    return {std::move(cipher.value()), pool, compresses};
}

PacketBuf data_packet(packet::PacketPool& pool, ByteView payload) {
    PacketBuf out = pool.copy(payload);
    auto* header = out.push_front<PeerHeader>();
    header->type = static_cast<std::uint8_t>(packet::PacketType::data);
    header->payload_len = static_cast<std::uint32_t>(payload.size());
    return out;
}

Bytes noise(std::size_t size) {
    Bytes out(size);
    rt::Rng rng(7);
    for (auto& byte : out)
        byte = static_cast<std::uint8_t>(rng.next());
    return out;
}

TEST(PayloadCodec, WhatOneNodeMakesTheOtherReadsWhateverTheCipherAndItsOwnCompression) {
    packet::PacketPool pool;
    for (const CipherAlgorithm algorithm : kAll) {
        for (const bool compresses : {false, true}) {
            PayloadCodec sender = make(pool, algorithm, compresses);
            PayloadCodec receiver = make(pool, algorithm, false);
            for (const Bytes& payload : {Bytes(1360, 0x45), noise(1360), noise(20), Bytes{}}) {
                PacketBuf packet = data_packet(pool, payload);
                sender.shrink(packet);
                ASSERT_TRUE(sender.seal(packet));
                const bool sealed = packet.header<PeerHeader>()->has(packet::flag::kEncrypted);
                EXPECT_EQ(sealed, algorithm != CipherAlgorithm::none);
                EXPECT_EQ(packet.header<PeerHeader>()->payload_len, payload.size());
                EXPECT_EQ(receiver.open(packet), std::nullopt);
                EXPECT_EQ(packet.header<PeerHeader>()->flags, 0);
                EXPECT_EQ(to_hex(packet.bytes().subspan(sizeof(PeerHeader))), to_hex(payload))
                    << crypto::cipher_name(algorithm) << (compresses ? " zstd" : "");
            }
        }
    }
}

TEST(PayloadCodec, OnlyWhatGetsSmallerIsCompressed) {
    packet::PacketPool pool;
    PayloadCodec codec = make(pool, CipherAlgorithm::none, true);
    PacketBuf zeros = data_packet(pool, Bytes(1360, 0));
    codec.shrink(zeros);
    EXPECT_TRUE(zeros.header<PeerHeader>()->has(packet::flag::kCompressed));
    EXPECT_LT(zeros.size(), 100U);
    const std::string once = to_hex(zeros.bytes());
    codec.shrink(zeros);
    EXPECT_EQ(to_hex(zeros.bytes()), once) << "compressed twice";

    PacketBuf random = data_packet(pool, noise(1360));
    codec.shrink(random);
    EXPECT_EQ(random.header<PeerHeader>()->flags, 0);
    EXPECT_EQ(random.size(), sizeof(PeerHeader) + 1360);
}

TEST(PayloadCodec, ItsZstdFrameIsTheReferences) {
    packet::PacketPool pool;
    PayloadCodec codec = make(pool, CipherAlgorithm::none, true);
    PacketBuf packet = data_packet(pool, Bytes(64, 0));
    codec.shrink(packet);
    // 1-link.md section 3.
    EXPECT_EQ(
        to_hex(packet.bytes().subspan(sizeof(PeerHeader))), "28b52ffd2040450000100000010093001601"
    );
}

TEST(PayloadCodec, AnEmptyPlaceForCompressionIsNoTrap) {
    packet::PacketPool pool;
    PayloadCodec codec = make(pool, CipherAlgorithm::aes_gcm, true);
    PacketBuf packet = data_packet(pool, {});
    codec.shrink(packet);
    EXPECT_EQ(packet.size(), sizeof(PeerHeader));
}

}  // namespace
}  // namespace selvage::dataplane
