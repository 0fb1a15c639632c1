// Tests of secrets, ciphers, randomness and passwords. The reference's bytes are in tests/vectors.
#include <set>

#include "crypto/cipher.h"
#include "crypto/keys.h"
#include "crypto/password.h"
#include "crypto/vector_gcm.h"

namespace selvage::crypto {
namespace {

Bytes sealed(PacketCipher& cipher, std::string_view text) {
    Bytes buffer(text.begin(), text.end());
    buffer.resize(text.size() + cipher.tail_bytes());
    EXPECT_TRUE(cipher.seal(buffer));
    return buffer;
}

PacketCipher make(CipherAlgorithm algorithm, std::string_view secret = "test123") {
    return PacketCipher::make(algorithm, SecretText(secret)).value();
}

constexpr CipherAlgorithm kAeads[] = {
    CipherAlgorithm::aes_gcm, CipherAlgorithm::aes_256_gcm, CipherAlgorithm::chacha20
};

TEST(Secret, ComparesContentAndMovesWithoutLeavingACopy) {
    const std::array<std::uint8_t, 4> bytes{1, 2, 3, 4};
    Secret<4> a{std::span(bytes)};
    const Secret<4> b{std::span(bytes)};
    EXPECT_TRUE(a.equals(b));
    const Secret<4> moved = std::move(a);
    EXPECT_TRUE(moved.equals(b));
    EXPECT_EQ(to_hex(a.reveal()), "00000000");  // NOLINT: what is left in it
}

TEST(SecretText, TellsOnlyEqualTextsApart) {
    const SecretText a("one");
    EXPECT_TRUE(a.equals(a.duplicate()));
    EXPECT_FALSE(a.equals(SecretText("two")));
    EXPECT_FALSE(a.equals(SecretText("ones")));
    EXPECT_TRUE(SecretText().empty());
}

TEST(CipherNames, AreKnownWithAliasesInAnyCase) {
    EXPECT_EQ(cipher_from_name("AES-GCM").value(), CipherAlgorithm::aes_gcm);
    EXPECT_EQ(cipher_from_name("OpenSSL-aes-gcm").value(), CipherAlgorithm::aes_gcm);
    EXPECT_EQ(cipher_from_name("openssl-aes-256-gcm").value(), CipherAlgorithm::aes_256_gcm);
    EXPECT_EQ(cipher_from_name("ChaCha20-Poly1305").value(), CipherAlgorithm::chacha20);
    EXPECT_EQ(cipher_from_name("openssl-chacha20").value(), CipherAlgorithm::chacha20);
    EXPECT_EQ(cipher_from_name("xor").value(), CipherAlgorithm::xor_stream);
    for (const auto* unknown : {"none", "", "aes", "aes-gcm "}) {
        EXPECT_FALSE(cipher_from_name(unknown).has_value()) << unknown;
    }
    EXPECT_EQ(cipher_name(CipherAlgorithm::chacha20), "chacha20");
}

TEST(PacketCipher, OpensWhatItSealed) {
    for (const CipherAlgorithm algorithm : kAeads) {
        PacketCipher cipher = make(algorithm);
        for (const std::string_view text : {std::string_view(), std::string_view("hello")}) {
            Bytes buffer = sealed(cipher, text);
            EXPECT_EQ(buffer.size(), text.size() + 28);
            ASSERT_EQ(cipher.open(buffer), text.size()) << cipher_name(algorithm);
            EXPECT_EQ(as_text(ByteView(buffer).first(text.size())), text);
        }
    }
}

// The two ways of doing AES-GCM must not differ in a byte, whatever the length.
TEST(PacketCipher, TheFastCodeMakesWhatOpensslMakes) {
    if (!has_vector_gcm()) GTEST_SKIP() << "no VAES here";
    for (const CipherAlgorithm algorithm :
         {CipherAlgorithm::aes_gcm, CipherAlgorithm::aes_256_gcm}) {
        PacketCipher fast = make(algorithm);
        PacketCipher plain =
            PacketCipher::make(algorithm, SecretText("test123"), {}, CipherCode::openssl).value();
        const std::array<std::uint8_t, kNonceBytes> nonce{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
        for (std::size_t size = 0; size < 2000; size += size < 300 ? 1 : 37) {
            Bytes a(size + kCipherTailMax);
            for (std::size_t i = 0; i < size; ++i)
                a[i] = static_cast<std::uint8_t>(i * 31 + size);
            const Bytes text(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(size));
            Bytes b = a;
            ASSERT_TRUE(fast.seal_with_nonce(a, nonce));
            ASSERT_TRUE(plain.seal_with_nonce(b, nonce));
            ASSERT_EQ(to_hex(a), to_hex(b)) << size;
            ASSERT_EQ(fast.open(b), size);
            ASSERT_EQ(plain.open(a), size);
            ASSERT_TRUE(std::equal(text.begin(), text.end(), b.begin()));
        }
    }
}

TEST(PacketCipher, RefusesEveryChangedByte) {
    for (const CipherAlgorithm algorithm : kAeads) {
        PacketCipher cipher = make(algorithm);
        const Bytes good = sealed(cipher, "hello");
        for (std::size_t i = 0; i < good.size(); ++i) {
            Bytes bad = good;
            bad[i] ^= 0x80;
            EXPECT_FALSE(cipher.open(bad)) << cipher_name(algorithm) << " byte " << i;
        }
        Bytes again = good;
        EXPECT_EQ(cipher.open(again), 5U) << "a refused packet must not spoil the context";
    }
}

TEST(PacketCipher, RefusesShortPayloadsAndOtherKeys) {
    PacketCipher cipher = make(CipherAlgorithm::aes_gcm);
    PacketCipher other = make(CipherAlgorithm::aes_gcm, "test124");
    Bytes buffer = sealed(cipher, "hello");
    EXPECT_FALSE(other.open(buffer));
    Bytes short_one(27);
    EXPECT_FALSE(cipher.open(short_one));
    EXPECT_FALSE(cipher.seal(short_one));
}

TEST(PacketCipher, DrawsANewNonceForEachPacket) {
    PacketCipher cipher = make(CipherAlgorithm::aes_gcm);
    std::set<std::string> nonces;
    for (int i = 0; i < 1000; ++i) {
        const Bytes buffer = sealed(cipher, "");
        nonces.insert(to_hex(ByteView(buffer).last(kNonceBytes)));
    }
    EXPECT_EQ(nonces.size(), 1000U);
}

TEST(PacketCipher, WithoutEncryptionRefusesFlaggedPackets) {
    PacketCipher cipher = make(CipherAlgorithm::none);
    EXPECT_FALSE(cipher.enabled());
    EXPECT_EQ(cipher.tail_bytes(), 0U);
    Bytes buffer(40);
    EXPECT_FALSE(cipher.open(buffer));
    EXPECT_FALSE(cipher.seal(buffer));
}

TEST(PacketCipher, XorHasNoTailAndIsItsOwnInverse) {
    PacketCipher cipher = make(CipherAlgorithm::xor_stream);
    EXPECT_EQ(cipher.tail_bytes(), 0U);
    Bytes buffer = sealed(cipher, "hello");
    EXPECT_EQ(to_hex(buffer), "fa906c464c");  // 1-link.md section 2.5
    EXPECT_EQ(cipher.open(buffer), 5U);
    EXPECT_EQ(as_text(buffer), "hello");
}

TEST(NonceSource, EqualSeedsGiveEqualStreamsHoweverTheyAreCut) {
    const std::array<std::uint8_t, 32> seed{7};
    NonceSource a{std::span(seed)};
    NonceSource b{std::span(seed)};
    Bytes whole(10'000);
    Bytes pieces(10'000);
    a.fill(whole);
    for (std::size_t at = 0; at < pieces.size(); at += 8)
        b.fill(MutableByteView(pieces).subspan(at, 8));
    EXPECT_EQ(whole, pieces);
    EXPECT_NE(Bytes(whole.begin(), whole.begin() + 4064), Bytes(4064));
}

TEST(Password, MatchesItsHashAndNoOther) {
    for (const auto scheme : {PasswordScheme::yescrypt, PasswordScheme::sha512}) {
        const std::string hash = hash_password(SecretText("correct horse"), scheme).value();
        EXPECT_TRUE(is_password_hash(hash)) << hash;
        EXPECT_TRUE(verify_password(SecretText("correct horse"), hash));
        EXPECT_FALSE(verify_password(SecretText("correct horsf"), hash));
        EXPECT_FALSE(verify_password(SecretText(""), hash));
    }
}

TEST(Password, ReadsHashesMadeElsewhere) {
    // `openssl passwd -6 -salt saltstring "Hello world!"`.
    const std::string hash =
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnI"
        "FNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
    EXPECT_TRUE(verify_password(SecretText("Hello world!"), hash));
}

TEST(Password, MalformedHashesMatchNothing) {
    for (const auto* hash :
         {"", "*", "plain", "$6$", "$1$weak$qDY0Bh2dGxR1xW7ZCz8Ck/", "$9$abcdefghijkl"}) {
        EXPECT_FALSE(verify_password(SecretText("plain"), hash)) << hash;
    }
    EXPECT_FALSE(verify_nobody(SecretText("plain")));
    EXPECT_FALSE(verify_password(SecretText(std::string(600, 'x')), "$6$saltstring$aaaaaaaa"));
    EXPECT_FALSE(hash_password(SecretText(std::string_view("a\0b", 3))).has_value());
}

}  // namespace
}  // namespace selvage::crypto
