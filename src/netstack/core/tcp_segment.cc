// TCP options to values and back.
#include "netstack/core/tcp_segment.h"

#include <algorithm>

#include "packet/checksum.h"

namespace selvage::netstack {
namespace {

constexpr std::uint8_t kEnd = 0;
constexpr std::uint8_t kNoOperation = 1;
constexpr std::uint8_t kMss = 2;
constexpr std::uint8_t kWindowScale = 3;
constexpr std::uint8_t kSackPermitted = 4;
constexpr std::uint8_t kSack = 5;
constexpr std::uint8_t kTimestamps = 8;

struct SackBlock {
    be32 begin;
    be32 end;
};

struct TimestampFields {
    be32 value;
    be32 echo;
};

void read_option(std::uint8_t kind, ByteView body, TcpOptions& out) {
    Reader in(body);
    switch (kind) {
        case kMss: {
            be16 mss;
            if (body.size() == 2 && in.read(mss)) out.mss = mss.value();
            return;
        }
        case kWindowScale:
            if (body.size() == 1) out.window_scale = body[0];
            return;
        case kSackPermitted:
            if (body.empty()) out.sack_permitted = true;
            return;
        case kSack: {
            SackBlock block;
            if (body.size() % sizeof(block) != 0) return;
            while (out.sack_count < TcpOptions::kSackBlocksMax && in.read(block)) {
                const SeqRange range{SeqNum(block.begin), SeqNum(block.end)};
                out.sack[out.sack_count++] = range;
            }
            return;
        }
        case kTimestamps: {
            TimestampFields fields;
            if (body.size() == sizeof(fields) && in.read(fields)) {
                out.timestamps = TcpTimestamps{fields.value, fields.echo};
            }
            return;
        }
        default:
            return;
    }
}

void read_options(ByteView bytes, TcpOptions& out) {
    Reader in(bytes);
    std::uint8_t kind = 0;
    while (in.read(kind) && kind != kEnd) {
        if (kind == kNoOperation) continue;
        std::uint8_t length = 0;
        ByteView body;
        // A length that does not fit ends the options: nothing behind it can be trusted.
        if (!in.read(length) || length < 2 || !in.read_bytes(length - 2U, body)) return;
        read_option(kind, body, out);
    }
}

}  // namespace

Result<TcpSegment> parse_tcp_segment(ByteView transport) {
    Reader in(transport);
    packet::TcpHeader header;
    if (!in.read(header)) return Errc::truncated;
    const std::size_t header_bytes = header.header_bytes();
    if (header_bytes < sizeof(header) || header_bytes > transport.size()) return Errc::bad_length;

    TcpSegment segment;
    segment.source_port = header.source_port;
    segment.destination_port = header.destination_port;
    segment.seq = SeqNum(header.sequence);
    segment.ack = SeqNum(header.acknowledgement);
    segment.flags = header.flags;
    segment.window = header.window;
    segment.payload = transport.subspan(header_bytes);
    const ByteView options = transport.subspan(sizeof(header), header_bytes - sizeof(header));
    if (!options.empty()) read_options(options, segment.options);
    return segment;
}

std::size_t build_tcp_options(
    const TcpOptions& options, std::array<std::uint8_t, TcpOptions::kBytesMax>& out
) {
    std::size_t at = 0;
    const auto put = [&](ByteView bytes) {
        std::memcpy(out.data() + at, bytes.data(), bytes.size());
        at += bytes.size();
    };
    const auto head = [&](std::uint8_t kind, std::size_t body) {
        const std::uint8_t bytes[] = {kind, static_cast<std::uint8_t>(body + 2)};
        put(bytes);
    };
    const auto pad = [&] { out[at++] = kNoOperation; };

    if (options.mss) {
        head(kMss, 2);
        put(as_bytes_of(be16(*options.mss)));
    }
    // The permission for SACK fills the place in front of the timestamps, as kernels lay it out.
    if (options.sack_permitted) {
        if (!options.timestamps) {
            pad();
            pad();
        }
        head(kSackPermitted, 0);
    }
    if (options.timestamps) {
        if (!options.sack_permitted) {
            pad();
            pad();
        }
        head(kTimestamps, sizeof(TimestampFields));
        put(as_bytes_of(TimestampFields{options.timestamps->value, options.timestamps->echo}));
    }
    if (options.window_scale) {
        pad();
        head(kWindowScale, 1);
        put(as_bytes_of(*options.window_scale));
    }
    const std::size_t room = (out.size() - at) >= 4 ? (out.size() - at - 4) / sizeof(SackBlock) : 0;
    const std::size_t blocks = std::min(options.sack_count, room);
    if (blocks > 0) {
        pad();
        pad();
        head(kSack, blocks * sizeof(SackBlock));
        for (std::size_t i = 0; i < blocks; ++i) {
            put(as_bytes_of(SackBlock{options.sack[i].begin.raw(), options.sack[i].end.raw()}));
        }
    }
    return at;
}

void push_tcp_header(packet::PacketBuf& packet, const FlowKey& flow, const TcpFields& fields) {
    std::array<std::uint8_t, TcpOptions::kBytesMax> options;
    const std::size_t option_bytes = build_tcp_options(fields.options, options);
    if (option_bytes > 0) {
        std::memcpy(packet.push_front(option_bytes), options.data(), option_bytes);
    }
    auto* header = packet.push_front<packet::TcpHeader>();
    header->source_port = flow.local_port;
    header->destination_port = flow.remote_port;
    header->sequence = fields.seq.raw();
    header->acknowledgement = fields.ack.raw();
    header->data_offset = static_cast<std::uint8_t>((sizeof(*header) + option_bytes) / 4 << 4);
    header->flags = fields.flags;
    header->window = fields.window;
    const std::uint16_t pseudo = packet::pseudo_header_sum(
        flow.local, flow.remote, static_cast<std::uint8_t>(packet::IpProtocol::tcp),
        static_cast<std::uint32_t>(packet.size())
    );
    header->checksum = packet::checksum_finish(packet::checksum_add(packet.bytes(), pseudo));
}

}  // namespace selvage::netstack
