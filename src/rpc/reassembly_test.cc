// Tests of joining pieces, its bounds, and of bodies that expand.
#include "rpc/reassembly.h"

#include "packet/compress.h"

namespace selvage::rpc {
namespace {

constexpr PeerId kPeer{7};
constexpr TimePoint kStart{std::chrono::hours(1)};

Piece piece(
    std::uint32_t index, std::uint32_t total, std::int64_t transaction = 1, std::size_t size = 10
) {
    Piece out;
    out.total = total;
    out.index = index;
    out.has_descriptor = index == 0;
    out.envelope.transaction = transaction;
    out.envelope.target.service = index == 0 ? "EchoRpc" : "";
    out.envelope.body = Bytes(size, static_cast<std::uint8_t>('a' + index));
    return out;
}

TEST(Reassembly, TakesFieldsFromPieceZeroWheneverItComes) {
    Reassembly r{RpcOptions{}};
    EXPECT_FALSE(r.add(kPeer, piece(2, 3), kStart));
    EXPECT_FALSE(r.add(kPeer, piece(0, 3), kStart));
    EXPECT_FALSE(r.add(kPeer, piece(0, 3), kStart)) << "a duplicate does not complete a message";
    const auto whole = r.add(kPeer, piece(1, 3), kStart);
    ASSERT_TRUE(whole);
    EXPECT_EQ(whole->target.service, "EchoRpc");
    EXPECT_EQ(as_text(whole->body), "aaaaaaaaaabbbbbbbbbbcccccccccc");
    EXPECT_TRUE(r.empty());
    EXPECT_EQ(r.bytes(), 0U);
}

TEST(Reassembly, KeepsSendersAndTransactionsApart) {
    Reassembly r{RpcOptions{}};
    EXPECT_FALSE(r.add(kPeer, piece(0, 2, 1), kStart));
    EXPECT_FALSE(r.add(kPeer, piece(1, 2, 2), kStart));
    EXPECT_FALSE(r.add(PeerId(8), piece(1, 2, 1), kStart));
    EXPECT_EQ(r.messages(), 3U);
    EXPECT_TRUE(r.add(kPeer, piece(1, 2, 1), kStart));
}

TEST(Reassembly, ForgetsTenSecondsAfterTheLastPiece) {
    Reassembly r{RpcOptions{}};
    EXPECT_FALSE(r.add(kPeer, piece(0, 3), kStart));
    EXPECT_FALSE(r.add(kPeer, piece(1, 3), kStart + 8s));
    r.drop_expired(kStart + 17s);
    EXPECT_EQ(r.messages(), 1U);
    r.drop_expired(kStart + 18s);
    EXPECT_TRUE(r.empty());
    EXPECT_EQ(r.bytes(), 0U);
    EXPECT_EQ(r.stats().expired, 1U);
}

TEST(Reassembly, BoundsMessagesPerPeerMessagesAndBytes) {
    Reassembly r{
        {.message_bytes_limit = 1000,
         .partial_messages_per_peer = 2,
         .partial_messages_total = 3,
         .partial_bytes_total = 1500}
    };
    for (std::int64_t id = 0; id < 5; ++id)
        EXPECT_FALSE(r.add(kPeer, piece(0, 3, id), kStart));
    EXPECT_EQ(r.messages(), 2U);
    EXPECT_FALSE(r.add(PeerId(8), piece(0, 3), kStart));
    EXPECT_FALSE(r.add(PeerId(9), piece(0, 3), kStart));
    EXPECT_EQ(r.messages(), 3U);
    EXPECT_EQ(r.stats().over_limit, 4U);
    EXPECT_FALSE(r.add(kPeer, piece(1, 3, 0, 990), kStart)) << "larger than a message may be";
    EXPECT_EQ(r.messages(), 2U);
    EXPECT_FALSE(r.add(kPeer, piece(1, 3, 1, 700), kStart));
    EXPECT_FALSE(r.add(PeerId(8), piece(1, 3, 1, 700), kStart)) << "together more than we hold";
    EXPECT_EQ(r.messages(), 1U);
}

TEST(Reassembly, EmptyPiecesAreNotFree) {
    Reassembly r{{.message_bytes_limit = 10'000}};
    for (std::uint32_t i = 0; i < 1000; ++i)
        EXPECT_FALSE(r.add(kPeer, piece(i, 32768, 1, 0), kStart));
    EXPECT_LT(r.bytes(), 10'000U);
    EXPECT_GE(r.stats().over_limit, 1U);
}

TEST(Reassembly, DropsPiecesThatDisagreeAboutTheTotal) {
    Reassembly r{RpcOptions{}};
    EXPECT_FALSE(r.add(kPeer, piece(0, 3), kStart));
    EXPECT_FALSE(r.add(kPeer, piece(1, 2), kStart));
    EXPECT_EQ(r.stats().inconsistent, 1U);
    EXPECT_FALSE(r.add(kPeer, piece(1, 3), kStart));
    EXPECT_TRUE(r.add(kPeer, piece(2, 3), kStart));
}

TEST(CodedBody, CompressesWhenAcceptedAndHelpfulAndReadable) {
    EXPECT_EQ(shrink_body(Bytes(1000, 7), Coding::none).coding, Coding::none);
    EXPECT_EQ(shrink_body(Bytes(1000, 7), Coding::zstd).coding, Coding::zstd);
    EXPECT_EQ(shrink_body(Bytes(10, 7), Coding::zstd).coding, Coding::none);
    // A stock node expands to 64 KiB or 32 times, whichever is more; beyond that it fails.
    EXPECT_EQ(shrink_body(Bytes(65'536, 7), Coding::zstd).coding, Coding::zstd);
    EXPECT_EQ(shrink_body(Bytes(1'000'000, 7), Coding::zstd).coding, Coding::none);
}

TEST(CodedBody, ExpandsWithinItsLimits) {
    const Bytes bomb = packet::zstd_shrink(Bytes(1'000'000, 7)).value();
    EXPECT_FALSE(expand_body(bomb, Coding::zstd, 4'000'000).has_value());
    EXPECT_FALSE(expand_body({1, 2}, Coding::invalid, 100).has_value());
    EXPECT_EQ(expand_body({1, 2}, Coding::none, 100).value(), (Bytes{1, 2}));
    const CodedBody good = shrink_body(Bytes(5000, 7), Coding::zstd);
    EXPECT_EQ(expand_body(good.bytes, good.coding, 5000).value(), Bytes(5000, 7));
    EXPECT_FALSE(expand_body(good.bytes, good.coding, 4999).has_value());
}

TEST(Pieces, NeverExceedTheirSizeAndRefuseEndlessNames) {
    for (const std::size_t size : {0U, 1U, 1100U, 1200U, 1300U, 100'000U}) {
        for (const Coding coding : {Coding::none, Coding::zstd}) {
            const Envelope message{
                .from = PeerId(0xffffffff),
                .to = PeerId(0xffffffff),
                .transaction = -1,
                .target = {.domain = "net1", .service = "OspfRouteRpc", .method = 1},
                .trace = -1,
                .is_request = true,
                .coding = coding,
                .accepted = Coding::zstd,
                .body = Bytes(size, 1)
            };
            const auto pieces = build_pieces(message).value();
            Reassembly r{RpcOptions{}};
            std::optional<Envelope> whole;
            for (const Bytes& bytes : pieces) {
                EXPECT_LE(bytes.size(), kPieceBytes);
                whole = r.add(kPeer, parse_piece(bytes).value(), kStart);
            }
            ASSERT_TRUE(whole);
            EXPECT_EQ(whole->body, message.body);
        }
    }
    const Envelope endless{
        .target = {.domain = std::string(2000, 'x'), .service = "S", .method = 1}
    };
    EXPECT_TRUE(build_pieces(endless).error().is(Errc::limit));
}

}  // namespace
}  // namespace selvage::rpc
