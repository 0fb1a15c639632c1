// Tests of capture files: the bytes of each block, and reading them back.
#include "packet/pcapng.h"

#include <gtest/gtest.h>

namespace selvage::packet {
namespace {

TEST(Pcapng, APacketIsWrittenAsTheFormatSays) {
    Bytes out;
    const Bytes bytes{1, 2, 3, 4, 5};
    append_packet(
        out, {.at = WallTime(std::chrono::microseconds(0x1'00000002)),
              .inbound = true,
              .whole_bytes = 9,
              .comment = "a",
              .bytes = bytes}
    );
    EXPECT_EQ(
        to_hex(out),
        "06000000"
        "3c000000"
        "00000000"
        "01000000"
        "02000000"
        "05000000"
        "09000000"
        "0102030405000000"
        "02000400"
        "01000000"
        "01000100"
        "61000000"
        "00000000"
        "3c000000"
    );
}

TEST(Pcapng, AFileIsReadBackBlockByBlock) {
    Bytes file;
    append_section(file, "selvaged");
    append_interface(file, "sv0", 0);
    append_packet(file, {.at = {}, .whole_bytes = 1, .comment = "", .bytes = as_view("x")});
    append_statistics(file, {.packets = 1, .lost = 7}, WallTime{});
    std::vector<std::uint32_t> types;
    ByteView rest(file);
    Result<CaptureTotals> totals = Errc::not_found;
    while (!rest.empty()) {
        for (std::size_t cut = 0; cut < 12; ++cut)
            EXPECT_FALSE(parse_pcapng_block(rest.first(cut)).value());
        const auto block = parse_pcapng_block(rest).value();
        ASSERT_TRUE(block);
        types.push_back(block->type);
        if (block->type == pcapng::kStatistics) totals = parse_statistics(block->body);
        rest = rest.subspan(block->bytes);
    }
    EXPECT_EQ(
        types,
        (std::vector{pcapng::kSection, pcapng::kInterface, pcapng::kPacket, pcapng::kStatistics})
    );
    ASSERT_TRUE(totals);
    EXPECT_EQ(totals->packets, 1U);
    EXPECT_EQ(totals->lost, 7U);
}

TEST(Pcapng, WhatIsNoBlockIsRefused) {
    for (const char* hex :
         {"060000000b000000", "060000000d000000", "06000000ffffff7f", "060000000c00000010000000"}) {
        EXPECT_FALSE(parse_pcapng_block(from_hex(hex).value())) << hex;
    }
    EXPECT_FALSE(parse_statistics(from_hex("0000").value()));
    EXPECT_FALSE(parse_statistics(from_hex("000000000000000000000000"
                                           "0500ffff00")
                                      .value()));
}

}  // namespace
}  // namespace selvage::packet
