// The 4-byte length in front of peer packets on streams.
#include "tunnel/framing.h"

namespace selvage::tunnel {

FrameStatus take_frame(ByteView& bytes, std::size_t limit, ByteView& frame) {
    Reader in(bytes);
    le32 length;
    if (!in.read(length)) return FrameStatus::partial;
    if (length < sizeof(packet::PeerHeader) || length > limit) return FrameStatus::bad;
    if (!in.read_bytes(length, frame)) return FrameStatus::partial;
    bytes = in.rest();
    return FrameStatus::complete;
}

std::size_t put_frame(MutableByteView room, ByteView packet) {
    if (room.size() < kFrameHeader + packet.size()) return 0;
    const le32 length = static_cast<std::uint32_t>(packet.size());
    std::memcpy(room.data(), &length, kFrameHeader);
    std::memcpy(room.data() + kFrameHeader, packet.data(), packet.size());
    return kFrameHeader + packet.size();
}

}  // namespace selvage::tunnel
