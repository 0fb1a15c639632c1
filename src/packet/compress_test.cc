// Tests of payload and message compression against hostile input.
#include "packet/compress.h"

namespace selvage::packet {
namespace {

Bytes shrunk(std::size_t zeros) {
    Compressor compressor;
    Bytes room(kBlockBytes);
    const auto made = compressor.shrink(Bytes(zeros), room);
    EXPECT_TRUE(made.has_value());
    return {made->begin(), made->end()};
}

TEST(Compressor, ExpandsOnlyToThePromisedSize) {
    Compressor compressor;
    Bytes room(kBlockBytes);
    const Bytes wire = shrunk(1000);
    EXPECT_TRUE(compressor.expand(wire, 1000, room).has_value());
    EXPECT_FALSE(compressor.expand(wire, 999, room).has_value());
    EXPECT_EQ(
        compressor.expand(wire, 1001, room).error().code(), make_error_code(Errc::bad_length)
    );
    EXPECT_TRUE(compressor.expand(wire, 1000, room).has_value())
        << "a failure must not spoil the context";
}

TEST(Compressor, RefusesSizesBeyondTheBlock) {
    Compressor compressor;
    Bytes room(100);
    EXPECT_TRUE(compressor.expand(shrunk(1000), 1000, room).error().is(Errc::limit));
}

TEST(Compressor, RefusesOtherAlgorithmsAndGarbage) {
    Compressor compressor;
    Bytes room(kBlockBytes);
    Bytes wire = shrunk(1000);
    wire.back() = 2;
    EXPECT_TRUE(compressor.expand(wire, 1000, room).error().is(Errc::unsupported));
    EXPECT_TRUE(compressor.expand({}, 0, room).error().is(Errc::truncated));
    const Bytes garbage{1, 2, 3, 4, 1};
    EXPECT_TRUE(compressor.expand(garbage, 4, room).error().is(Errc::malformed));
    wire = shrunk(1000);
    const Bytes cut(wire.begin() + 1, wire.end());
    EXPECT_FALSE(compressor.expand(cut, 1000, room).has_value());
}

TEST(ZstdMessage, RoundTripsAndHonoursTheLimit) {
    const Bytes plain(100'000, 7);
    const Bytes frame = zstd_shrink(plain).value();
    EXPECT_LT(frame.size(), 200U);
    EXPECT_EQ(zstd_expand(frame, 100'000).value(), plain);
    EXPECT_TRUE(zstd_expand(frame, 99'999).error().is(Errc::limit));
    EXPECT_FALSE(zstd_expand(as_view("no frame"), 1000).has_value());
    EXPECT_FALSE(zstd_expand({}, 1000).has_value());
}

}  // namespace
}  // namespace selvage::packet
