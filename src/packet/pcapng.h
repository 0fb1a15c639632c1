// Capture files as Wireshark and tcpdump read them: pcapng, one section, one interface of raw IP.
// Source: draft-ietf-opsawg-pcapng; little-endian throughout.
//
//   section | interface | packet ... | statistics
//   block = type u32 | length of all u32 | body, padded to 4 | length of all u32
#pragma once

#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"

namespace selvage::packet {

namespace pcapng {
constexpr std::uint32_t kSection = 0x0a0d0d0a;
constexpr std::uint32_t kInterface = 1;
constexpr std::uint32_t kStatistics = 5;
constexpr std::uint32_t kPacket = 6;
}  // namespace pcapng

struct CapturedPacket {
    WallTime at{};
    bool inbound = false;
    std::uint32_t whole_bytes = 0;  // before it was cut
    std::string_view comment;
    ByteView bytes;
};

// What a capture missed.
struct CaptureTotals {
    std::uint64_t packets = 0;  // in the file
    std::uint64_t lost = 0;     // because its reader was too slow
};

void append_section(Bytes& out, std::string_view program);
// `snap_bytes`: to which packets are cut; 0: not at all.
void append_interface(Bytes& out, std::string_view name, std::uint32_t snap_bytes);
void append_packet(Bytes& out, const CapturedPacket& packet);
void append_statistics(Bytes& out, const CaptureTotals& totals, WallTime at);

struct PcapngBlock {
    std::uint32_t type = 0;
    ByteView body;          // with its padding and options
    std::size_t bytes = 0;  // of the whole block
};

// The first block of `bytes`; nothing when it is not all there yet. Errors: malformed.
Result<std::optional<PcapngBlock>> parse_pcapng_block(ByteView bytes);
// Errors: malformed.
Result<CaptureTotals> parse_statistics(ByteView body);

}  // namespace selvage::packet
