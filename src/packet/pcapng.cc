// Blocks and their options.
#include "packet/pcapng.h"

#include <chrono>

namespace selvage::packet {
namespace {

constexpr std::uint16_t kLinkTypeRaw = 101;  // an IPv4 or IPv6 header comes first
constexpr std::uint32_t kByteOrder = 0x1a2b3c4d;
// What a block of somebody else's may have; ours stay far below.
constexpr std::uint32_t kBlockLimit = 1024 * 1024;

constexpr std::uint16_t kOptionEnd = 0;
constexpr std::uint16_t kOptionComment = 1;
constexpr std::uint16_t kOptionName = 2;      // of an interface
constexpr std::uint16_t kOptionFlags = 2;     // of a packet
constexpr std::uint16_t kOptionProgram = 4;   // of a section
constexpr std::uint16_t kOptionReceived = 4;  // of statistics; the next likewise
constexpr std::uint16_t kOptionLost = 5;
constexpr std::uint32_t kFlagInbound = 1;
constexpr std::uint32_t kFlagOutbound = 2;

struct BlockHead {
    le32 type;
    le32 length;
};
struct SectionBody {
    le32 byte_order{kByteOrder};
    le16 major{1};
    le16 minor{0};
    le64 length{~std::uint64_t{0}};  // not known beforehand
};
struct InterfaceBody {
    le16 link_type{kLinkTypeRaw};
    le16 reserved;
    le32 snap_bytes;
};
// Microseconds since 1970, the high half first.
struct Timestamp {
    le32 high;
    le32 low;
};
struct PacketBody {
    le32 interface;
    Timestamp at;
    le32 captured;
    le32 whole;
};
struct StatisticsBody {
    le32 interface;
    Timestamp at;
};
struct OptionHead {
    le16 code;
    le16 length;
};
static_assert(sizeof(SectionBody) == 16 && sizeof(PacketBody) == 20 && sizeof(OptionHead) == 4);

Timestamp timestamp_of(WallTime at) {
    const auto micros =
        std::chrono::duration_cast<std::chrono::microseconds>(at.time_since_epoch()).count();
    const auto value = static_cast<std::uint64_t>(micros);
    return {static_cast<std::uint32_t>(value >> 32), static_cast<std::uint32_t>(value)};
}

void append(Bytes& out, ByteView bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_padded(Bytes& out, ByteView bytes) {
    append(out, bytes);
    out.resize(out.size() + (4 - bytes.size() % 4) % 4);
}

// Writes the length behind what was appended while it lives, and into the head.
class Block {
public:
    Block(Bytes& out, std::uint32_t type) : out_(out), begin_(out.size()) {
        append(out_, as_bytes_of(BlockHead{type, 0}));
    }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    ~Block() {
        const le32 length(static_cast<std::uint32_t>(out_.size() - begin_ + sizeof(le32)));
        std::memcpy(out_.data() + begin_ + sizeof(le32), &length, sizeof(length));
        append(out_, as_bytes_of(length));
    }
    void option(std::uint16_t code, ByteView value) {
        append(out_, as_bytes_of(OptionHead{code, static_cast<std::uint16_t>(value.size())}));
        append_padded(out_, value);
    }

private:
    Bytes& out_;
    std::size_t begin_;
};

}  // namespace

void append_section(Bytes& out, std::string_view program) {
    Block block(out, pcapng::kSection);
    append(out, as_bytes_of(SectionBody{}));
    block.option(kOptionProgram, as_view(program));
    block.option(kOptionEnd, {});
}

void append_interface(Bytes& out, std::string_view name, std::uint32_t snap_bytes) {
    Block block(out, pcapng::kInterface);
    append(out, as_bytes_of(InterfaceBody{.reserved = {}, .snap_bytes = snap_bytes}));
    block.option(kOptionName, as_view(name));
    block.option(kOptionEnd, {});
}

void append_packet(Bytes& out, const CapturedPacket& packet) {
    Block block(out, pcapng::kPacket);
    append(
        out, as_bytes_of(PacketBody{
                 .interface = {},
                 .at = timestamp_of(packet.at),
                 .captured = static_cast<std::uint32_t>(packet.bytes.size()),
                 .whole = packet.whole_bytes
             })
    );
    append_padded(out, packet.bytes);
    const le32 flags(packet.inbound ? kFlagInbound : kFlagOutbound);
    block.option(kOptionFlags, as_bytes_of(flags));
    if (!packet.comment.empty()) block.option(kOptionComment, as_view(packet.comment));
    block.option(kOptionEnd, {});
}

void append_statistics(Bytes& out, const CaptureTotals& totals, WallTime at) {
    Block block(out, pcapng::kStatistics);
    append(out, as_bytes_of(StatisticsBody{.interface = {}, .at = timestamp_of(at)}));
    block.option(kOptionReceived, as_bytes_of(le64(totals.packets + totals.lost)));
    block.option(kOptionLost, as_bytes_of(le64(totals.lost)));
    block.option(kOptionEnd, {});
}

Result<std::optional<PcapngBlock>> parse_pcapng_block(ByteView bytes) {
    Reader in(bytes);
    BlockHead head;
    if (!in.read(head)) return std::optional<PcapngBlock>();
    constexpr std::size_t kAround = sizeof(BlockHead) + sizeof(le32);
    if (head.length < kAround || head.length % 4 != 0 || head.length > kBlockLimit) {
        return Error(Errc::malformed, "a block of impossible length");
    }
    PcapngBlock out{.type = head.type, .body = {}, .bytes = head.length};
    le32 again;
    if (!in.read_bytes(head.length - kAround, out.body) || !in.read(again)) {
        return std::optional<PcapngBlock>();
    }
    if (again != head.length) return Error(Errc::malformed, "a block whose lengths differ");
    return std::optional(out);
}

Result<CaptureTotals> parse_statistics(ByteView body) {
    Reader in(body);
    StatisticsBody fixed;
    if (!in.read(fixed)) return Errc::malformed;
    CaptureTotals out;
    OptionHead head;
    while (in.read(head) && head.code != kOptionEnd) {
        ByteView value;
        if (!in.read_bytes((head.length + std::size_t{3}) / 4 * 4, value)) return Errc::malformed;
        le64 number;
        Reader inside(value);
        if (head.code == kOptionReceived && inside.read(number)) out.packets = number;
        if (head.code == kOptionLost && inside.read(number)) out.lost = number;
    }
    if (out.lost > out.packets) return Errc::malformed;
    out.packets -= out.lost;
    return out;
}

}  // namespace selvage::packet
