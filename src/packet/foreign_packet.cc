// Reading and writing the wrapping.
#include "packet/foreign_packet.h"

namespace selvage::packet {
namespace {

constexpr std::size_t kTunnelHeaderMax = 20;  // that of wg

}  // namespace

std::optional<ForeignPacket> parse_foreign_packet(ByteView payload) {
    Reader in(payload);
    ForeignHeader header;
    ByteView name;
    if (!in.read(header)) return std::nullopt;
    if (header.name_offset != sizeof(header)) return std::nullopt;
    if (header.header_len != sizeof(header) + header.name_len) return std::nullopt;
    if (!in.read_bytes(header.name_len, name)) return std::nullopt;
    if (!is_utf8(name) || in.left() < sizeof(PeerHeader)) return std::nullopt;
    return ForeignPacket{
        .to = PeerId(header.to_peer), .network_name = as_text(name), .inner = in.rest()
    };
}

PacketBuf wrap_foreign_packet(
    PacketPool& pool, PeerId to, std::string_view name, PacketBuf&& inner
) {
    const std::size_t wrapping = sizeof(ForeignHeader) + name.size();
    const std::size_t in_front = wrapping + sizeof(PeerHeader) + kTunnelHeaderMax;
    if (wrapping + inner.size() + sizeof(PeerHeader) > kPeerPacketMax) return {};
    PacketBuf out = std::move(inner);
    if (out.headroom() < in_front) {
        PacketBuf moved = pool.take();
        if (!moved) return {};
        moved.reset(in_front);
        if (!moved.append(out.bytes())) return {};
        moved.meta() = out.meta();
        out = std::move(moved);
    }
    std::uint8_t* at = out.push_front(name.size());
    if (!name.empty()) std::memcpy(at, name.data(), name.size());
    auto* header = out.push_front<ForeignHeader>();
    header->header_len = static_cast<std::uint16_t>(wrapping);
    header->to_peer = to.raw();
    header->name_offset = static_cast<std::uint16_t>(sizeof(ForeignHeader));
    header->name_len = static_cast<std::uint16_t>(name.size());
    return out;
}

}  // namespace selvage::packet
